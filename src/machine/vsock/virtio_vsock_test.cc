#include "machine/vsock/virtio_vsock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "machine/testing/state_bytes.h"
#include "machine/testing/virtio_driver.h"

namespace ringside::machine {
namespace {

using testing::bytes_of, testing::text_of;

constexpr unsigned kReceive = VirtioVsock::kReceive, kTransmit = VirtioVsock::kTransmit,
                   kEvents = VirtioVsock::kEvents;
constexpr std::uint64_t kData = 0x10000;
constexpr std::uint32_t kHeader = sizeof(VsockHeader);

std::string packet(std::string_view data) {
  VsockHeader header;
  header.source_cid = kHostCid;
  header.destination_cid = 5;
  header.source_port = 6;
  header.destination_port = 7;
  header.type = kVsockStream;
  header.operation = VsockOperation::Data;
  header.length = static_cast<std::uint32_t>(data.size());
  return text_of(std::as_bytes(std::span(&header, 1))) + std::string(data);
}

struct VirtioVsockTest : ::testing::Test, testing::VirtioDriver {
  std::vector<std::string> sent;
  unsigned rooms = 0;
  bool is_full = false;
  VirtioVsock vsock{5,
                    {[this](std::span<const std::byte> bytes) { sent.push_back(text_of(bytes)); },
                     [this] { return is_full; }},
                    [this] { ++rooms; },
                    memory};
  VirtioMmio device{vsock, memory, {lines, 16}, cpus};

  void come(std::string_view message) {
    vsock.receive(bytes_of(message));
    device.input_came();
    work(device);
  }
  void buffer(std::uint16_t head, std::uint64_t address, std::uint32_t size) {
    publish(kReceive, head, {{address, size, true}});
  }
  // What the guest finds in a buffer: the length that its header tells, and the data.
  std::string found(std::uint64_t address) {
    return text(address + kHeader, peek<std::uint32_t>(address + 24));
  }
  bool is_broken() { return (read(device, 0x070) & 0x40) != 0; }
};

TEST_F(VirtioVsockTest, SaysWhatItIs) {
  EXPECT_EQ(read(device, 0x008), 19u);
  EXPECT_EQ(read(device, 0x100), 5u) << "the guest's number";
  EXPECT_EQ(read(device, 0x104), 0u);
}

TEST_F(VirtioVsockTest, SendsPacketsWhole) {
  start(device, 3, 0);
  put(kData, packet("words"));
  publish(kTransmit, 0, {{kData, 10, false}, {kData + 10, kHeader - 5, false}});
  publish(kTransmit, 2, {{kData, kHeader, false}});
  notify(device, kTransmit);
  EXPECT_EQ(sent, (std::vector<std::string>{packet("words"), packet("words").substr(0, kHeader)}));
  EXPECT_EQ(used_count(kTransmit), 2u);
  EXPECT_EQ(used_bytes(kTransmit, 0), 0u);
}

TEST_F(VirtioVsockTest, OfTooMuchDataGoesTheHeaderAlone) {
  start(device, 3, 0);
  put(kData, packet(""));
  publish(kTransmit, 0, {{kData, VirtioVsock::kMaxPacket, false}});
  publish(kTransmit, 1, {{kData, VirtioVsock::kMaxPacket + 1, false}});
  notify(device, kTransmit);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].size(), VirtioVsock::kMaxPacket);
  EXPECT_EQ(sent[1], packet(""));
  publish(kTransmit, 2, {{kData, kHeader - 1, false}});
  notify(device, kTransmit);
  EXPECT_EQ(sent.size(), 2u);
  EXPECT_TRUE(is_broken()) << "that is no packet";
}

// The same number of parts of work, whether it waited or not.
TEST_F(VirtioVsockTest, WaitsForRoomAndWorksAsOften) {
  const auto parts_of_work = [&](bool waits) {
    start(device, 3, 0);
    sent.clear();
    is_full = waits;
    put(kData, packet("text"));
    for (const std::uint16_t head : {0, 1, 2})
      publish(kTransmit, head, {{kData, kHeader + 4, false}});
    write(device, 0x050, kTransmit);
    unsigned parts = 0, waited = 0;
    for (; device.has_work(); ++parts) {
      if (device.awaits_room()) {
        EXPECT_FALSE(device.can_work());
        ++waited;
        is_full = false;
      }
      device.work();
      is_full = waits;
    }
    EXPECT_EQ(sent, std::vector(3, packet("text")));
    EXPECT_EQ(waited, waits ? 3u : 0u);
    return parts;
  };
  const unsigned parts = parts_of_work(false);
  EXPECT_EQ(parts_of_work(true), parts);
}

TEST_F(VirtioVsockTest, KeepsPacketsUntilThereIsABuffer) {
  start(device, 3, 0);
  come(packet("first"));
  come(packet(""));
  EXPECT_FALSE(device.has_work());
  buffer(0, kData, 100);
  buffer(1, kData + 0x100, kHeader);
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 2u);
  EXPECT_EQ(text(kData, kHeader + 5), packet("first"));
  EXPECT_EQ(used_bytes(kReceive, 0), kHeader + 5);
  EXPECT_EQ(text(kData + 0x100, kHeader), packet(""));
  EXPECT_TRUE(lines.level[16]);
}

// Behind a header for each part.
TEST_F(VirtioVsockTest, CutsDataAnew) {
  start(device, 3, 0);
  come(packet("0123456789"));
  come(packet("ab"));
  buffer(0, kData, kHeader + 4);
  notify(device, kReceive);
  const std::vector<std::byte> saved = testing::save(device);
  VirtioVsock other(5, {}, {}, memory);
  VirtioMmio restored(other, memory, {lines, 16}, cpus);
  ASSERT_TRUE(testing::load(restored, saved));
  EXPECT_EQ(testing::save(restored), saved);
  publish(kReceive, 1, {{kData + 0x100, 7, true}, {kData + 0x107, kHeader - 6, true}});
  buffer(3, kData + 0x200, 1000);
  buffer(4, kData + 0x300, 1000);
  notify(restored, kReceive);
  EXPECT_EQ(used_count(kReceive), 4u);
  EXPECT_EQ(found(kData), "0123");
  EXPECT_EQ(found(kData + 0x100), "4");
  EXPECT_EQ(found(kData + 0x200), "56789");
  EXPECT_EQ(found(kData + 0x300), "ab");
  EXPECT_EQ(text(kData + 0x200, 24), packet("").substr(0, 24)) << "each says from where to where";
}

TEST_F(VirtioVsockTest, BreaksWhereABufferHasNoRoomForAHeader) {
  start(device, 3, 0);
  buffer(0, kData, kHeader);
  come(packet("x"));
  EXPECT_TRUE(is_broken()) << "not even a byte would fit";
  start(device, 3, 0);
  EXPECT_FALSE(is_broken());
}

TEST_F(VirtioVsockTest, HasRoomForSoMuch) {
  start(device, 3, 0);
  const std::string large = packet(std::string(kVsockRoom, 'x'));
  unsigned count = 0;
  for (; vsock.has_room(); ++count)
    come(large);
  EXPECT_EQ(count, 2u);
  come(large);  // is lost
  buffer(0, kData, 0x40000);
  notify(device, kReceive);
  EXPECT_EQ(rooms, 1u);
  EXPECT_TRUE(vsock.has_room());
}

TEST_F(VirtioVsockTest, TakesNoOtherThanPackets) {
  start(device, 3, 0);
  for (const std::string& wrong : {std::string("x"), packet("").substr(1), packet("ab") + "c",
                                   packet(std::string(kVsockRoom + 1, 'x'))})
    come(wrong);
  buffer(0, kData, 1000);
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 0u);
}

TEST_F(VirtioVsockTest, TellsThatAllConnectionsAreForgotten) {
  start(device, 3, 0);
  come(packet("lost"));
  poke(kData, ~std::uint64_t{0});
  come("");
  buffer(0, kData + 0x100, 100);
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 0u) << "what came before is of none any more";
  EXPECT_EQ(used_count(kEvents), 0u);
  publish(kEvents, 0, {{kData, 4, true}});
  notify(device, kEvents);
  EXPECT_EQ(used_count(kEvents), 1u);
  EXPECT_EQ(used_bytes(kEvents, 0), 4u);
  EXPECT_EQ(peek<std::uint32_t>(kData), 0u);
  publish(kEvents, 1, {{kData, 4, true}});
  notify(device, kEvents);
  EXPECT_EQ(used_count(kEvents), 1u) << "once";
}

// The guest's driver is another one, or none.
TEST_F(VirtioVsockTest, SaysSoWhenItIsReset) {
  start(device, 3, 0);
  EXPECT_TRUE(sent.empty()) << "there was nothing to be forgotten";
  come(packet(""));
  write(device, 0x070, 0);
  write(device, 0x070, 0);
  EXPECT_EQ(sent, std::vector<std::string>{""});
  start(device, 3, 0);
  put(kData, packet(""));
  publish(kTransmit, 0, {{kData, kHeader, false}});
  notify(device, kTransmit);
  write(device, 0x070, 0);
  EXPECT_EQ(sent, (std::vector<std::string>{"", packet(""), ""}));
}

// Whatever a guest writes into its rings, and whatever comes: bounded, and no harm.
TEST_F(VirtioVsockTest, SurvivesAnything) {
  std::minstd_rand random(1);
  for (unsigned round = 0; round < 200; ++round) {
    start(device, 3, 0);
    for (unsigned i = 0; i < 0xb000; i += 4) {
      if (random() % 3 == 0) poke<std::uint32_t>(0x1000 + i, static_cast<std::uint32_t>(random()));
      if (random() % 64 == 0) poke<std::uint16_t>(0x2002, static_cast<std::uint16_t>(random() % 9));
    }
    come(random() % 8 == 0 ? "" : packet(std::string(random() % 3000, 'x')));
    for (unsigned queue = 0; queue < 4; ++queue) {
      write(device, 0x050, queue);
      for (unsigned parts = 0; device.has_work(); ++parts) {
        ASSERT_LT(parts, 1000u);
        device.work();
      }
    }
  }
}

}  // namespace
}  // namespace ringside::machine

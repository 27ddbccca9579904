#include "machine/network/virtio_net.h"

#include <gtest/gtest.h>

#include <random>

#include "machine/network/checksum.h"
#include "machine/testing/state_bytes.h"
#include "machine/testing/virtio_driver.h"

namespace ringside::machine {
namespace {

using testing::bytes_of, testing::text_of;

constexpr std::uint32_t kMergeable = 1 << 15;
constexpr unsigned kReceive = VirtioNet::kReceive, kTransmit = VirtioNet::kTransmit;
constexpr std::uint64_t kData = 0x10000;
constexpr std::uint32_t kHeader = 12;

struct VirtioNetTest : ::testing::Test, testing::VirtioDriver {
  std::vector<std::string> sent;
  unsigned rooms = 0;
  VirtioNet net{{0x52, 0x54, 0, 1, 2, 3},
                [this](std::span<const std::byte> frame) { sent.push_back(text_of(frame)); },
                [this] { ++rooms; },
                memory};
  VirtioMmio device{net, memory, {lines, 16}, cpus};

  void come(std::string_view frame) {
    net.receive(bytes_of(frame));
    device.input_came();
    work(device);
  }
  void buffer(std::uint16_t head, std::uint64_t address, std::uint32_t size) {
    publish(kReceive, head, {{address, size, true}});
  }
};

TEST_F(VirtioNetTest, SaysWhatItIs) {
  EXPECT_EQ(read(device, 0x008), 1u);
  EXPECT_EQ(read(device, 0x100), 0x01005452u);
  EXPECT_EQ(read(device, 0x104), 0x00010302u) << "the rest of the address, and the link is up";
  EXPECT_EQ(read(device, 0x108) >> 16, kMtu);
}

TEST_F(VirtioNetTest, SendsFramesWithoutTheirHeader) {
  start(device, 2, kMergeable);
  put(kData + kHeader, "a frame");
  publish(kTransmit, 0, {{kData, kHeader, false}, {kData + kHeader, 7, false}});
  publish(kTransmit, 2, {{kData, kHeader + 3, false}});
  notify(device, kTransmit);
  EXPECT_EQ(sent, (std::vector<std::string>{"a frame", "a f"}));
  EXPECT_EQ(used_count(kTransmit), 2u);
  EXPECT_EQ(used_bytes(kTransmit, 0), 0u);
}

TEST_F(VirtioNetTest, LosesWhatIsLongerThanAnyFrame) {
  start(device, 2, kMergeable);
  publish(kTransmit, 0, {{kData, static_cast<std::uint32_t>(kHeader + kMaxFrame), false}});
  publish(kTransmit, 1, {{kData, static_cast<std::uint32_t>(kHeader + kMaxFrame + 1), false}});
  notify(device, kTransmit);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].size(), kMaxFrame);
  EXPECT_EQ(used_count(kTransmit), 2u);
}

TEST_F(VirtioNetTest, FillsInChecksums) {
  start(device, 2, kMergeable | 1);
  put(kData + kHeader, std::string("0123\x00\x01\x00\x00\xf2\x03", 10));
  poke<std::uint8_t>(kData, 1);
  poke<std::uint16_t>(kData + 6, 4);
  poke<std::uint16_t>(kData + 8, 2);
  publish(kTransmit, 0, {{kData, kHeader + 10, false}});
  notify(device, kTransmit);
  ASSERT_EQ(sent.size(), 1u);
  // 0001 + 0000 + f203 = f204, of which the complement is 0dfb.
  EXPECT_EQ(sent[0], std::string("0123\x00\x01\x0d\xfb\xf2\x03", 10));
  for (const auto& [from, at] : {std::pair{4, 5}, {9, 0}, {65535, 65535}, {0, 9}}) {
    poke<std::uint16_t>(kData + 6, static_cast<std::uint16_t>(from));
    poke<std::uint16_t>(kData + 8, static_cast<std::uint16_t>(at));
    publish(kTransmit, 0, {{kData, kHeader + 10, false}});
    notify(device, kTransmit);
  }
  EXPECT_EQ(sent.size(), 1u) << "a field that is not in the frame";
}

// RFC 1071, 3: 0001 f203 f4f5 f6f7 have the sum ddf2.
TEST(Checksum, IsThatOfTheRfc) {
  std::vector<std::byte> frame;
  for (const unsigned value : {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0})
    frame.push_back(static_cast<std::byte>(value));
  ASSERT_TRUE(fill_in_checksum(frame, 0, 8));
  EXPECT_EQ(frame[8], static_cast<std::byte>(~0xdd & 0xff));
  EXPECT_EQ(frame[9], static_cast<std::byte>(~0xf2 & 0xff));
}

// Zero would say that there is none.
TEST(Checksum, IsNeverZero) {
  std::vector<std::byte> frame{std::byte{0xff}, std::byte{0xff}, std::byte{0}, std::byte{0}};
  ASSERT_TRUE(fill_in_checksum(frame, 0, 2));
  EXPECT_EQ(frame[2], std::byte{0xff});
  EXPECT_EQ(frame[3], std::byte{0xff});
}

TEST_F(VirtioNetTest, KeepsFramesUntilThereIsABuffer) {
  start(device, 2, kMergeable);
  come("first");
  come("second");
  EXPECT_FALSE(device.has_work());
  EXPECT_EQ(used_count(kReceive), 0u);
  buffer(0, kData, 100);
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 1u);
  EXPECT_EQ(used_bytes(kReceive, 0), kHeader + 5);
  EXPECT_EQ(text(kData + kHeader, 5), "first");
  EXPECT_EQ(peek<std::uint16_t>(kData + 10), 1u);
  buffer(1, kData, 100);
  notify(device, kReceive);
  EXPECT_EQ(text(kData + kHeader, 6), "second");
  EXPECT_TRUE(lines.level[16]);
}

TEST_F(VirtioNetTest, MergesBuffersWhereTheDriverTakesThat) {
  start(device, 2, kMergeable);
  buffer(0, kData, 16);
  buffer(1, kData + 0x100, 3);
  come("0123456789");
  EXPECT_EQ(used_count(kReceive), 0u) << "two buffers are too few";
  buffer(2, kData + 0x200, 100);
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 3u);
  EXPECT_EQ(peek<std::uint16_t>(kData + 10), 3u);
  EXPECT_EQ(text(kData + kHeader, 4) + text(kData + 0x100, 3) + text(kData + 0x200, 3),
            "0123456789");
  EXPECT_EQ(used_bytes(kReceive, 0), 16u);
  EXPECT_EQ(used_bytes(kReceive, 1), 3u);
  EXPECT_EQ(used_bytes(kReceive, 2), 3u);
}

TEST_F(VirtioNetTest, LosesWhatDoesNotFitOtherwise) {
  start(device, 2, 0);
  buffer(0, kData, 16);
  buffer(1, kData + 0x100, 100);
  come("0123456789");
  EXPECT_EQ(used_count(kReceive), 0u);
  come("0123");
  EXPECT_EQ(used_count(kReceive), 1u);
  EXPECT_EQ(used_head(kReceive, 0), 0u);
  EXPECT_EQ(text(kData + kHeader, 4), "0123");
}

TEST_F(VirtioNetTest, HasRoomForSoMuch) {
  start(device, 2, kMergeable);
  const std::string large(kMaxFrame, 'x');
  unsigned count = 0;
  for (; net.has_room(); ++count)
    come(large);
  EXPECT_EQ(count, 4u);
  come(large);  // is lost
  EXPECT_EQ(rooms, 0u);
  buffer(0, kData, 0x40000);
  notify(device, kReceive);
  EXPECT_EQ(rooms, 1u);
  EXPECT_TRUE(net.has_room());
  net.receive(bytes_of(large + "y"));
  EXPECT_TRUE(net.has_room()) << "no frame is so long";
  write(device, 0x070, 0);
  start(device, 2, kMergeable);
  buffer(0, kData, 0x40000);
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 0u) << "what came before a reset is gone";
  for (count = 0; net.has_room(); ++count)
    net.receive({});
  EXPECT_EQ(count, 256u);
}

TEST_F(VirtioNetTest, SavesWhatWaits) {
  start(device, 2, kMergeable);
  come("first");
  come("");
  const std::vector<std::byte> saved = testing::save(device);
  VirtioNet other({}, {}, {}, memory);
  VirtioMmio restored(other, memory, {lines, 16}, cpus);
  ASSERT_TRUE(testing::load(restored, saved));
  EXPECT_EQ(testing::save(restored), saved);
  buffer(0, kData, 100);
  buffer(1, kData + 0x100, 100);
  notify(restored, kReceive);
  EXPECT_EQ(used_count(kReceive), 2u);
  EXPECT_EQ(text(kData + kHeader, 5), "first");
}

TEST_F(VirtioNetTest, BreaksWhereBuffersAreNotInMemory) {
  start(device, 2, kMergeable);
  buffer(0, 0x7fffffff000, 100);
  come("frame");
  EXPECT_NE(read(device, 0x070) & 0x40, 0u) << "it needs a reset";
  EXPECT_FALSE(device.has_work());
}

// Whatever a guest writes into its rings, and whatever comes: bounded, and no harm.
TEST_F(VirtioNetTest, SurvivesAnything) {
  std::minstd_rand random(1);
  for (unsigned round = 0; round < 200; ++round) {
    start(device, 2, random() % 2 != 0 ? kMergeable : 0);
    for (unsigned i = 0; i < 0x3000; i += 4) {
      if (random() % 3 == 0) poke<std::uint32_t>(0x1000 + i, static_cast<std::uint32_t>(random()));
      if (random() % 64 == 0) poke<std::uint16_t>(0x2002, static_cast<std::uint16_t>(random() % 9));
    }
    come(std::string(random() % 3000, 'x'));
    for (unsigned queue = 0; queue < 3; ++queue) {
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

#include "machine/console/virtio_console.h"

#include <gtest/gtest.h>

#include <random>

#include "machine/testing/state_bytes.h"
#include "machine/testing/virtio_driver.h"

namespace ringside::machine {
namespace {

using testing::bytes_of, testing::text_of;

constexpr unsigned kReceive = VirtioConsole::kReceive, kTransmit = VirtioConsole::kTransmit;
constexpr std::uint64_t kData = 0x10000;
constexpr std::uint32_t kNeedsReset = 0x40;

struct VirtioConsoleTest : ::testing::Test, testing::VirtioDriver {
  std::string said;
  unsigned pieces = 0, rooms = 0;
  bool is_full = false;
  VirtioConsole console{ByteSink(
                            [this](std::span<const std::byte> bytes) {
                              said += text_of(bytes);
                              ++pieces;
                            },
                            [this] { return is_full; }),
                        [this] { ++rooms; }, memory};
  VirtioMmio device{console, memory, {lines, 16}, cpus};

  void open() {
    start(device, 2, 0);
    notify(device, kReceive);
  }
  void come(std::string_view text) {
    console.receive(bytes_of(text));
    device.input_came();
    work(device);
  }
  void say(std::string_view text, std::uint16_t head = 0) {
    put(kData, text);
    publish(kTransmit, head, {{kData, static_cast<std::uint32_t>(text.size()), false}});
    notify(device, kTransmit);
  }
  bool is_broken() { return (read(device, 0x070) & kNeedsReset) != 0; }
};

TEST_F(VirtioConsoleTest, SaysWhatItIs) {
  EXPECT_EQ(read(device, 0x008), 3u);
  EXPECT_EQ(read(device, 0x010), 1u << 28) << "no feature but the transport's";
}

TEST_F(VirtioConsoleTest, SaysWhatTheGuestSends) {
  start(device, 2, 0);
  put(kData, "in two parts");
  publish(kTransmit, 0, {{kData, 3, false}, {kData, 0, false}, {kData + 3, 9, false}});
  publish(kTransmit, 4, {{kData, 2, false}});
  notify(device, kTransmit);
  EXPECT_EQ(said, "in two partsin");
  EXPECT_EQ(used_count(kTransmit), 2u);
  EXPECT_EQ(used_head(kTransmit, 1), 4u);
  EXPECT_EQ(used_bytes(kTransmit, 0), 0u);
  EXPECT_TRUE(lines.level[16]);
}

TEST_F(VirtioConsoleTest, SendsMuchInPieces) {
  start(device, 2, 0);
  publish(kTransmit, 0, {{kData, 40000, false}});
  notify(device, kTransmit);
  EXPECT_EQ(said.size(), 40000u);
  EXPECT_EQ(pieces, 3u);
  EXPECT_EQ(used_count(kTransmit), 1u);
}

// The same number of parts of work, whether it waited or not.
TEST_F(VirtioConsoleTest, WaitsForRoomAndWorksAsOften) {
  const auto parts_of_work = [&](bool waits) {
    start(device, 2, 0);
    said.clear();
    is_full = waits;
    put(kData, "text");
    for (const std::uint16_t head : {0, 1, 2})
      publish(kTransmit, head, {{kData, 4, false}});
    write(device, 0x050, kTransmit);
    unsigned parts = 0, waited = 0;
    for (; device.has_work(); ++parts) {
      if (device.awaits_room()) {
        EXPECT_FALSE(device.can_work());
        EXPECT_EQ(used_count(kTransmit), waited);
        ++waited;
        is_full = false;
      }
      EXPECT_TRUE(device.can_work());
      device.work();
      is_full = waits;
    }
    EXPECT_EQ(said, "texttexttext");
    EXPECT_EQ(waited, waits ? 3u : 0u);
    return parts;
  };
  const unsigned parts = parts_of_work(false);
  EXPECT_EQ(parts_of_work(true), parts);
}

TEST_F(VirtioConsoleTest, GivesWhatIsTyped) {
  EXPECT_EQ(console.room(), 0u);
  start(device, 2, 0);
  EXPECT_EQ(console.room(), 0u) << "the driver has given no buffers yet";
  console.receive(bytes_of("early"));
  notify(device, kReceive);
  EXPECT_EQ(rooms, 1u);
  EXPECT_EQ(console.room(), VirtioConsole::kMaxWaiting);
  come("typed");
  EXPECT_EQ(console.room(), VirtioConsole::kMaxWaiting - 5);
  EXPECT_EQ(used_count(kReceive), 0u);
  publish(kReceive, 0, {{kData, 1, true}, {kData + 1, 2, true}});
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 1u);
  EXPECT_EQ(used_bytes(kReceive, 0), 3u);
  EXPECT_EQ(rooms, 1u);
  publish(kReceive, 2, {{kData + 3, 0, true}});
  publish(kReceive, 3, {{kData + 3, 100, true}});
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 3u);
  EXPECT_EQ(used_bytes(kReceive, 1), 0u);
  EXPECT_EQ(used_bytes(kReceive, 2), 2u);
  EXPECT_EQ(text(kData, 5), "typed");
  EXPECT_EQ(rooms, 2u);
  EXPECT_TRUE(lines.level[16]);
}

TEST_F(VirtioConsoleTest, KeepsSoMuch) {
  open();
  come(std::string(VirtioConsole::kMaxWaiting - 1, 'x'));
  EXPECT_EQ(console.room(), 1u);
  come("yz");
  EXPECT_EQ(console.room(), 0u);
  publish(kReceive, 0, {{kData, 0x10000, true}});
  notify(device, kReceive);
  EXPECT_EQ(used_bytes(kReceive, 0), VirtioConsole::kMaxWaiting);
  EXPECT_EQ(text(kData + VirtioConsole::kMaxWaiting - 2, 2), "xy");
  come("lost with the reset");
  write(device, 0x070, 0);
  EXPECT_EQ(console.room(), 0u);
  open();
  publish(kReceive, 0, {{kData, 100, true}});
  notify(device, kReceive);
  EXPECT_EQ(used_count(kReceive), 0u);
}

TEST_F(VirtioConsoleTest, BreaksWhereBuffersMakeNoSense) {
  start(device, 2, 0);
  publish(kTransmit, 0, {{kData, 4, false}, {kData, 4, true}});
  notify(device, kTransmit);
  EXPECT_TRUE(is_broken()) << "nothing is to be written into what is sent";
  start(device, 2, 0);
  publish(kTransmit, 0, {{0x7fffffff000, 4, false}});
  notify(device, kTransmit);
  EXPECT_TRUE(is_broken()) << "what is sent is not in memory";
  open();
  publish(kReceive, 0, {{kData, 4, false}});
  come("text");
  EXPECT_TRUE(is_broken()) << "there is something to read";
  open();
  publish(kReceive, 0, {{0x7fffffff000, 4, true}});
  come("text");
  EXPECT_TRUE(is_broken()) << "there is no memory";
  EXPECT_FALSE(device.has_work());
  EXPECT_EQ(said, "");
}

TEST_F(VirtioConsoleTest, SavesWhatWaits) {
  open();
  come("typed");
  is_full = true;
  say("said");
  EXPECT_TRUE(device.awaits_room());
  const std::vector<std::byte> saved = testing::save(device);
  std::string others;
  VirtioConsole other([&](std::span<const std::byte> bytes) { others += text_of(bytes); }, {},
                      memory);
  VirtioMmio restored(other, memory, {lines, 16}, cpus);
  ASSERT_TRUE(testing::load(restored, saved));
  EXPECT_EQ(testing::save(restored), saved);
  EXPECT_EQ(other.room(), VirtioConsole::kMaxWaiting - 5);
  work(restored);
  EXPECT_EQ(others, "said");
  publish(kReceive, 0, {{kData, 5, true}});
  notify(restored, kReceive);
  EXPECT_EQ(text(kData, 5), "typed");
}

// Whatever a guest writes into its rings, and whatever comes: bounded, and no harm.
TEST_F(VirtioConsoleTest, SurvivesAnything) {
  std::minstd_rand random(1);
  for (unsigned round = 0; round < 200; ++round) {
    start(device, 2, 0);
    for (unsigned i = 0; i < 0x8000; i += 4) {
      if (random() % 3 != 0) continue;
      // Sizes and addresses that are mostly in memory.
      poke(0x1000 + i,
           static_cast<std::uint32_t>(random() % 4 == 0 ? random() : random() % 0x9000));
    }
    for (unsigned queue = 0; queue < 3; ++queue) {
      if (queue < 2) poke(available(queue) + 2, static_cast<std::uint16_t>(random() % 9));
      write(device, 0x050, queue);
      come(std::string(random() % 3000, 'x'));
      for (unsigned parts = 0; device.has_work(); ++parts) {
        ASSERT_LT(parts, 100'000u);
        device.work();
      }
    }
    ASSERT_LE(said.size(), std::size_t{1} << 30);
    said.clear();
  }
}

}  // namespace
}  // namespace ringside::machine

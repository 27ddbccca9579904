#include "machine/random/virtio_random.h"

#include <gtest/gtest.h>

#include <random>

#include "machine/testing/state_bytes.h"
#include "machine/testing/virtio_driver.h"

namespace ringside::machine {
namespace {

using testing::bytes_of;

constexpr std::uint64_t kSpace = 0x10000;
constexpr std::uint32_t kNeedsReset = 0x40;

struct VirtioRandomTest : ::testing::Test, testing::VirtioDriver {
  unsigned asked = 0;
  VirtioRandom random{[this] { ++asked; }, memory};
  VirtioMmio device{random, memory, {lines, 16}, cpus};

  void ask(std::initializer_list<Part> parts) {
    publish(0, 0, parts);
    notify(device, 0);
  }
  void come(std::string_view bytes) {
    random.receive(bytes_of(bytes));
    device.input_came();
    work(device);
  }
  bool is_broken() { return (read(device, 0x070) & kNeedsReset) != 0; }
};

TEST_F(VirtioRandomTest, SaysWhatItIs) {
  EXPECT_EQ(read(device, 0x008), 4u);
  EXPECT_EQ(read(device, 0x100), 0u) << "it has no configuration";
}

TEST_F(VirtioRandomTest, WaitsForBytesAndGivesThem) {
  start(device, 1, 0);
  EXPECT_EQ(random.wanted(), 0u);
  ask({{kSpace, 3, true}, {kSpace + 0x100, 7, true}});
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(random.wanted(), 10u);
  EXPECT_TRUE(device.has_work() && device.awaits_input());
  EXPECT_EQ(used_count(0), 0u);
  come("0123456789");
  EXPECT_FALSE(device.has_work());
  EXPECT_EQ(random.wanted(), 0u);
  EXPECT_EQ(used_count(0), 1u);
  EXPECT_EQ(used_bytes(0, 0), 10u);
  EXPECT_EQ(text(kSpace, 3) + text(kSpace + 0x100, 7), "0123456789");
  EXPECT_TRUE(lines.level[16]);
}

TEST_F(VirtioRandomTest, GivesFewerWhereFewerCome) {
  start(device, 1, 0);
  ask({{kSpace, 10, true}});
  come("");
  EXPECT_TRUE(device.awaits_input()) << "there is at least one";
  come("ab");
  EXPECT_EQ(used_bytes(0, 0), 2u);
}

TEST_F(VirtioRandomTest, GivesNoMoreThanIsWanted) {
  start(device, 1, 0);
  put(kSpace, "....");
  ask({{kSpace, 2, true}});
  come("abcd");
  EXPECT_EQ(used_bytes(0, 0), 2u);
  EXPECT_EQ(text(kSpace, 4), "ab..");
  ask({{kSpace, 0x20000, true}});
  EXPECT_EQ(random.wanted(), VirtioRandom::kMaxBytes);
  come(std::string(VirtioRandom::kMaxBytes + 1, 'x'));
  EXPECT_EQ(used_bytes(0, 1), VirtioRandom::kMaxBytes);
}

TEST_F(VirtioRandomTest, TakesNothingUnasked) {
  start(device, 1, 0);
  come("before");
  ask({{kSpace, 4, true}});
  EXPECT_TRUE(device.awaits_input());
  write(device, 0x070, 0);  // the driver resets the device
  EXPECT_FALSE(device.has_work());
  come("late");
  start(device, 1, 0);
  ask({{kSpace, 4, true}});
  EXPECT_EQ(used_count(0), 0u);
  EXPECT_EQ(random.wanted(), 4u);
  come("good");
  EXPECT_EQ(text(kSpace, 4), "good");
}

TEST_F(VirtioRandomTest, BreaksWhereARequestMakesNoSense) {
  start(device, 1, 0);
  ask({{kSpace, 4, false}});
  EXPECT_TRUE(is_broken()) << "there is nothing to write into";
  start(device, 1, 0);
  ask({{kSpace, 4, false}, {kSpace, 4, true}});
  EXPECT_TRUE(is_broken()) << "there is something to read";
  start(device, 1, 0);
  ask({{kSpace, 0, true}});
  EXPECT_TRUE(is_broken()) << "there is room for nothing";
  start(device, 1, 0);
  EXPECT_EQ(asked, 0u);
  ask({{0x7fffffff000, 4, true}});
  come("abcd");
  EXPECT_TRUE(is_broken()) << "it is not in memory";
  EXPECT_FALSE(device.has_work());
}

TEST_F(VirtioRandomTest, SavesARequestThatIsUnderWay) {
  start(device, 1, 0);
  ask({{kSpace, 4, true}});
  const std::vector<std::byte> saved = testing::save(device);
  VirtioRandom other({}, memory);
  VirtioMmio restored(other, memory, {lines, 16}, cpus);
  ASSERT_TRUE(testing::load(restored, saved));
  EXPECT_EQ(testing::save(restored), saved);
  EXPECT_TRUE(restored.awaits_input());
  EXPECT_EQ(other.wanted(), 4u);
  other.receive(bytes_of("four"));
  restored.input_came();
  work(restored);
  EXPECT_EQ(text(kSpace, 4), "four");
}

// Whatever a guest writes into its rings: bounded, and no harm.
TEST_F(VirtioRandomTest, SurvivesAnything) {
  std::minstd_rand numbers(1);
  for (unsigned round = 0; round < 200; ++round) {
    start(device, 1, 0);
    for (unsigned i = 0; i < 0x3000; i += 4) {
      if (numbers() % 3 == 0) poke(0x1000 + i, static_cast<std::uint32_t>(numbers()));
    }
    poke<std::uint16_t>(0x2002, static_cast<std::uint16_t>(numbers() % 9));
    notify(device, 0);
    for (unsigned parts = 0; device.has_work(); ++parts) {
      ASSERT_LT(parts, 1000u);
      ASSERT_LE(random.wanted(), VirtioRandom::kMaxBytes);
      come("bytes");
    }
  }
}

}  // namespace
}  // namespace ringside::machine

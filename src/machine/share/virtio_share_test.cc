#include "machine/share/virtio_share.h"

#include <gtest/gtest.h>

#include "machine/testing/state_bytes.h"
#include "machine/testing/virtio_driver.h"

namespace ringside::machine {
namespace {

using testing::bytes_of, testing::text_of;

constexpr std::uint64_t kRequest = 0x10000, kAnswer = 0x20000;

struct VirtioShareTest : ::testing::Test, testing::VirtioDriver {
  std::vector<std::string> requests;
  VirtioShare share{
      "work", [this](std::span<const std::byte> bytes) { requests.push_back(text_of(bytes)); },
      memory};
  VirtioMmio device{share, memory, {lines, 16}, cpus};

  void ask(std::string_view text, std::uint16_t head = 0, std::uint32_t room = 64) {
    put(kRequest, text);
    publish(0, head,
            {{kRequest, 2, false},
             {kRequest + 2, static_cast<std::uint32_t>(text.size() - 2), false},
             {kAnswer, 8, true},
             {kAnswer + 0x100, room - 8, true}});
    notify(device, 0);
  }
  void answer(std::string_view text) {
    share.receive(bytes_of(text));
    device.input_came();
    work(device);
  }
};

TEST_F(VirtioShareTest, SaysItsTag) {
  EXPECT_EQ(read(device, 0x008), 9u);
  EXPECT_EQ(read(device, 0x100), 0x6f770004u);
  EXPECT_EQ(read(device, 0x104), 0x00006b72u);
  EXPECT_EQ(read(device, 0x010) & 1, 1u);
}

TEST_F(VirtioShareTest, CarriesARequestAndItsAnswer) {
  start(device, 1, 1);
  EXPECT_FALSE(share.is_in_use());
  ask("a request");
  EXPECT_EQ(requests, (std::vector<std::string>{"a request"}));
  EXPECT_TRUE(device.has_work());
  EXPECT_TRUE(device.awaits_input());
  EXPECT_TRUE(share.is_in_use());
  EXPECT_EQ(used_count(0), 0u);
  answer("its answer");
  EXPECT_FALSE(device.has_work());
  EXPECT_EQ(used_count(0), 1u);
  EXPECT_EQ(used_bytes(0, 0), 10u);
  EXPECT_EQ(text(kAnswer, 8) + text(kAnswer + 0x100, 2), "its answer");
  EXPECT_TRUE(lines.level[16]);
}

TEST_F(VirtioShareTest, ServesOneRequestAfterTheOther) {
  start(device, 1, 1);
  ask("first");
  ask("second", 4);
  EXPECT_EQ(requests.size(), 1u);
  answer("one");
  EXPECT_EQ(requests, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(used_count(0), 1u);
  answer("two");
  EXPECT_EQ(used_count(0), 2u);
  EXPECT_EQ(used_head(0, 1), 4u);
}

// The server answers in order, and what has been given up too.
TEST_F(VirtioShareTest, TakesNoAnswerForAnother) {
  start(device, 1, 1);
  ask("first");
  start(device, 1, 1);  // the driver has reset the device
  EXPECT_FALSE(share.is_in_use());
  ask("second");
  write(device, 0x030, 0);
  write(device, 0x044, 0);  // the queue is given up
  EXPECT_FALSE(device.has_work());
  start(device, 1, 1);
  ask("third");
  EXPECT_EQ(requests, (std::vector<std::string>{"first", "second", "third"}));
  answer("one");
  answer("two");
  EXPECT_EQ(used_count(0), 0u);
  answer("three");
  EXPECT_EQ(used_count(0), 1u);
  EXPECT_EQ(text(kAnswer, 5), "three");
  answer("to nothing");
  EXPECT_EQ(used_count(0), 1u);
}

TEST_F(VirtioShareTest, BreaksWhereAnAnswerHasNoRoom) {
  start(device, 1, 1);
  ask("request", 0, 10);
  answer("eleven long");
  EXPECT_NE(read(device, 0x070) & 0x40, 0u);
  EXPECT_FALSE(device.has_work());
}

TEST_F(VirtioShareTest, SavesARequestThatIsUnderWay) {
  start(device, 1, 1);
  ask("request");
  const std::vector<std::byte> saved = testing::save(device);
  VirtioShare other("work", {}, memory);
  VirtioMmio restored(other, memory, {lines, 16}, cpus);
  ASSERT_TRUE(testing::load(restored, saved));
  EXPECT_EQ(testing::save(restored), saved);
  EXPECT_TRUE(restored.awaits_input());
  other.receive(bytes_of("answer"));
  restored.input_came();
  work(restored);
  EXPECT_EQ(used_count(0), 1u);
  EXPECT_EQ(text(kAnswer, 6), "answer");
}

TEST_F(VirtioShareTest, RefusesWhatIsNotInMemoryOrTooLong) {
  start(device, 1, 1);
  publish(0, 0, {{0x7fffffff000, 10, false}, {kAnswer, 64, true}});
  notify(device, 0);
  EXPECT_NE(read(device, 0x070) & 0x40, 0u);
  start(device, 1, 1);
  publish(0, 0, {{0x1000, VirtioShare::kMaxMessage, false}, {kRequest, 1, false}});
  notify(device, 0);
  EXPECT_NE(read(device, 0x070) & 0x40, 0u);
  EXPECT_TRUE(requests.empty());
}

}  // namespace
}  // namespace ringside::machine

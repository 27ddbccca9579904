#include "machine/virtio/virtio_pci.h"

#include <gtest/gtest.h>

#include <random>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/fake_messages.h"
#include "machine/testing/guest_memory.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kRegisters = 0xc0000000, kVectors = 0xc0010000;
// Of queue 0; those of queue 1 are a page behind.
constexpr std::uint64_t kDescriptors = 0x1000, kAvailable = 0x3000, kUsed = 0x5000, kData = 0x8000;
constexpr std::uint16_t kWrite = 2;

// Puts the queue's number and a count into what each request lets it write.
class Counter final : public VirtioDevice {
 public:
  explicit Counter(DmaMemory memory) : memory_(memory) {}
  std::uint32_t id() const override { return 42; }
  std::uint64_t features() const override { return 0x5; }
  std::span<const std::byte> configuration() const override {
    return std::as_bytes(std::span(configuration_));
  }
  unsigned queues() const override { return 2; }
  bool begin(unsigned queue, const VirtioChain& chain) override {
    if (chain.writable.empty()) return false;
    queue_ = queue;
    to_ = chain.writable.front().address;
    return true;
  }
  Progress go_on(Allowance& allowance) override {
    if (waits != 0) {
      --waits;
      return Progress::Waits;
    }
    if (is_slow) allowance.spend_all();
    ++count;
    return memory_.write(to_, queue_ << 16 | count) ? Progress::Over : Progress::Broken;
  }
  std::uint32_t written() const override { return 4; }
  void visit_request(StateVisitor& visitor) override { visitor.fields(queue_, to_); }

  unsigned count = 0, waits = 0;
  bool is_slow = false;

 private:
  DmaMemory memory_;
  std::uint32_t queue_ = 0;
  Gpa to_{0};
  std::array<std::uint32_t, 3> configuration_{0x11223344, 0x55667788, 0x99aabbcc};
};

struct VirtioPciTest : ::testing::Test, testing::GuestMemory {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  testing::FakeMessages messages;
  DmaMemory memory{ram, cpus};
  Counter counter{memory};
  VirtioPci device{counter, memory, {lines, 16}, messages, cpus};
  std::array<std::uint16_t, 2> published{};

  std::uint32_t configuration(unsigned offset, unsigned width) {
    return device.read_configuration(offset, width);
  }
  void configure(unsigned offset, unsigned width, std::uint32_t value) {
    device.write_configuration(offset, width, value);
  }
  std::uint64_t get(std::uint64_t offset, unsigned width, unsigned bar = 0) {
    return device.read_bar(bar, {{}, offset, width});
  }
  void set(std::uint64_t offset, unsigned width, std::uint64_t value, unsigned bar = 0) {
    device.write_bar(bar, {{}, offset, width}, value);
  }

  static std::uint64_t of_queue(std::uint64_t place, unsigned queue) {
    return place + queue * kPageSize;
  }
  // The capability of the kind, or 0.
  unsigned find(unsigned kind) {
    for (unsigned at = configuration(0x34, 1); at != 0; at = configuration(at + 1, 1)) {
      if (configuration(at, 1) == 9 && configuration(at + 3, 1) == kind) return at;
    }
    return 0;
  }
  unsigned msix() {
    for (unsigned at = configuration(0x34, 1); at != 0; at = configuration(at + 1, 1)) {
      if (configuration(at, 1) == 0x11) return at;
    }
    return 0;
  }
  void start() {
    configure(4, 2, 6);
    set(0x14, 1, 0);
    set(0x14, 1, 3);
    set(0x08, 4, 1);
    set(0x0c, 4, 1);  // VERSION_1
    set(0x14, 1, 0xb);
    ASSERT_EQ(get(0x14, 1), 0xbu);
    for (unsigned queue = 0; queue < 2; ++queue) {
      set(0x16, 2, queue);
      set(0x18, 2, 8);
      set(0x20, 8, of_queue(kDescriptors, queue));
      set(0x28, 4, of_queue(kAvailable, queue));
      set(0x30, 4, of_queue(kUsed, queue));
      set(0x1c, 2, 1);
    }
    set(0x14, 1, 0xf);
    published = {};
  }
  // A message for each vector: 0x30, 0x31, 0x32; the queues' are 1 and 2.
  void use_messages() {
    for (unsigned vector = 0; vector < 3; ++vector) {
      set(16 * vector, 8, 0xfee00000, 1);
      set(16 * vector + 8, 8, 0x30 + vector, 1);
    }
    configure(msix() + 2, 2, 0x8000);
    set(0x10, 2, 0);
    for (unsigned queue = 0; queue < 2; ++queue) {
      set(0x16, 2, queue);
      set(0x1a, 2, queue + 1);
      EXPECT_EQ(get(0x1a, 2), queue + 1);
    }
  }
  std::uint64_t place(unsigned queue) const { return of_queue(kData, queue); }
  void publish(unsigned queue, unsigned requests = 1) {
    for (unsigned i = 0; i < requests; ++i) {
      const std::uint64_t at = of_queue(kDescriptors, queue);
      poke(at, place(queue));
      poke<std::uint32_t>(at + 8, 4);
      poke<std::uint16_t>(at + 12, kWrite);
      poke<std::uint16_t>(of_queue(kAvailable, queue) + 4 + 2 * (published[queue] % 8), 0);
      ++published[queue];
    }
    poke(of_queue(kAvailable, queue) + 2, published[queue]);
  }
  void ask(unsigned queue, unsigned requests = 1) {
    publish(queue, requests);
    set(0x3000 + 4 * queue, 2, queue);
  }
  std::uint16_t answered(unsigned queue) { return peek<std::uint16_t>(of_queue(kUsed, queue) + 2); }
};

TEST_F(VirtioPciTest, IntroducesItself) {
  EXPECT_EQ(configuration(0, 4), 0x106a1af4u);
  EXPECT_EQ(configuration(8, 1), 1u);
  EXPECT_EQ(configuration(0x3d, 1), 1u);
  const auto range = [&](unsigned kind) {
    const unsigned at = find(kind);
    return std::tuple(configuration(at + 4, 1), configuration(at + 8, 4),
                      configuration(at + 12, 4));
  };
  EXPECT_EQ(range(1), std::tuple(0u, 0u, 0x38u));
  EXPECT_EQ(range(2), std::tuple(0u, 0x3000u, 8u));
  EXPECT_EQ(configuration(find(2) + 16, 4), 4u);
  EXPECT_EQ(range(3), std::tuple(0u, 0x1000u, 1u));
  EXPECT_EQ(range(4), std::tuple(0u, 0x2000u, 12u));
  EXPECT_NE(find(5), 0u);
  EXPECT_EQ(configuration(msix() + 2, 2), 2u);  // three vectors
  EXPECT_EQ(configuration(msix() + 4, 4), 1u);
  EXPECT_EQ(get(0x12, 2), 2u);
  EXPECT_EQ(get(0x2000, 4), 0x11223344u);
  EXPECT_EQ(get(0x2002, 2), 0x1122u);
  EXPECT_EQ(get(0x2004, 8), 0x99aabbcc55667788u);
}

TEST_F(VirtioPciTest, NegotiatesFeatures) {
  set(0x00, 4, 0);
  EXPECT_EQ(get(0x04, 4), 0x10000005u);
  set(0x00, 4, 1);
  EXPECT_EQ(get(0x04, 4), 1u);
  set(0x14, 1, 3);
  set(0x08, 4, 0);
  set(0x0c, 4, 2);  // not offered
  set(0x08, 4, 1);
  set(0x0c, 4, 1);
  set(0x14, 1, 0xb);
  EXPECT_EQ(get(0x14, 1), 3u);
}

TEST_F(VirtioPciTest, QueuesAreApart) {
  start();
  ask(1);
  EXPECT_EQ(answered(0), 0u);
  EXPECT_EQ(answered(1), 1u);
  EXPECT_EQ(peek<std::uint32_t>(place(1)), 0x10001u);
  ask(0, 2);
  EXPECT_EQ(answered(0), 2u);
  EXPECT_EQ(answered(1), 1u);
  EXPECT_EQ(peek<std::uint32_t>(place(0)), 3u);
  set(0x16, 2, 2);  // there is no such queue
  EXPECT_EQ(get(0x18, 2), 0u);
  EXPECT_EQ(get(0x1c, 2), 0u);
  set(0x3008, 2, 2);
  set(0x16, 2, 1);
  EXPECT_EQ(get(0x18, 2), 8u);
  EXPECT_EQ(get(0x1e, 2), 1u);
  EXPECT_EQ(get(0x30, 8), of_queue(kUsed, 1));
}

TEST_F(VirtioPciTest, AnInterruptIsTakenAwayByReadingItsStatus) {
  start();
  ask(0);
  EXPECT_TRUE(lines.level[16]);
  EXPECT_EQ(device.peek_bar(0, {{}, 0x1000, 1}), 1u);
  EXPECT_TRUE(lines.level[16]);
  EXPECT_EQ(get(0x1000, 1), 1u);
  EXPECT_FALSE(lines.level[16]);
  EXPECT_EQ(get(0x1000, 1), 0u);
  EXPECT_TRUE(messages.sent.empty());
}

TEST_F(VirtioPciTest, SendsMessagesWhereTheyAreSwitchedOn) {
  start();
  use_messages();
  ask(1);
  ask(0);
  EXPECT_EQ(messages.sent, (std::vector<std::pair<std::uint64_t, std::uint32_t>>{
                               {0xfee00000, 0x32}, {0xfee00000, 0x31}}));
  EXPECT_EQ(lines.rises[16], 0u);
  configure(msix() + 2, 2, 0xc000);  // all are masked
  ask(0);
  EXPECT_EQ(messages.sent.size(), 2u);
  configure(msix() + 2, 2, 0x8000);
  EXPECT_EQ(messages.sent.size(), 3u);
  set(0x16, 2, 0);
  set(0x1a, 2, 3);  // there is no such vector
  EXPECT_EQ(get(0x1a, 2), 0xffffu);
  ask(0);
  EXPECT_EQ(messages.sent.size(), 3u);
  poke<std::uint32_t>(of_queue(kDescriptors, 0) + 12, 0);  // nothing to write to
  poke<std::uint16_t>(of_queue(kAvailable, 0) + 2, static_cast<std::uint16_t>(published[0] + 1));
  set(0x3000, 2, 0);
  EXPECT_EQ(get(0x14, 1) & 0x40, 0x40u);
  EXPECT_EQ(messages.sent.size(), 4u);
  EXPECT_EQ(messages.sent.back().second, 0x30u);
}

TEST_F(VirtioPciTest, ReachesMemoryOnlyAsMaster) {
  start();
  use_messages();
  configure(4, 2, 2);
  ask(0);
  EXPECT_EQ(answered(0), 0u);
  EXPECT_FALSE(device.has_work());
  configure(4, 2, 6);
  EXPECT_EQ(answered(0), 1u);
  EXPECT_EQ(messages.sent.size(), 1u);
  counter.is_slow = true;
  ask(0, 5);
  EXPECT_TRUE(device.has_work());
  configure(4, 2, 2);
  EXPECT_FALSE(device.has_work());
  const unsigned moves = cpus.deadline_moves;
  configure(4, 2, 6);
  EXPECT_TRUE(device.has_work());
  EXPECT_GT(cpus.deadline_moves, moves);
  while (device.has_work())
    device.work();
  EXPECT_EQ(answered(0), 6u);
}

TEST_F(VirtioPciTest, MemoryIsReachedThroughConfigurationToo) {
  start();
  const unsigned at = find(5);
  const auto through = [&](unsigned offset, unsigned width) {
    configure(at + 4, 1, 0);
    configure(at + 8, 4, offset);
    configure(at + 12, 4, width);
  };
  through(0x14, 1);
  EXPECT_EQ(configuration(at + 16, 1), 0xfu);
  through(0x2004, 4);
  EXPECT_EQ(configuration(at + 16, 4), 0x55667788u);
  EXPECT_EQ(configuration(at + 16, 2), 0u);  // another width than was named
  publish(1);
  through(0x3004, 2);
  configure(at + 16, 2, 1);
  EXPECT_EQ(answered(1), 1u);
  through(0x1000, 1);
  EXPECT_EQ(device.peek_configuration(at + 16, 1), 1u);
  EXPECT_EQ(configuration(at + 16, 1), 1u);
  EXPECT_EQ(configuration(at + 16, 1), 0u);
  for (const auto& [bar, offset, width] :
       {std::tuple(0u, 0x3ffeu, 4u), std::tuple(2u, 0u, 4u), std::tuple(0xffu, 0u, 4u),
        std::tuple(0u, 0x13u, 2u), std::tuple(0u, 0xfffffffcu, 4u)}) {
    configure(at + 4, 1, bar);
    configure(at + 8, 4, offset);
    configure(at + 12, 4, width);
    configure(at + 16, width, ~0u);
    EXPECT_EQ(configuration(at + 16, width), 0u);
  }
}

TEST_F(VirtioPciTest, AResetOfTheDeviceLeavesItsConfiguration) {
  start();
  use_messages();
  configure(0x10, 4, static_cast<std::uint32_t>(kRegisters));
  configure(0x14, 4, static_cast<std::uint32_t>(kVectors));
  set(0x14, 1, 0);
  EXPECT_EQ(get(0x14, 1), 0u);
  set(0x16, 2, 1);
  EXPECT_EQ(get(0x1c, 2), 0u);
  EXPECT_EQ(get(0x1a, 2), 0xffffu);
  EXPECT_EQ(configuration(0x10, 4), kRegisters);
  EXPECT_EQ(configuration(4, 2), 6u);
  EXPECT_EQ(configuration(msix() + 2, 2), 0x8002u);
  EXPECT_EQ(get(8, 4, 1), 0x30u);
  device.reset();
  EXPECT_EQ(configuration(0x10, 4), 0u);
  EXPECT_EQ(configuration(4, 2), 0u);
  EXPECT_EQ(configuration(msix() + 2, 2), 2u);
  EXPECT_EQ(get(12, 4, 1), 1u);
}

TEST_F(VirtioPciTest, OneRequestAfterTheOther) {
  start();
  counter.is_slow = true;
  ask(1, 2);
  ask(0, 2);
  EXPECT_EQ(answered(1), 1u);
  std::vector<unsigned> order;
  while (device.has_work()) {
    const unsigned before = answered(0);
    device.work();
    order.push_back(answered(0) == before ? 1 : 0);
  }
  EXPECT_EQ(answered(0), 2u);
  EXPECT_EQ(answered(1), 2u);
}

TEST_F(VirtioPciTest, StateMovesInTheMiddleOfARequest) {
  start();
  use_messages();
  counter.waits = 1;
  ask(1, 3);
  ASSERT_TRUE(device.has_work());
  const std::vector<std::byte> saved = testing::save(device);
  Counter other_counter(memory);
  VirtioPci other(other_counter, memory, {lines, 17}, messages, cpus);
  EXPECT_TRUE(testing::load(other, saved));
  EXPECT_EQ(testing::save(other), saved);
  while (other.has_work())
    other.work();
  EXPECT_EQ(answered(1), 3u);
  EXPECT_EQ(peek<std::uint32_t>(place(1)), 0x10003u);
  EXPECT_EQ(messages.sent.size(), 1u);
}

// Whatever a file says, or a guest writes.
TEST_F(VirtioPciTest, SurvivesAnything) {
  std::mt19937 random(5);
  start();
  use_messages();
  counter.waits = 1;
  ask(1, 3);
  const std::vector<std::byte> saved = testing::save(device);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> state = saved;
    for (unsigned i = 0; i < 1 + random() % 4; ++i)
      state[random() % state.size()] = static_cast<std::byte>(random());
    Counter any_counter(memory);
    VirtioPci any(any_counter, memory, {lines, 17}, messages, cpus);
    if (!testing::load(any, state)) continue;
    for (unsigned i = 0; i < 20 && any.has_work(); ++i)
      any.work();
    for (unsigned i = 0; i < 20; ++i) {
      const unsigned width = 1u << random() % 4;
      const std::uint64_t offset = random() % 0x4000 & ~(width - 1);
      if (random() % 4 == 0 && width < 8) {
        any.write_configuration(offset % 256, width, static_cast<std::uint32_t>(random()));
        any.read_configuration(offset % 256, width);
      } else {
        any.write_bar(random() % 2, {{}, offset, width}, random());
        any.read_bar(random() % 2, {{}, offset, width});
      }
    }
  }
}

}  // namespace
}  // namespace ringside::machine

#include "machine/clocks/event_queue.h"

#include <gtest/gtest.h>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

using testing::FakeCpuPort;

struct Recorder final : EventSink {
  std::vector<std::pair<unsigned, std::uint64_t>> ran;
  void run_event(unsigned code, VirtualTime due) override { ran.emplace_back(code, due.ns); }
};

using Ran = std::vector<std::pair<unsigned, std::uint64_t>>;

TEST(EventQueue, RunsByTimeAndThenBySlot) {
  FakeCpuPort cpus;
  EventQueue queue(cpus);
  Recorder sink;
  Timer a(queue, sink, 0), b(queue, sink, 1), c(queue, sink, 2);
  c.arm({10});
  b.arm({20});
  a.arm({20});
  EXPECT_EQ(queue.next(), VirtualTime{10});
  queue.run({19});
  EXPECT_EQ(sink.ran, (Ran{{2, 10}}));
  queue.run({25});
  EXPECT_EQ(sink.ran, (Ran{{2, 10}, {0, 20}, {1, 20}}));
  EXPECT_EQ(queue.next(), kNever);
}

TEST(EventQueue, TellsTheCpusOnlyWhenTheDeadlineGetsEarlier) {
  FakeCpuPort cpus;
  EventQueue queue(cpus);
  Recorder sink;
  Timer a(queue, sink), b(queue, sink);
  a.arm({10});
  EXPECT_EQ(cpus.deadline_moves, 1u);
  b.arm({20});
  a.arm({30});
  EXPECT_EQ(cpus.deadline_moves, 1u);
  EXPECT_EQ(queue.next(), VirtualTime{20});
  b.cancel();
  EXPECT_EQ(queue.next(), VirtualTime{30});
  b.arm({5});
  EXPECT_EQ(cpus.deadline_moves, 2u);
}

struct Repeating final : EventSink {
  explicit Repeating(EventQueue& queue) : timer(queue, *this) {}
  Timer timer;
  unsigned count = 0;
  void run_event(unsigned, VirtualTime due) override {
    ++count;
    timer.arm(due + 10);
  }
};

TEST(EventQueue, LetsASinkArmAgainFromWithinItsEvent) {
  FakeCpuPort cpus;
  EventQueue queue(cpus);
  Repeating sink(queue);
  sink.timer.arm({10});
  queue.run({35});
  EXPECT_EQ(sink.count, 3u);
  EXPECT_EQ(queue.next(), VirtualTime{40});
}

TEST(EventQueue, SavesAndRestoresDeadlines) {
  FakeCpuPort cpus;
  EventQueue from(cpus), to(cpus);
  Recorder from_sink, to_sink;
  Timer a(from, from_sink, 0), b(from, from_sink, 1), c(to, to_sink, 0), d(to, to_sink, 1);
  b.arm({7});
  c.arm({1});
  EXPECT_TRUE(testing::load(to, testing::save(from)));
  EXPECT_EQ(to.next(), VirtualTime{7});
  EXPECT_FALSE(c.armed());
  to.run({7});
  EXPECT_EQ(to_sink.ran, (Ran{{1, 7}}));
}

}  // namespace
}  // namespace ringside::machine

#include "guests/linux/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guests/linux/testing/synthetic_kernel.h"

namespace ringside::guests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SyntheticKernel;

constexpr std::uint64_t kFirst = SyntheticKernel::kDirect + 0x700000;
constexpr std::uint64_t task_at(std::uint64_t n) { return kFirst + n * 0x200; }
// The pointer to the next task in the list of them.
constexpr std::uint64_t next_of(std::uint64_t task) { return task + 32; }

class Tasks : public ::testing::Test {
 protected:
  Tasks() {
    guest.process(task_at(0), 1, "init", 1);
    guest.process(task_at(1), 2, "kthreadd", 0x402);
    guest.process(task_at(2), 70, "server", 0);
    guest.thread(task_at(2), task_at(3), 71, "worker");
    guest.run(1, task_at(3));
    guest.build();
  }
  ~Tasks() override { EXPECT_TRUE(guest.vm.memory().mmio_log.empty()) << "a device was touched"; }
  std::shared_ptr<const LinuxKernel> kernel() { return LinuxKernel::find(guest.vm).value(); }
  TaskList list() { return list_tasks(guest.vm, *kernel()).value(); }
  std::string text() { return describe_tasks(list(), 100); }
  std::string task(std::uint32_t pid) {
    const auto said = describe_task(guest.vm, *kernel(), pid);
    return said ? *said : said.error().text();
  }
  SyntheticKernel guest;
};

TEST_F(Tasks, AreListedWithTheirThreads) {
  EXPECT_EQ(text(),
            "    PID    TGID STATE VCPU COMM\n"
            "      0       0 R        0 swapper/0\n"
            "      1       1 S        - init\n"
            "      2       2 I        - kthreadd\n"
            "     70      70 R        - server\n"
            "     71      70 S        1 worker\n");
  EXPECT_THAT(describe_tasks(list(), 2), HasSubstr("and 3 more\n"));
}

TEST_F(Tasks, AListWithoutAnEndIsCutOff) {
  // From the last to the second again, past the first.
  guest.poke(next_of(task_at(2)), next_of(task_at(1)));
  EXPECT_THAT(text(), HasSubstr("This is not all: the list runs in a circle.\n"));
  // Threads that lead to one another, and never back to where they begin.
  guest.poke(task_at(3) + 48, task_at(3) + 48);
  EXPECT_THAT(text(), HasSubstr("This is not all: the list runs in a circle.\n"));
}

TEST_F(Tasks, AListThatLeadsAstrayIsCutOff) {
  for (const std::uint64_t to : {std::uint64_t{0}, std::uint64_t{0x1234},
                                 SyntheticKernel::kDevice + 0x100, ~std::uint64_t{0} - 3}) {
    guest.poke(next_of(task_at(0)), to);
    EXPECT_THAT(text(), HasSubstr("This is not all: the list leads to memory that is not there"));
    EXPECT_EQ(list().tasks.size(), 2u);
  }
  guest.poke(task_at(0) + 64, SyntheticKernel::kDevice);
  EXPECT_THAT(text(), HasSubstr("This is not all"));
}

TEST_F(Tasks, ALongListIsBounded) {
  EXPECT_EQ(list_tasks(guest.vm, *kernel(), 3)->tasks.size(), 3u);
  EXPECT_THAT(list_tasks(guest.vm, *kernel(), 3)->cut_off, HasSubstr("only the first 3"));
}

TEST_F(Tasks, ANameWithoutAnEndEnds) {
  guest.put(task_at(0) + 16, std::string(16, 'x'));
  EXPECT_THAT(text(), HasSubstr("- " + std::string(16, 'x') + "\n"));
  guest.put(task_at(0) + 16, "a\nb\x1b[31m");
  EXPECT_THAT(text(), AllOf(HasSubstr("- a?b?[31m"), Not(HasSubstr("\x1b"))));
}

TEST_F(Tasks, ASleepingOneShowsWhatItSaved) {
  const std::uint64_t stack = SyntheticKernel::kDirect + 0x680000, saved = stack + 0x3000;
  guest.poke(task_at(0) + 72, stack);
  guest.poke(task_at(0) + 88, saved);
  guest.poke(task_at(0) + 104, stack);  // memory of its own: a program
  const std::uint64_t frame[] = {15, 14, 13, 12, 3, 5, SyntheticKernel::kText + 0x10000 + 16 * 7};
  for (std::uint64_t i = 0; i < 7; ++i)
    guest.poke(saved + i * 8, frame[i]);
  // One that a call has left, one that is only a number.
  guest.poke(saved + 0x100, SyntheticKernel::kText + 0x5005);
  guest.put(SyntheticKernel::kText + 0x5000, "\xe8");
  guest.poke(saved + 0x108, SyntheticKernel::kText + 0x6005);
  guest.poke(stack + 0x4000 - 40, std::uint64_t{0x401234});
  guest.poke(stack + 0x4000 - 32, std::uint64_t{0x33});
  EXPECT_THAT(task(1),
              AllOf(HasSubstr("1 init: process 1, state S"),
                    HasSubstr("rip 0xffffffff81010070 filler_6+0x10\n"),
                    HasSubstr("rsp 0xffff888000683038\n"), HasSubstr("r12 0x000000000000000c\n"),
                    HasSubstr("in its program: rip 0x401234"),
                    HasSubstr("0xffffffff81005005 free_module+0x3005\n"),
                    Not(HasSubstr("0xffffffff81006005"))));
  guest.poke(task_at(0) + 88, stack + 0x3ff0);
  EXPECT_THAT(task(1), HasSubstr("is not in its stack"));
  guest.poke(task_at(0) + 72, SyntheticKernel::kDevice);
  guest.poke(task_at(0) + 88, SyntheticKernel::kDevice + 8);
  EXPECT_THAT(task(1), HasSubstr("is not in memory"));
  EXPECT_THAT(task(71), HasSubstr("vCPU 1 runs it"));
  EXPECT_EQ(task(72), "there is no task 72");
}

TEST_F(Tasks, OneIsRecognisedOnItsVcpu) {
  const auto runs = [&](TaskChoice choice, std::uint32_t vcpu) {
    return (*test_for(kernel(), choice))({vcpu});
  };
  EXPECT_TRUE(runs({71, ""}, 1));
  EXPECT_TRUE(runs({70, ""}, 1)) << "its process";
  EXPECT_FALSE(runs({71, ""}, 0));
  EXPECT_TRUE(runs({{}, "worker"}, 1));
  EXPECT_FALSE(runs({{}, "work"}, 1));
  EXPECT_FALSE(runs({{}, "worker"}, 0));
  guest.vm.vcpu({1}).cpu.seg(x86::SegmentName::Gs).base = 0;
  EXPECT_FALSE(runs({71, ""}, 1)) << "it cannot be seen";
}

}  // namespace
}  // namespace ringside::guests

#include "guests/linux/tasks.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guests/linux/testing/synthetic_kernel.h"

namespace ringside::guests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SyntheticKernel;

// The pointer to the next task in the list of them.
constexpr std::uint64_t next_of(std::uint64_t task) { return task + 32; }

class Tasks : public ::testing::TestWithParam<testing::KernelFlavour> {
 protected:
  Tasks() {
    guest.process(task_at(0), 1, "init", 1);
    guest.process(task_at(1), 2, "kthreadd", 0x402);
    guest.process(task_at(2), 70, "server", 0);
    guest.thread(task_at(2), task_at(3), 71, "worker");
    guest.run(1, task_at(3));
    guest.build();
    kernel();
  }
  ~Tasks() override { EXPECT_TRUE(guest.vm.memory().mmio_log.empty()) << "a device was touched"; }
  // Found once, before a test puts its lies.
  std::shared_ptr<const LinuxKernel> kernel() {
    if (!kernel_) kernel_ = LinuxKernel::find(guest.vm).value();
    return kernel_;
  }
  TaskList list() { return list_tasks(guest.vm, *kernel()).value(); }
  std::string text() { return describe_tasks(list(), 100); }
  std::string task(std::uint32_t pid) {
    const auto said = describe_task(guest.vm, *kernel(), pid);
    return said ? *said : said.error().text();
  }
  std::uint64_t task_at(std::uint64_t n) const { return guest.direct + 0x700000 + n * 0x200; }
  bool is_wide() const { return guest.word == Word::Bits64; }
  // As wide as the kernel's words, with that name before.
  std::string shown(std::string_view name, std::uint64_t value) const {
    return fmt::format("{}{:#0{}x}", name, value, is_wide() ? 18 : 10);
  }
  SyntheticKernel guest{2, GetParam()};

 private:
  std::shared_ptr<const LinuxKernel> kernel_;
};
INSTANTIATE_TEST_SUITE_P(, Tasks, ::testing::ValuesIn(testing::kFlavours));

TEST_P(Tasks, AreListedWithTheirThreads) {
  EXPECT_EQ(text(),
            "    PID    TGID STATE VCPU COMM\n"
            "      0       0 R        0 swapper/0\n"
            "      1       1 S        - init\n"
            "      2       2 I        - kthreadd\n"
            "     70      70 R        - server\n"
            "     71      70 S        1 worker\n");
  EXPECT_THAT(describe_tasks(list(), 2), HasSubstr("and 3 more\n"));
}

TEST_P(Tasks, AListWithoutAnEndIsCutOff) {
  // From the last to the second again, past the first.
  guest.poke_word(next_of(task_at(2)), next_of(task_at(1)));
  EXPECT_THAT(text(), HasSubstr("This is not all: the list runs in a circle.\n"));
  // Threads that lead to one another, and never back to where they begin.
  guest.poke_word(task_at(3) + 48, task_at(3) + 48);
  EXPECT_THAT(text(), HasSubstr("This is not all: the list runs in a circle.\n"));
}

TEST_P(Tasks, AListThatLeadsAstrayIsCutOff) {
  for (const std::uint64_t to :
       {std::uint64_t{0}, std::uint64_t{0x1234}, guest.device + 0x100, ~std::uint64_t{0} - 3}) {
    guest.poke_word(next_of(task_at(0)), to);
    EXPECT_THAT(text(), HasSubstr("This is not all: the list leads to memory that is not there"));
    EXPECT_EQ(list().tasks.size(), 2u);
  }
  guest.poke_word(task_at(0) + 64, guest.device);
  EXPECT_THAT(text(), HasSubstr("This is not all"));
}

TEST_P(Tasks, WithoutTypesALieIsToldBySayingWhatIsNotFound) {
  if (guest.has_types) GTEST_SKIP() << "types say where members are";
  const auto error = [&] { return LinuxKernel::find(guest.vm).value()->tasks().error().text(); };
  guest.poke(task_at(1) + 12, std::uint32_t{7});
  EXPECT_THAT(error(), HasSubstr("where a struct task_struct has its pid"));
  guest.poke_word(task_at(1) + 64, guest.device);
  guest.poke(task_at(1) + 12, std::uint32_t{2});
  EXPECT_THAT(error(), HasSubstr("has its signal"));
  guest.poke_word(next_of(task_at(2)), next_of(task_at(1)));
  EXPECT_THAT(error(), HasSubstr("has its tasks: kthreadd"));
  guest.poke_word(next_of(guest.data(0x1000)), guest.device);
  EXPECT_THAT(error(), HasSubstr("has its tasks: kthreadd"));
  guest.put(guest.data(0x1000) + 16, "another");
  EXPECT_THAT(error(), HasSubstr("has its comm"));
  guest.put(guest.text + 0x3000, "nop");
  EXPECT_THAT(error(), HasSubstr("has its thread.sp"));
}

TEST_P(Tasks, ALongListIsBounded) {
  EXPECT_EQ(list_tasks(guest.vm, *kernel(), 3)->tasks.size(), 3u);
  EXPECT_THAT(list_tasks(guest.vm, *kernel(), 3)->cut_off, HasSubstr("only the first 3"));
}

TEST_P(Tasks, ANameWithoutAnEndEnds) {
  guest.put(task_at(0) + 16, std::string(16, 'x'));
  EXPECT_THAT(text(), HasSubstr("- " + std::string(16, 'x') + "\n"));
  guest.put(task_at(0) + 16, "a\nb\x1b[31m");
  EXPECT_THAT(text(), AllOf(HasSubstr("- a?b?[31m"), Not(HasSubstr("\x1b"))));
}

TEST_P(Tasks, ASleepingOneShowsWhatItSaved) {
  const std::uint64_t stack = guest.direct + 0x680000, saved = stack + 0x1800;
  guest.poke_word(task_at(0) + 72, stack);
  guest.poke_word(task_at(0) + 88, saved);
  guest.poke_word(task_at(0) + 104, stack);  // memory of its own: a program
  const std::uint64_t size = size_of(guest.word);
  std::vector<std::uint64_t> frame = {15, 14, 13, 12, 3, 5};
  if (!is_wide()) frame.pop_back();
  frame.push_back(guest.text + 0x10000 + std::uint64_t{16} * 7);
  for (std::size_t i = 0; i < frame.size(); ++i)
    guest.poke_word(saved + i * size, frame[i]);
  // One that a call has left, one that is only a number.
  guest.poke_word(saved + 0x100, guest.text + 0x5005);
  guest.put(guest.text + 0x5000, "\xe8");
  guest.poke_word(saved + 0x108, guest.text + 0x6005);
  // The registers of its program: 32-bit kernels leave two words behind them.
  const std::uint64_t end = stack + (is_wide() ? 0x4000 : 0x2000 - 8);
  guest.poke_word(end - 5 * size, 0x401234);
  guest.poke_word(end - 4 * size, 0x33);
  EXPECT_THAT(
      task(1),
      AllOf(
          HasSubstr("1 init: process 1, state S"),
          HasSubstr(shown(is_wide() ? "rip " : "eip ", guest.text + 0x10070) + " filler_6+0x10\n"),
          HasSubstr(shown(is_wide() ? "rsp " : "esp ", saved + frame.size() * size) + "\n"),
          HasSubstr(shown(is_wide() ? "r12 " : "ebx ", 12) + "\n"),
          HasSubstr(is_wide() ? "in its program: rip 0x401234" : "in its program: eip 0x401234"),
          HasSubstr(shown("\n", guest.text + 0x5005)),
          Not(HasSubstr(shown("", guest.text + 0x6005)))));
  guest.poke_word(task_at(0) + 88, stack + (is_wide() ? 0x3ff0 : 0x1ff0));
  EXPECT_THAT(task(1), HasSubstr("is not in its stack"));
  guest.poke_word(task_at(0) + 72, guest.device);
  guest.poke_word(task_at(0) + 88, guest.device + 8);
  EXPECT_THAT(task(1), HasSubstr("is not in memory"));
  EXPECT_THAT(task(71), HasSubstr("vCPU 1 runs it"));
  EXPECT_EQ(task(72), "there is no task 72");
}

TEST_P(Tasks, OneIsRecognisedOnItsVcpu) {
  const auto runs = [&](TaskChoice choice, std::uint32_t vcpu) {
    return (*test_for(kernel(), choice))({vcpu});
  };
  EXPECT_TRUE(runs({71, ""}, 1));
  EXPECT_TRUE(runs({70, ""}, 1)) << "its process";
  EXPECT_FALSE(runs({71, ""}, 0));
  EXPECT_TRUE(runs({{}, "worker"}, 1));
  EXPECT_FALSE(runs({{}, "work"}, 1));
  EXPECT_FALSE(runs({{}, "worker"}, 0));
  x86::CpuState& cpu = guest.vm.vcpu({1}).cpu;
  cpu.seg(is_wide() ? x86::SegmentName::Gs : x86::SegmentName::Fs).base = 0;
  cpu.gdtr.limit = 0;
  EXPECT_FALSE(runs({71, ""}, 1)) << "it cannot be seen";
}

}  // namespace
}  // namespace ringside::guests

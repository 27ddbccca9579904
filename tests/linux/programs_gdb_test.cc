// Stock GDB with Debian's symbols looks at a running system from outside: its processes, its system
// calls, its modules, and one of several copies of a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "gdb/gdb_session.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LinuxPrograms : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    const std::string missing = GdbSession::missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  // A guest at its prompt.
  void begin(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"-G", "0"});
    guest_.emplace(
        files_,
        LinuxOptions{.cpus = GetParam(), .append = "nokaslr", .arguments = std::move(arguments)});
    target_ = guest_->gdb_target();
    shell().await_prompt();
    gdb_.emplace(files_.symbols());
    gdb("set print null-stop on");
  }
  LinuxShell& shell() { return guest_->shell(); }
  std::string connect() { return gdb("target remote " + target_); }
  std::string gdb(std::string_view command) {
    return gdb_->command(command, Deadline(std::chrono::seconds(180)));
  }
  std::string finish() { return gdb_->finish(Deadline(std::chrono::seconds(180))); }
  // `print`s a number.
  std::uint64_t number(const std::string& expression) {
    const std::string text = gdb("output/x " + expression);
    try {
      return std::stoull(text, nullptr, 16);
    } catch (const std::exception&) {
      throw std::runtime_error(expression + ": " + text);
    }
  }
  // The name of the process that the stopped vCPU runs in the kernel.
  std::string current_name() {
    return gdb(
        "output ((struct task_struct *)*(unsigned long *)"
        "($gs_base + (unsigned long)&current_task))->comm");
  }
  // More programs than vCPUs, each with its number; all at work.
  void start_targets() {
    const std::string many = std::to_string(GetParam() + 2);
    shell().output_of("for i in $(seq 1 " + many + "); do target $i & done");
    shell().output_of("while [ $(pidof target | wc -w) -lt " + many + " ]; do sleep 0.1; done");
  }

  const LinuxFiles files_{"cloud-amd64"};
  std::optional<LinuxGuest> guest_;
  std::optional<GdbSession> gdb_;
  std::string target_;
};

TEST_P(LinuxPrograms, AFileIsOpened) {
  begin();
  if (GetParam() > 1) start_targets();
  connect();
  EXPECT_THAT(gdb("break do_sys_openat2"), HasSubstr("reakpoint 1 at"));
  gdb_->start("continue");
  shell().start("cat /proc/uptime");
  std::string name;
  for (int opened = 0; opened < 20 && name.find("/proc/uptime") == std::string::npos; ++opened) {
    if (opened > 0) gdb_->start("continue");
    EXPECT_THAT(finish(), ContainsRegex("Breakpoint 1, .*do_sys_openat2 \\(dfd=-100, "));
    name = gdb("x/s filename");
  }
  EXPECT_THAT(name, HasSubstr("\"/proc/uptime\""));
  EXPECT_THAT(current_name(), HasSubstr("\"cat\""));
  EXPECT_THAT(gdb("backtrace"), AllOf(HasSubstr("do_sys_openat2"), HasSubstr("do_syscall_64"),
                                      HasSubstr("entry_SYSCALL_64")));
  EXPECT_EQ(gdb("delete"), "");
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  EXPECT_THAT(shell().finish().output, MatchesRegex("[0-9.]+ [0-9.]+\n"));
}

TEST_P(LinuxPrograms, TheListOfProcesses) {
  begin();
  start_targets();
  connect();
  gdb("set $at = init_task.tasks.next");
  const std::string list = gdb(
      "while $at != &init_task.tasks\n"
      "set $task = (struct task_struct *)((char *)$at - (long)&((struct task_struct *)0)->tasks)\n"
      "printf \"<%d %s>\\n\", $task->pid, $task->comm\n"
      "set $at = $at->next\n"
      "end");
  EXPECT_THAT(list, AllOf(HasSubstr("<1 sh>"), HasSubstr("<2 kthreadd>"),
                          ContainsRegex("<[0-9]+ kswapd0>")));
  std::size_t targets = 0;
  for (std::size_t at = 0; (at = list.find(" target>", at)) != std::string::npos; ++at)
    ++targets;
  EXPECT_EQ(targets, GetParam() + 2) << list;
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  shell().output_of("true");
}

// The right one of several copies of a program, by a value that only it has and by its page tables;
// and from there through a system call, instruction by instruction.
TEST_P(LinuxPrograms, OneOfManyAndItsSystemCall) {
  begin();
  start_targets();
  gdb("add-symbol-file " + files_.program("target"));
  connect();
  EXPECT_THAT(gdb("break one_round if my_number == 3"), HasSubstr("reakpoint 1 at"));
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, one_round"));
  EXPECT_EQ(number("my_number"), 3u);
  EXPECT_EQ(number("$cs & 3"), 3u);
  const std::uint64_t tables = number("$cr3");
  const std::uint64_t rounds = number("rounds");
  gdb("delete");
  EXPECT_THAT(gdb("break one_round if $cr3 == " + std::to_string(tables)), HasSubstr("2 at"));
  for (unsigned i = 1; i <= 3; ++i) {
    EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 2, one_round"));
    EXPECT_EQ(number("my_number"), 3u);
    EXPECT_EQ(number("rounds"), rounds + i);
  }
  gdb("delete");
  EXPECT_THAT(gdb("finish"), HasSubstr("Value returned is"));

  gdb("while *(unsigned short *)$pc != 0x050f\nstepi\nend");
  const std::uint64_t call = number("$pc");
  EXPECT_THAT(gdb("x/i $pc"), HasSubstr("syscall"));
  EXPECT_THAT(gdb("stepi"), HasSubstr("entry_SYSCALL_64"));
  EXPECT_EQ(number("$cs"), 0x10u);
  EXPECT_EQ(number("$rcx"), call + 2);
  // In the kernel, once it has its own stack and GS.
  EXPECT_THAT(gdb("tbreak __x64_sys_getppid"), HasSubstr("reakpoint 3 at"));
  gdb("while $pc != &__x64_sys_getppid\nstepi\nend");
  EXPECT_THAT(current_name(), HasSubstr("\"target\""));
  EXPECT_THAT(gdb("backtrace"), HasSubstr("do_syscall_64"));
  gdb("delete");
  gdb("while ($cs & 3) == 0\nstepi\nend");
  EXPECT_EQ(number("$pc"), call + 2);
  EXPECT_EQ(number("my_number"), 3u);
  EXPECT_EQ(number("$rax"), 1u);  // the shell is its parent
  EXPECT_THAT(gdb("info threads"), HasSubstr("vCPU " + std::to_string(GetParam() - 1)));
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  EXPECT_EQ(shell().output_of("killall target; wait; echo over"), "over\n");
  EXPECT_EQ(shell().end("poweroff -f"), 1);
}

// GDB lets a function return to a breakpoint on the stack, which is not to be executed: the stop
// comes before the fault of that. The guest must not notice that it was borrowed.
TEST_P(LinuxPrograms, FunctionsOfTheKernelAreCalled) {
  begin();
  if (GetParam() > 1) start_targets();
  const auto call_functions = [&] {
    for (std::uint64_t i = 1; i <= 20; ++i) {
      const std::uint64_t n = 12345 * i;
      ASSERT_EQ(number("int_sqrt(" + std::to_string(n * n) + ")"), n);
      ASSERT_EQ(number("jiffies_to_msecs(" + std::to_string(n) + ")"), 4 * n);
      ASSERT_GT(number("nr_processes()"), 20u);
    }
  };
  connect();  // idle, where there is one vCPU
  gdb("break do_exit");
  ASSERT_NO_FATAL_FAILURE(call_functions());
  gdb("delete");
  EXPECT_THAT(gdb("break do_sys_openat2"), HasSubstr("reakpoint 2 at"));
  gdb_->start("continue");
  shell().start("cat /proc/uptime");
  EXPECT_THAT(finish(), ContainsRegex("Breakpoint 2, .*do_sys_openat2 \\(dfd=-100, "));
  const std::string before = gdb("info registers general");
  ASSERT_NO_FATAL_FAILURE(call_functions());
  EXPECT_EQ(gdb("info registers general"), before);
  EXPECT_EQ(gdb("delete"), "");
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  EXPECT_THAT(shell().finish().output, MatchesRegex("[0-9.]+ [0-9.]+\n"));
  EXPECT_EQ(shell().output_of("dmesg | grep -c -E 'Oops|BUG|Call Trace' || true"), "0\n");
  EXPECT_EQ(shell().output_of("echo $((6 * 7))"), "42\n");
  EXPECT_EQ(shell().end("poweroff -f"), 1);
}

TEST_P(LinuxPrograms, AModule) {
  const std::string image =
      ::testing::TempDir() + "ringside-" + std::to_string(::getpid()) + "module";
  std::ofstream(image) << std::string(1 << 16, 'x');
  begin({"-d", image + ",ro"});
  ::unlink(image.c_str());  // it is open by now
  shell().load_disk_driver();
  if (GetParam() > 1) start_targets();
  std::string text = shell().output_of("cat /sys/module/virtio_blk/sections/.text");
  text.pop_back();
  EXPECT_THAT(gdb("add-symbol-file " + files_.program("virtio_blk.ko") + " " + text),
              HasSubstr("add symbol table"));
  connect();
  EXPECT_THAT(gdb("break virtio_queue_rqs"), HasSubstr("reakpoint 1 at 0xffffffff"));
  EXPECT_THAT(gdb("break virtio_queue_rq"), HasSubstr("reakpoint 2 at 0xffffffff"));
  gdb_->start("continue");
  shell().start("dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null");
  EXPECT_THAT(finish(), ContainsRegex("Breakpoint [12], .*virtio_queue_rq"));
  EXPECT_THAT(gdb("backtrace"), AllOf(HasSubstr("virtio_queue_rq"), HasSubstr("blk_mq_")));
  EXPECT_THAT(gdb("info symbol $pc"), HasSubstr("virtio_queue_rq"));
  gdb("delete");
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  EXPECT_EQ(shell().finish().status, 0);
}

INSTANTIATE_TEST_SUITE_P(Cloud, LinuxPrograms, ::testing::Values(1u, 4u),
                         [](const auto& cpus) { return "With" + std::to_string(cpus.param); });

}  // namespace
}  // namespace ringside::testing

// Cores of Debian's kernel under those who read them: gdb, drgn and crash, as Debian has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "gdb/gdb_session.h"
#include "guests/core/testing/core_file.h"
#include "linux/linux_guest.h"
#include "support/debug_client.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using guests::testing::CoreFile;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

class LinuxCore : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_IF(files_.missing());
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string core() const { return folder_ + "/core"; }

  static bool is_idle(DebugClient& client) {
    const std::string vcpus = monitor(client, "info cpus");
    const std::size_t first = vcpus.find("(halted)");
    return first != vcpus.npos && vcpus.find("(halted)", first + 1) != vcpus.npos;
  }
  // Of two idle vCPUs at a prompt, with programs and modules.
  void dump_running_system() {
    LinuxGuest guest(files_,
                     {.cpus = 2, .memory = "512M", .arguments = {"-G", "0", "--files", folder_}});
    const std::string target = guest.gdb_target();
    guest.shell().await_prompt();
    guest.shell().load_disk_driver();
    guest.shell().output_of("sleep 1000 & until grep -q sleep /proc/$!/comm; do true; done");
    DebugClient client(
        static_cast<std::uint16_t>(std::stoul(target.substr(target.rfind(':') + 1))));
    client.request("?");
    for (const Deadline deadline; !is_idle(client);) {
      if (deadline.passed()) throw std::runtime_error("the guest is not idle");
      client.resume();
      client.stop();
    }
    EXPECT_THAT(monitor(client, "dump-guest-memory core"),
                HasSubstr("with the kernel's VMCOREINFO"));
    client.detach();
    guest.shell().output_of("true");
    EXPECT_EQ(guest.shell().end("poweroff -f"), 1);
  }
  // Of a kernel that has come to `function`, and is to be taken for one that hangs there.
  void dump_hung_in(const char* function) {
    ChildProcess ringside({RINGSIDE_PROGRAM, "-e", engine(), "-m", "256M", "-s", "none", "-G", "w0",
                           "--files", folder_, files_.kernel()});
    const std::string line = ringside.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
    GdbSession gdb(files_.symbols());
    const Deadline patience(std::chrono::seconds(180));
    gdb.command("target remote " + line.substr(line.find("127.0.0.1:")), patience);
    gdb.command("hbreak " + std::string(function), patience);
    EXPECT_THAT(gdb.command("continue", patience), HasSubstr(function));
    // What docs/clients.md makes of GDB's own command, which needs a process.
    gdb.command("define generate-core-file\nmonitor dump-guest-memory $arg0\nend");
    EXPECT_THAT(gdb.command("generate-core-file core", patience),
                HasSubstr("with a VMCOREINFO made of page tables"));
  }
  // Everything that a program has said about a core.
  static std::string output_of(std::vector<std::string> command, std::string_view input = {}) {
    ChildProcess process(command);
    if (!input.empty()) process.write_input(input);
    process.close_input();
    process.await_exit(Deadline(std::chrono::seconds(300)));
    return process.text(Stream::Output) + process.text(Stream::Error);
  }
  std::string gdb(const std::vector<std::string>& commands) const {
    std::vector<std::string> line = {"gdb", "-nx", "-batch", "-iex", "set width 0"};
    for (const std::string& command : commands)
      line.insert(line.end(), {"-ex", command});
    line.insert(line.end(), {files_.symbols(), core()});
    return output_of(line);
  }
  std::string drgn() const {
    const std::vector<std::string> line = {"drgn", "-c", core(), "-s", files_.symbols()};
    std::vector<std::string> tasks = line, cpus = line;
    tasks.push_back(RINGSIDE_LINUX_TESTS "/core_drgn.py");
    cpus.insert(cpus.end(), {RINGSIDE_EXAMPLES "/core_cpus.py", core()});
    return output_of(tasks) + output_of(cpus);
  }
  std::string crash(std::string_view input, const std::vector<std::string>& options = {}) const {
    std::vector<std::string> line = {"crash", "-s", "--no_crashrc", files_.symbols(), core()};
    line.insert(line.end(), options.begin(), options.end());
    return output_of(line, std::string(input) + "quit\n");
  }

  const LinuxFiles files_{"cloud-amd64"};
  const std::string folder_ =
      ::testing::TempDir() + "ringside-linux-core-" + std::to_string(::getpid());
};

TEST_F(LinuxCore, OfARunningSystemUnderGdb) {
  SKIP_IF(GdbSession::missing());
  dump_running_system();
  const CoreFile file(core());
  EXPECT_EQ(file.registers.size(), 2u);
  EXPECT_THAT(file.vmcoreinfo.value_or(""), HasSubstr("OSRELEASE=6.1."));
  EXPECT_LT(file.stored, file.size() / 2);
  const std::string text = gdb({"source " RINGSIDE_LINUX_TESTS "/core.gdb"});
  EXPECT_THAT(text,
              ContainsRegex("Thread 2 \\(LWP 1000000002\\):\n#0 .*(.*\n)*.*start_secondary "));
  EXPECT_THAT(text, ContainsRegex("Thread 1 \\(LWP 1000000001\\):\n#0 .*(.*\n)*.*start_kernel "));
  EXPECT_THAT(text, AllOf(HasSubstr("task kthreadd\n"), HasSubstr("task sleep\n")));
  EXPECT_THAT(text, AllOf(HasSubstr("module virtio_blk\n"), HasSubstr("module virtio_mmio\n")));
  // STACK_END_MAGIC, in one that is mapped as a part of the image, and in one page by page.
  EXPECT_THAT(text, HasSubstr("a stack's end is 57ac6e9d\n"));
  EXPECT_THAT(text, HasSubstr("another's is 57ac6e9d\n"));
  EXPECT_THAT(text, HasSubstr("physical memory 1\n"));
}

TEST_F(LinuxCore, OfARunningSystemUnderDrgn) {
  SKIP_IF(host::no_program("drgn"));
  dump_running_system();
  const std::string text = drgn();
  EXPECT_THAT(text, HasSubstr("banner Linux version 6.1."));
  EXPECT_THAT(text, ContainsRegex("log [0-9][0-9]+ lines"));
  EXPECT_THAT(text, ContainsRegex("tasks .*kthreadd.* sh sleep"));
  EXPECT_THAT(text,
              HasSubstr("modules virtio virtio_blk virtio_mmio virtio_pci virtio_pci_legacy_dev "
                        "virtio_pci_modern_dev virtio_ring"));
  EXPECT_THAT(text, ContainsRegex("cpu 0\n(#.*\n)*.*start_kernel"));
  EXPECT_THAT(text, ContainsRegex("cpu 1\n(#.*\n)*.*start_secondary"));
  // Not the registers of a vCPU, though they have numbers, too.
  EXPECT_THAT(text, ContainsRegex("init\n(#.*\n)*.*__schedule(.*\n)*.*entry_SYSCALL_64"));
}

// crash 8.0.2 cannot list the tasks of this kernel, nor unwind its stacks, from any dump, one of
// QEMU's included (docs/clients.md); what it can, it does.
TEST_F(LinuxCore, OfARunningSystemUnderCrash) {
  SKIP_IF(host::no_program("crash"));
  dump_running_system();
  const std::string text =
      crash("sys\nmod\nlog\nstruct task_struct.comm init_task\ndev\nvtop ffffffff81000000\n");
  EXPECT_THAT(text, HasSubstr("CPUS: 2\n"));
  EXPECT_THAT(text, HasSubstr("RELEASE: 6.1."));
  EXPECT_THAT(text, HasSubstr("MEMORY: 511."));
  EXPECT_THAT(text, AllOf(ContainsRegex(" virtio_blk +ffffffffc"), HasSubstr(" virtio_mmio ")));
  EXPECT_THAT(text, ContainsRegex("\\[ +[0-9.]+\\] +Run /init as init process|with environment"));
  EXPECT_THAT(text, HasSubstr("comm = \"swapper/0"));
  EXPECT_THAT(text, HasSubstr("/dev/console"));
  EXPECT_THAT(text, ContainsRegex("ffffffff81000000 +1000000"));
}

TEST_F(LinuxCore, OfAKernelThatHangsBeforeItHasVmcoreinfo) {
  SKIP_IF(GdbSession::missing());
  dump_hung_in("do_initcalls");
  EXPECT_THAT(gdb({"backtrace", "print init_task.comm"}),
              AllOf(ContainsRegex("#0 +do_initcalls .*(.*\n)*.*kernel_init "),
                    HasSubstr("$1 = \"swapper/0")));
  if (host::no_program("drgn").empty()) {
    EXPECT_THAT(
        drgn(),
        AllOf(HasSubstr("banner Linux version 6.1."), ContainsRegex("tasks .*kthreadd.*swapper/0"),
              ContainsRegex("cpu 0\n#0 *do_initcalls.*\n(#.*\n)*.*kernel_init_freeable")));
  }
  if (host::no_program("crash").empty()) {
    EXPECT_THAT(crash("sys\nlog\n"),
                AllOf(HasSubstr("RELEASE: 6.1."), HasSubstr("] rcu: Hierarchical SRCU")));
  }
}

// Before the memory map and the idle task's stack are there as later code has them.
TEST_F(LinuxCore, OfAKernelThatHangsAtItsFirstFunction) {
  SKIP_IF(GdbSession::missing());
  dump_hung_in("start_kernel");
  EXPECT_THAT(gdb({"backtrace", "print linux_banner"}),
              AllOf(ContainsRegex("#0 +start_kernel .*\n#1 "), HasSubstr("\"Linux version 6.1.")));
  if (host::no_program("drgn").empty()) {
    EXPECT_THAT(drgn(), AllOf(HasSubstr("banner Linux version 6.1."),
                              HasSubstr("cpu 0\n#0  start_kernel")));
  }
  if (host::no_program("crash").empty()) {
    EXPECT_THAT(crash("dis start_kernel 1\n", {"--minimal"}), HasSubstr("<start_kernel>:"));
  }
}

// A panic that is a triple fault, because the kernel was asked to restart in this way.
TEST_F(LinuxCore, OfAPanic) {
  SKIP_IF(GdbSession::missing());
  LinuxGuest guest(
      files_, {.cpus = 2, .append = "panic=-1 reboot=t", .arguments = {"--dump-on-panic", core()}});
  guest.shell().await_prompt();
  EXPECT_EQ(guest.shell().end("echo c > /proc/sysrq-trigger"), 3);
  EXPECT_THAT(guest.process().text(Stream::Error), HasSubstr("dump: 'core' has 256 MiB"));
  EXPECT_THAT(gdb({"thread apply all backtrace"}),
              AllOf(ContainsRegex("panic (.*\n)*.*sysrq_handle_crash (.*\n)*.*entry_SYSCALL_64"),
                    ContainsRegex("stop_this_cpu .*(.*\n)*.*sysvec_reboot ")));
}

}  // namespace
}  // namespace ringside::testing

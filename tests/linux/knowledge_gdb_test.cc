// Stock GDB without any symbols knows the Linux in the guest from its memory: tasks, tables, a
// breakpoint for one program, and modules whose symbols it loads by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "base/testing/temporary_folder.h"
#include "gdb/gdb_session.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

struct Kernel {
  const char* name;
  const char* flavour;
  const char* release;
  std::vector<const char*> modules;  // to load, in this order; the last is looked at
  const char* pc = "rip";
  // Stock GDB takes no library of 32 bits, for it is told of a processor of 64.
  bool gdb_takes_modules = true;
};
void PrintTo(const Kernel& kernel, std::ostream* out) { *out << kernel.flavour; }

class LinuxKnowledge : public ::testing::TestWithParam<Kernel> {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    const std::string missing = GdbSession::missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
    guest_.emplace(files_, LinuxOptions{.cpus = 2, .arguments = {"-G", "0", "--files", folder()}});
    target_ = guest_->gdb_target();
    shell().await_prompt();
    gdb_.emplace("");
    gdb("set solib-search-path " + folder());
  }
  std::string folder() const { return RINGSIDE_LINUX_FILES "/" + std::string(GetParam().flavour); }
  LinuxShell& shell() { return guest_->shell(); }
  std::string gdb(std::string_view command) {
    return gdb_->command(command, Deadline(std::chrono::seconds(180)));
  }
  std::string finish() { return gdb_->finish(Deadline(std::chrono::seconds(180))); }
  void connect() { gdb("target remote " + target_); }
  // While GDB does not hold the guest.
  std::string address_of(const std::string& symbol) {
    const std::string line = shell().output_of("grep ' " + symbol + "' /proc/kallsyms | head -n 1");
    return "0x" + line.substr(0, line.find(' '));
  }
  void load_modules() {
    for (const char* module : GetParam().modules)
      shell().output_of(std::string("insmod /modules/") + module + ".ko");
  }

  const LinuxFiles files_{GetParam().flavour};
  std::optional<LinuxGuest> guest_;
  std::optional<GdbSession> gdb_;
  std::string target_;
};

TEST_P(LinuxKnowledge, TasksAndTables) {
  shell().output_of("for i in 7; do target $i & done");
  shell().output_of("while ! pidof target >/dev/null; do sleep 0.1; done");
  // One that surely sleeps.
  shell().output_of("for i in 1000; do sleep $i & done");
  shell().output_of("while ! grep -q 'State:.S' /proc/$(pidof sleep)/status; do true; done");
  const std::string sleeper = std::to_string(std::stoi(shell().output_of("pidof sleep")));
  connect();
  const std::string tasks = gdb("monitor tasks");
  EXPECT_THAT(tasks, ContainsRegex("\n +1 +1 [RS] +[01-] sh\n"));
  EXPECT_THAT(tasks, ContainsRegex("\n +2 +2 S +- kthreadd\n"));
  EXPECT_THAT(tasks, ContainsRegex("\n +[0-9]+ +[0-9]+ [RS] +[01-] target\n"));
  EXPECT_THAT(tasks, Not(HasSubstr("not all")));
  EXPECT_THAT(gdb("monitor task " + sleeper),
              AllOf(HasSubstr(sleeper + " sleep: process " + sleeper + ", state S"),
                    HasSubstr(" __schedule+0x"),
                    HasSubstr(std::string("in its program: ") + GetParam().pc + " 0x"),
                    ContainsRegex("\n0x[0-9a-f]+ [a-z_]*nanosleep\\+0x")));
  EXPECT_THAT(gdb("monitor task 2"), HasSubstr(" kthreadd+0x"));
  EXPECT_THAT(gdb("info os"),
              AllOf(HasSubstr("processes"), HasSubstr("cpus"), HasSubstr("modules")));
  EXPECT_THAT(gdb("info os processes"), AllOf(ContainsRegex("\n1 +1 +[RS] +[01]? +sh *\n"),
                                              ContainsRegex("\n2 +2 +S +kthreadd *\n")));
  EXPECT_THAT(gdb("info os cpus"), ContainsRegex("\n0 +0 .*\n1 +1 "));
  EXPECT_THAT(gdb("monitor kaslr"),
              AllOf(HasSubstr(GetParam().release), HasSubstr("It is where it was linked to be.")));
  EXPECT_THAT(gdb("maintenance packet qXfer:vmcoreinfo:read::0,400"),
              AllOf(HasSubstr(std::string("OSRELEASE=") + GetParam().release),
                    HasSubstr("SYMBOL(swapper_pg_dir)=")));
  gdb("detach");
}

TEST_P(LinuxKnowledge, ABreakpointForOneProgram) {
  const std::string opens = address_of("[tT] do_sys_openat2$");
  connect();
  EXPECT_THAT(gdb("break *" + opens), HasSubstr("reakpoint 1 at"));
  EXPECT_THAT(gdb("monitor bind " + opens + " comm cat"), HasSubstr("counts in comm cat."));
  gdb_->start("continue");
  shell().start("ls / >/tmp/list; wc /tmp/list; cat /tmp/list");
  EXPECT_THAT(finish(), HasSubstr("Breakpoint 1, "));
  // The name is set before a program's own files are opened.
  EXPECT_THAT(gdb("monitor tasks"), ContainsRegex(" [01] cat\n"));
  EXPECT_THAT(gdb("info os cpus"), HasSubstr(" cat"));
  gdb("delete");
  gdb("detach");
  EXPECT_EQ(shell().finish().status, 0);

  connect();
  EXPECT_THAT(gdb("monitor bind"), HasSubstr("Nothing is bound."));
  gdb("break *" + opens);
  EXPECT_THAT(gdb("monitor bind " + opens + " pid 1"), HasSubstr("counts in pid 1."));
  gdb_->start("continue");
  shell().start("cat /tmp/list >/dev/null; echo opened >/tmp/by-the-shell");
  EXPECT_THAT(finish(), HasSubstr("Breakpoint 2, "));
  EXPECT_THAT(gdb("monitor tasks"), ContainsRegex("\n +1 +1 R +[01] sh\n"));
  gdb("delete");
  gdb("detach");
  EXPECT_EQ(shell().finish().status, 0);
}

TEST_P(LinuxKnowledge, ModulesAreLibraries) {
  const std::string name = GetParam().modules.back();
  const bool is_placed = GetParam().gdb_takes_modules;
  const std::string listed = std::string(is_placed ? "Yes" : "No") + " .*" + name + "\\.ko\n";
  load_modules();
  const std::string probe = address_of("[tT] virtblk_probe");
  connect();
  const std::string modules = gdb("monitor modules");
  std::smatch code;
  ASSERT_TRUE(
      std::regex_search(modules, code, std::regex("(0x[0-9a-f]+) +[0-9]+ live +" + name + "\n")))
      << modules;
  EXPECT_THAT(gdb("info os modules"), HasSubstr(name));
  gdb("sharedlibrary");
  EXPECT_THAT(gdb("info sharedlibrary"), ContainsRegex(listed));
  if (!is_placed) {
    gdb("set confirm off");
    gdb("add-symbol-file " + folder() + "/" + name + ".ko " + code[1].str());
  }
  EXPECT_THAT(gdb("output/x (long)&virtblk_probe"), HasSubstr(probe));
  // One that goes and comes.
  gdb("set stop-on-solib-events 1");
  EXPECT_THAT(gdb("monitor modules watch on"), HasSubstr("is told when modules"));
  gdb_->start("continue");
  shell().start("rmmod " + name + "; insmod /modules/" + name + ".ko");
  EXPECT_THAT(finish(), AllOf(HasSubstr("Stopped due to shared library event"),
                              HasSubstr("unloaded"), HasSubstr(name + ".ko")));
  EXPECT_THAT(gdb("info sharedlibrary"), Not(HasSubstr(name + ".ko")));
  gdb_->start("continue");
  EXPECT_THAT(finish(), AllOf(HasSubstr("Stopped due to shared library event"),
                              HasSubstr(" loaded "), HasSubstr(name + ".ko")));
  EXPECT_THAT(gdb("info sharedlibrary"), ContainsRegex(listed));
  const std::string moved = gdb("output/x (long)&virtblk_probe");
  gdb("detach");
  EXPECT_EQ(shell().finish().status, 0);
  if (is_placed) {
    EXPECT_THAT(moved, HasSubstr(address_of("[tT] virtblk_probe")));
  }
}

// The 32-bit one has neither type information nor symbols of its data.
INSTANTIATE_TEST_SUITE_P(
    , LinuxKnowledge,
    ::testing::Values(
        Kernel{"Linux_6_1", "cloud-amd64", "6.1.", {"virtio_ring", "virtio", "virtio_blk"}},
        Kernel{"Linux_6_12", "6.12-cloud-amd64", "6.12.", {"virtio_blk"}},
        Kernel{"Linux_6_1_of_32_bits",
               "686",
               "6.1.",
               {"virtio_ring", "virtio", "virtio_blk"},
               "eip",
               false}),
    [](const auto& kernel) { return std::string(kernel.param.name); });

// A kernel that ringside has not started moves itself. Here one starts another (kexec).
TEST(LinuxKnowledgeMoved, GdbFindsItsSymbolsWhereItWent) {
  const LinuxFiles files("cloud-amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  if (const std::string missing = GdbSession::missing(); !missing.empty()) GTEST_SKIP() << missing;
  // It comes on a disk, which is whole sectors.
  const TemporaryFolder folder;
  const std::filesystem::path disk = folder / "kernel";
  std::filesystem::copy_file(files.kernel(), disk);
  std::filesystem::resize_file(disk, (std::filesystem::file_size(disk) + 511) / 512 * 512);
  LinuxGuest guest(files,
                   {.memory = "512M", .arguments = {"-G", "0", "-d", disk.string() + ",ro"}});
  const std::string target = guest.gdb_target();
  guest.shell().await_prompt();
  guest.shell().load_disk_driver();
  guest.shell().output_of("dd if=/dev/vda of=/tmp/kernel bs=1M");
  guest.shell().start("kexec /tmp/kernel console=ttyS0");
  guest.process().await(ChildProcess::Stream::Output, "Kernel panic - not syncing: VFS",
                        boot_deadline());
  GdbSession gdb(files.symbols());
  const auto run = [&](const std::string& command) {
    return gdb.command(command, Deadline(std::chrono::seconds(180)));
  };
  run("target remote " + target);
  const std::string said = run("monitor kaslr");
  std::smatch moved;
  ASSERT_TRUE(std::regex_search(said, moved, std::regex("moved by (0x[0-9a-f]+): ")));
  EXPECT_THAT(run("print/x (long)&_text - 0xffffffff81000000"), HasSubstr("= " + moved[1].str()));
  EXPECT_THAT(run("print linux_banner"), HasSubstr("\"Linux version 6.1."));
  EXPECT_THAT(run("print init_task.comm"), HasSubstr("\"swapper"));
  EXPECT_THAT(run("backtrace"), HasSubstr(" in panic ("));
  EXPECT_THAT(run("monitor tasks"), ContainsRegex("\n +2 +2 S +- kthreadd\n"));
  run("detach");
}

}  // namespace
}  // namespace ringside::testing

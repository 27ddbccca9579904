// `ringside run` with Debian's kernels: from a kernel tree to a shell, with nothing named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing/temporary_folder.h"
#include "gdb/gdb_session.h"
#include "linux/linux_guest.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

// A kernel tree as a build leaves it: links to what Debian has built.
class Tree {
 public:
  explicit Tree(const LinuxFiles& files) {
    fs::create_directories(folder_ / "arch/x86/boot");
    fs::create_symlink(fs::canonical(files.kernel()), folder_ / "arch/x86/boot/bzImage");
    if (fs::exists(files.symbols()))
      fs::create_symlink(fs::canonical(files.symbols()), folder_ / "vmlinux");
    std::ofstream order(folder_ / "modules.order");
    for (const fs::directory_entry& entry : fs::directory_iterator(files.program(""))) {
      if (entry.path().extension() != ".ko") continue;
      fs::create_directories(folder_ / "drivers");
      fs::create_symlink(fs::canonical(entry.path()),
                         folder_ / "drivers" / entry.path().filename());
      order << "drivers/" << entry.path().stem().string() << ".o\n";
    }
  }
  void write(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  void remove(const char* name) const { fs::remove(folder_ / name); }
  // The command in this directory.
  std::vector<std::string> command(const std::string& arguments) const {
    return {"/bin/sh", "-c",
            "cd '" + folder_.path().string() + "' && exec '" RINGSIDE_PROGRAM "' run -e " +
                std::string(engine()) + " " + arguments};
  }

 private:
  struct Folder : TemporaryFolder {
    fs::path operator/(const fs::path& name) const { return path() / name; }
  };
  const Folder folder_;
};

std::string missing(const LinuxFiles& files) {
  if (!files.missing().empty()) return files.missing();
  return ::access("/bin/busybox", X_OK) == 0 ? "" : "busybox-static is not installed";
}

TEST(RunLinux, GoesFromATreeToAShellThatSeesItAndIsRepeated) {
  const LinuxFiles files("amd64");  // the cloud's kernel has no 9P
  SKIP_IF(missing(files));
  const Tree tree(files);
  tree.write("note", "of the host\n");
  const TemporaryFolder scratch;
  const bool is_soft = engine() == "soft";
  const std::string journal = scratch / "journal";
  std::string state;
  {
    ChildProcess ringside(tree.command(is_soft ? "-n user --record " + journal : "-n user"));
    LinuxShell shell(ringside, "/mnt/host # ");
    shell.await_prompt();
    EXPECT_EQ(shell.output_of("cat note"), "of the host\n");
    EXPECT_EQ(shell.output_of("cat /proc/cmdline"), "console=ttyS0\n");
    EXPECT_NE(shell.run("touch new").status, 0) << "it is read only";
    EXPECT_THAT(shell.output_of("ip address show eth0"), HasSubstr("10.0.2.15/24"));
    // A terminal of its own: Ctrl-C ends a program, and not the shell.
    EXPECT_THAT(shell.output_of("tty"), HasSubstr("/dev/ttyS0"));
    EXPECT_EQ(shell.end("exit"), 1);
    state = state_of(ringside);
  }
  if (!is_soft) return;
  ChildProcess again(tree.command("-n user --replay " + journal));
  again.close_input();
  EXPECT_EQ(again.await_exit(Deadline(std::chrono::seconds(300))), 1);
  EXPECT_EQ(state_of(again), state);
}

// A disk of the host's is mounted with what Debian's kernel has in modules.
TEST(RunLinux, MountsADisk) {
  const LinuxFiles files("amd64");  // whose ext4 is fetched
  SKIP_IF(missing(files));
  if (::access("/sbin/mke2fs", X_OK) != 0) GTEST_SKIP() << "e2fsprogs is not installed";
  const Tree tree(files);
  const TemporaryFolder scratch;
  fs::create_directory(scratch / "content");
  std::ofstream(scratch / "content/note") << "of the disk\n";
  const std::string image = scratch / "disk.img";
  ChildProcess format(
      {"/sbin/mke2fs", "-q", "-t", "ext4", "-d", scratch / "content", image, "16M"});
  ASSERT_EQ(format.await_exit(), 0) << format.text(Stream::Error);
  ChildProcess ringside(tree.command("--share none -d '" + image + "'"));
  LinuxShell shell(ringside, "~ # ");
  shell.await_prompt();
  shell.output_of("mkdir /disk && mount /dev/vda /disk");
  EXPECT_THAT(shell.output_of("mount"), HasSubstr("/dev/vda on /disk type ext4 (rw"));
  EXPECT_EQ(shell.output_of("cat /disk/note"), "of the disk\n");
  shell.output_of("echo 'of the guest' >/disk/new");
  EXPECT_EQ(shell.end("exit"), 1);
  ChildProcess reader({"/sbin/debugfs", "-R", "cat /new", image});
  EXPECT_EQ(reader.await_exit(), 0);
  EXPECT_EQ(reader.text(Stream::Output), "of the guest\n");
}

// A kernel that lacks something has a shell all the same, and it is told what is missing.
TEST(RunLinux, SaysWhatAKernelLacks) {
  const LinuxFiles files("cloud-amd64");
  SKIP_IF(missing(files));
  const Tree tree(files);
  tree.write(".config",
             "CONFIG_64BIT=y\nCONFIG_SERIAL_8250=y\nCONFIG_SERIAL_8250_CONSOLE=y\n"
             "CONFIG_BLK_DEV_INITRD=y\nCONFIG_BINFMT_ELF=y\nCONFIG_BINFMT_SCRIPT=y\n"
             "CONFIG_PCI=y\nCONFIG_VIRTIO_PCI=m\n");
  ChildProcess ringside(tree.command("-a quiet"));
  ringside.await_line(Stream::Error, "kernel: without CONFIG_NET_9P, CONFIG_NET_9P_VIRTIO");
  ringside.await(Stream::Output, "init: the folder host is not there", boot_deadline());
  LinuxShell shell(ringside, "~ # ");
  shell.await_prompt();
  EXPECT_EQ(shell.output_of("cat /proc/cmdline"), "console=ttyS0 quiet\n");
  EXPECT_EQ(shell.end("exit"), 1);
}

// Who sees nothing is told what may be the matter.
TEST(RunLinux, SaysThatNothingComesAndThatThereAreNoModules) {
  const LinuxFiles files("cloud-amd64");
  SKIP_IF(missing(files));
  const Tree tree(files);
  tree.remove("modules.order");
  ChildProcess ringside(tree.command("--pace off -a console=ttyS1"));
  ringside.await_line(Stream::Error, "run: there are no modules of this kernel", boot_deadline());
  const std::string line =
      ringside.await_line(Stream::Error, "guest: Linux has said nothing", boot_deadline());
  EXPECT_THAT(line, HasSubstr("CONFIG_SERIAL_8250_CONSOLE"));
  EXPECT_EQ(ringside.text(Stream::Output), "");
}

TEST(RunLinux, IsAttachedToByTheLineThatItPrints) {
  const LinuxFiles files("cloud-amd64");
  SKIP_IF(missing(files));
  SKIP_IF(GdbSession::missing());
  if (!fs::exists(files.symbols())) GTEST_SKIP() << files.symbols() << " is not there";
  const Tree tree(files);
  ChildProcess ringside(tree.command("-G w0"));
  constexpr std::string_view kLine = "gdb: type  ";
  const std::string line =
      ringside.await_line(Stream::Error, kLine, boot_deadline()).substr(kLine.size());
  EXPECT_THAT(line, HasSubstr("/vmlinux -ex "));
  ChildProcess gdb({"/bin/sh", "-c",
                    line + " -nx -batch -ex 'break start_kernel' -ex continue -ex 'backtrace 1'"
                           " -ex 'print init_uts_ns.name.release' -ex detach 2>&1"});
  gdb.close_input();
  EXPECT_EQ(gdb.await_exit(boot_deadline()), 0);
  EXPECT_THAT(gdb.text(Stream::Output), HasSubstr("Breakpoint 1, start_kernel ()"));
  EXPECT_THAT(gdb.text(Stream::Output), HasSubstr("-cloud-amd64\""));
  LinuxShell(ringside, "~ # ").await_prompt();
}

}  // namespace
}  // namespace ringside::testing

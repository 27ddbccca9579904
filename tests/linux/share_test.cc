// A shared folder under Debian's own 9P: what the host has there is what the guest sees, and the
// other way round; nothing else of the host is in sight; and all of it is repeated without any
// folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing/temporary_folder.h"
#include "linux/content.h"
#include "linux/linux_guest.h"
#include "linux/recorded_run.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

class LinuxShare : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    std::filesystem::create_directory(folder_);
    std::ofstream(scratch_.path().string() + "/secret") << "secret";
  }
  static void mount(LinuxShell& shell, const std::string& options = "") {
    shell.await_prompt();
    shell.load_share_driver();
    shell.output_of("mkdir /mnt && mount -t 9p -o trans=virtio,version=9p2000.L" + options +
                    " share0 /mnt");
  }

  const LinuxFiles files_{"amd64"};  // the cloud's kernel has no 9P
  const TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path().string() + "/folder";
};

TEST_F(LinuxShare, IsSharedBothWaysAndRepeatedWithoutTheFolder) {
  const RecordedRun run(scratch_.path().string() + "/journal");
  std::ofstream(folder_ + "/from-host") << std::string(300'000, 'h');
  std::filesystem::create_symlink("../secret", folder_ + "/out");
  std::filesystem::create_symlink("/etc/hostname", folder_ + "/away");
  const LinuxOptions options{.arguments = {"--share", folder_}};
  LinuxGuest guest(files_, run.recorded(options));
  LinuxShell& shell = guest.shell();
  mount(shell, ",msize=131072");
  EXPECT_EQ(shell.output_of("wc -c </mnt/from-host"), "300000\n");
  EXPECT_EQ(shell.output_of("tr -d h </mnt/from-host | wc -c"), "0\n");
  shell.output_of("seq 1 100000 >/mnt/from-guest && chmod 640 /mnt/from-guest && sync");
  EXPECT_EQ(content_of(folder_ + "/from-guest").size(), 588'895u);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/from-guest").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0640u);
  // The host changes something while the guest runs.
  std::ofstream(folder_ + "/from-host") << "new content";
  EXPECT_EQ(shell.output_of("cat /mnt/from-host"), "new content");
  shell.output_of(
      "cd /mnt && mkdir a && echo x >a/b && mv a/b a/c && ln -s c a/d && ln a/c a/e && cd /");
  EXPECT_EQ(shell.output_of("ls -1 /mnt/a && readlink /mnt/a/d && cat /mnt/a/d"),
            "c\nd\ne\nc\nx\n");
  EXPECT_EQ(std::filesystem::hard_link_count(folder_ + "/a/e"), 2u);
  // A file that is removed while it is open.
  EXPECT_EQ(shell.output_of("exec 3<>/mnt/gone; echo text >&3; rm /mnt/gone; cat /proc/self/fd/3"),
            "text\n");
  shell.output_of("exec 3>&-; rm -r /mnt/a");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/a"));
  // Links that lead out lead to what the guest has there, which is nothing.
  EXPECT_NE(shell.run("cat /mnt/out").status, 0);
  EXPECT_NE(shell.run("cat /mnt/away").status, 0);
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  std::filesystem::remove_all(folder_);
  run.expect_repetition(files_, options, guest.process());
}

// A module that comes while the guest runs is loaded there, from a folder that it cannot write.
TEST_F(LinuxShare, BringsAModuleIntoARunningGuest) {
  LinuxGuest guest(files_, {.arguments = {"--share", folder_ + ",tag=share0,ro"}});
  LinuxShell& shell = guest.shell();
  mount(shell);
  EXPECT_NE(shell.run("insmod /mnt/virtio_blk.ko").status, 0) << "it is not there yet";
  std::filesystem::copy(files_.program("virtio_blk.ko"), folder_ + "/virtio_blk.ko");
  shell.output_of("insmod /mnt/virtio_blk.ko");
  EXPECT_THAT(shell.output_of("cat /proc/modules"), HasSubstr("virtio_blk "));
  EXPECT_THAT(shell.run("touch /mnt/new").output, HasSubstr("Read-only file system"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new"));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

// What kernel developers do all day: a module is built in the folder, with Debian's headers, is
// loaded in the guest that runs, and once more when it was changed.
TEST_F(LinuxShare, BringsWhatIsBuiltOnTheHostAgainAndAgain) {
  const std::string headers = files_.program("headers");
  if (!std::filesystem::exists(headers + "/Makefile"))
    GTEST_SKIP() << headers << " is not there; see make test-guests";
  for (const char* program : {"make", "gcc-12"})
    SKIP_IF(host::no_program(program));
  const auto build = [&](const std::string& text) {
    std::ofstream(folder_ + "/Kbuild") << "obj-m := greeting.o\n";
    std::ofstream(folder_ + "/greeting.c") << R"(#include <linux/module.h>
#include "text.h"
static int __init greet(void) {
  pr_info(TEXT "\n");
  return 0;
}
static void __exit leave(void) {}
module_init(greet);
module_exit(leave);
MODULE_LICENSE("GPL");
)";
    std::ofstream(folder_ + "/text.h") << "#define TEXT \"" << text << "\"\n";
    ChildProcess make({"make", "-s", "-C", headers, "M=" + folder_, "modules"});
    EXPECT_EQ(make.await_exit(boot_deadline()), 0) << make.text(ChildProcess::Stream::Error);
  };
  LinuxGuest guest(files_, {.arguments = {"--share", folder_ + ",ro"}});
  LinuxShell& shell = guest.shell();
  mount(shell);
  build("of the first making");
  shell.output_of("insmod /mnt/greeting.ko");
  EXPECT_THAT(shell.output_of("dmesg | tail -n 1"), HasSubstr("] of the first making"));
  build("of the second making");
  shell.output_of("rmmod greeting && insmod /mnt/greeting.ko");
  EXPECT_THAT(shell.output_of("dmesg | tail -n 1"), HasSubstr("] of the second making"));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

// The guest is told, and goes on; whoever has started it is told once.
TEST_F(LinuxShare, SurvivesThatTheFolderVanishes) {
  std::ofstream(folder_ + "/file") << "content";
  LinuxGuest guest(files_, {.arguments = {"--share", folder_}});
  LinuxShell& shell = guest.shell();
  mount(shell);
  EXPECT_EQ(shell.output_of("cat /mnt/file"), "content");
  std::filesystem::remove_all(folder_);
  EXPECT_NE(shell.run("cat /mnt/file").status, 0);
  EXPECT_NE(shell.run("touch /mnt/other").status, 0);
  shell.output_of("umount /mnt");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  const std::string& said = guest.process().text(ChildProcess::Stream::Error);
  const std::string line = "shared folder share0 (" + folder_ + "): somebody has removed it";
  const std::size_t first = said.find(line);
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find(line, first + 1), std::string::npos) << said;
}

}  // namespace
}  // namespace ringside::testing

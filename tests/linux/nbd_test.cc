// A qcow2 image by qemu-nbd under Debian's own driver: what was written is there after power-off,
// and a recording is repeated with the image as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/testing/temporary_folder.h"
#include "linux/linux_guest.h"
#include "linux/recorded_run.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char *kServer = "/usr/bin/qemu-nbd", *kTool = "/usr/bin/qemu-img";

void run(std::vector<std::string> command) {
  ChildProcess process(std::move(command));
  process.close_input();
  ASSERT_EQ(process.await_exit(), 0) << process.text(ChildProcess::Stream::Error);
}

// It is listening when it has been made.
class QemuNbd {
 public:
  QemuNbd(const std::string& image, const std::string& socket) : pid_file_(socket + ".pid") {
    run({kServer, "--fork", "-t", "-f", "qcow2", "--pid-file", pid_file_, "-k", socket, image});
  }
  ~QemuNbd() {
    pid_t process = 0;
    std::ifstream(pid_file_) >> process;
    if (process > 0) ::kill(process, SIGTERM);
    // It is not a child, and closes the image, which has a lock, at its end.
    while (process > 0 && ::kill(process, 0) == 0)
      ::usleep(1000);
  }
  QemuNbd(const QemuNbd&) = delete;
  QemuNbd& operator=(const QemuNbd&) = delete;

 private:
  std::string pid_file_;
};

class LinuxNbd : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    for (const char* program : {kServer, kTool}) {
      if (::access(program, X_OK) != 0)
        GTEST_SKIP() << "there is no " << program << " (apt install qemu-utils)";
    }
    run({kTool, "create", "-q", "-f", "qcow2", image_, "64M"});
  }

  const LinuxFiles files_{"cloud-amd64"};
  const TemporaryFolder scratch_;
  const std::string image_ = scratch_ / "disk.qcow2", socket_ = scratch_ / "socket";
  const LinuxOptions options_{.cpus = 2, .arguments = {"-d", "nbd+unix:" + socket_}};
};

TEST_F(LinuxNbd, AQcow2ImageKeepsAFileSystem) {
  std::string digests;
  {
    const QemuNbd server(image_, socket_);
    LinuxGuest guest(files_, options_);
    LinuxShell& shell = guest.shell();
    shell.await_prompt();
    shell.load_disk_driver();
    EXPECT_EQ(shell.output_of("cat /sys/block/vda/size"), "131072\n");
    shell.output_of("mke2fs /dev/vda >/dev/null && mkdir /disk && mount -t ext4 /dev/vda /disk");
    shell.output_of("mkdir /disk/a && seq 1 100000 >/disk/a/numbers && cp /bin/busybox /disk/a");
    digests = shell.output_of("cd /disk && sha256sum a/*; cd /");
    shell.output_of("umount /disk");
    EXPECT_EQ(shell.end("poweroff -f"), 1);
  }
  run({kTool, "check", "-q", "-f", "qcow2", image_});
  EXPECT_LT(std::filesystem::file_size(image_), 32u << 20) << "it is no raw image";
  const QemuNbd server(image_, socket_);
  LinuxGuest guest(files_, options_);
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  shell.load_disk_driver();
  shell.output_of("mkdir /disk && mount -r -t ext4 /dev/vda /disk");
  EXPECT_EQ(shell.output_of("cd /disk && sha256sum a/*; cd /"), digests);
  EXPECT_THAT(shell.output_of("dmesg"), Not(HasSubstr("EXT4-fs error")));
}

TEST_F(LinuxNbd, IsRepeated) {
  if (engine() != "soft") GTEST_SKIP() << "runs are repeated on the software CPU";
  const std::string copy = scratch_ / "copy.qcow2";
  std::filesystem::copy_file(image_, copy);
  const RecordedRun recorded(scratch_ / "journal");
  std::optional<QemuNbd> server(std::in_place, image_, socket_);
  LinuxGuest guest(files_, recorded.recorded(options_));
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  shell.load_disk_driver();
  shell.output_of("seq 1 200000 | dd of=/dev/vda bs=64k iflag=fullblock conv=fsync 2>&1");
  shell.output_of("echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/vda");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  server.reset();
  server.emplace(copy, socket_);
  recorded.expect_repetition(files_, options_, guest.process());
}

}  // namespace
}  // namespace ringside::testing

// The virtio disk under Debian's own driver: what the host's file holds is what the guest reads,
// what the guest has flushed is in the file however the machine ends, and read-only is read-only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "linux/content.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class LinuxDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }
  ~LinuxDisk() override {
    for (const std::string& path : images_)
      ::unlink(path.c_str());
  }

  std::string image(const std::string& name, std::size_t size) {
    images_.push_back(::testing::TempDir() + "ringside-" + std::to_string(::getpid()) + name);
    std::ofstream(images_.back(), std::ios::binary) << scrambled(size);
    return images_.back();
  }
  static void load_driver(LinuxShell& shell) {
    shell.await_prompt();
    shell.load_disk_driver();
  }

  const LinuxFiles files_{"cloud-amd64"};
  std::vector<std::string> images_;
};

constexpr std::size_t kMiB = 1 << 20;

TEST_F(LinuxDisk, ReadsWritesAndRefuses) {
  const std::string disk = image("disk", 16 * kMiB), fixed = image("fixed", kMiB);
  const std::string before = content_of(disk), fixed_before = content_of(fixed);
  LinuxGuest guest(files_, {.cpus = 2, .arguments = {"-d", disk, "-d", fixed + ",ro"}});
  LinuxShell& shell = guest.shell();
  load_driver(shell);
  EXPECT_EQ(shell.output_of("cat /sys/block/vda/size /sys/block/vdb/size"), "32768\n2048\n");
  EXPECT_THAT(shell.output_of("sha256sum /dev/vda"), HasSubstr(digest(content_of(disk))));
  EXPECT_THAT(shell.output_of("sha256sum /dev/vdb"), HasSubstr(digest(content_of(fixed))));

  EXPECT_EQ(shell.output_of("cat /sys/block/vda/ro /sys/block/vdb/ro"), "0\n1\n");
  EXPECT_NE(shell.run("dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync").status, 0);

  // Written and flushed, then switched off without any goodbye.
  shell.output_of(
      "seq 1 200000 | dd of=/dev/vda bs=512 seek=8 count=2000 iflag=fullblock "
      "conv=notrunc,fsync 2>&1");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  std::string written;
  for (int i = 1; written.size() < 2000 * 512; ++i)
    written += std::to_string(i) + "\n";
  written.resize(2000 * 512);
  std::string after = before;
  std::copy(written.begin(), written.end(), after.begin() + 8 * 512);
  EXPECT_TRUE(content_of(disk) == after);
  EXPECT_TRUE(content_of(fixed) == fixed_before);
}

TEST_F(LinuxDisk, IsOnThePciBusWithMessages) {
  const std::string disk = image("disk", kMiB), fixed = image("fixed", kMiB);
  LinuxGuest guest(files_, {.cpus = 2, .arguments = {"-d", disk, "-d", fixed + ",ro"}});
  LinuxShell& shell = guest.shell();
  load_driver(shell);
  EXPECT_EQ(shell.output_of("cat /sys/bus/pci/devices/*/device"), "0x29c0\n0x1042\n0x1042\n");
  EXPECT_THAT(shell.output_of("dmesg"),
              AllOf(HasSubstr("[mem 0xe0000000-0xe00fffff] reserved"),
                    Not(ContainsRegex("no space for|failed to assign|can't claim|nobody cared"))));
  shell.output_of("sha256sum /dev/vda");
  EXPECT_THAT(shell.output_of("cat /proc/interrupts"),
              AllOf(ContainsRegex("PCI-MSI.*virtio0-req.0"), Not(HasSubstr("IO-APIC  16"))));
}

// As a kernel finds them that knows no messages.
TEST_F(LinuxDisk, IsOnThePciBusWithALine) {
  const std::string disk = image("disk", kMiB);
  LinuxGuest guest(files_, {.append = "pci=nomsi", .arguments = {"-d", disk}});
  LinuxShell& shell = guest.shell();
  load_driver(shell);
  EXPECT_THAT(shell.output_of("sha256sum /dev/vda"), HasSubstr(digest(content_of(disk))));
  EXPECT_THAT(shell.output_of("cat /proc/interrupts"), ContainsRegex("16:.*IO-APIC.*virtio0"));
}

TEST_F(LinuxDisk, IsAtAFixedAddressWhereThatIsAskedFor) {
  const std::string disk = image("disk", kMiB);
  for (const LinuxOptions& options :
       {LinuxOptions{.arguments = {"-d", disk, "--virtio", "mmio"}},
        LinuxOptions{.append = "pci=off", .arguments = {"-d", disk}}}) {
    LinuxGuest guest(files_, options);
    LinuxShell& shell = guest.shell();
    load_driver(shell);
    EXPECT_THAT(shell.output_of("sha256sum /dev/vda"), HasSubstr(digest(content_of(disk))));
    EXPECT_THAT(shell.output_of("readlink -f /sys/block/vda"), HasSubstr("LNRO0005"));
    shell.end("poweroff -f");
  }
}

TEST_F(LinuxDisk, OfASnapshotNothingIsLeft) {
  const std::string disk = image("disk", 16 * kMiB);
  const std::string before = content_of(disk);
  LinuxGuest guest(files_, {.arguments = {"-d", disk + ",snapshot"}});
  LinuxShell& shell = guest.shell();
  load_driver(shell);
  EXPECT_EQ(shell.output_of("cat /sys/block/vda/ro"), "0\n");
  EXPECT_THAT(shell.output_of("sha256sum /dev/vda"), HasSubstr(digest(content_of(disk))));
  shell.output_of("mke2fs /dev/vda >/dev/null && mkdir /disk && mount -t ext4 /dev/vda /disk");
  shell.output_of("cp /bin/busybox /disk && umount /disk && echo 3 >/proc/sys/vm/drop_caches");
  shell.output_of("mount -t ext4 /dev/vda /disk && cmp /bin/busybox /disk/busybox");
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  EXPECT_TRUE(content_of(disk) == before);
}

TEST_F(LinuxDisk, KeepsAFileSystemOverPowerOff) {
  const std::string disk = image("filesystem", 24 * kMiB);
  std::string digests;
  {
    LinuxGuest guest(files_, {.arguments = {"-d", disk}});
    LinuxShell& shell = guest.shell();
    load_driver(shell);
    shell.output_of("mke2fs /dev/vda >/dev/null && mkdir /disk && mount -t ext4 /dev/vda /disk");
    shell.output_of("mkdir /disk/a && seq 1 100000 >/disk/a/numbers && cp /bin/busybox /disk/a");
    digests = shell.output_of("cd /disk && sha256sum a/*; cd /");
    shell.output_of("umount /disk");
    EXPECT_EQ(shell.end("poweroff -f"), 1);
  }
  LinuxGuest guest(files_, {.arguments = {"-d", disk + ",ro"}});
  LinuxShell& shell = guest.shell();
  load_driver(shell);
  shell.output_of("mkdir /disk && mount -r -t ext4 /dev/vda /disk");
  EXPECT_EQ(shell.output_of("cd /disk && sha256sum a/*; cd /"), digests);
  EXPECT_THAT(shell.output_of("dmesg"), Not(HasSubstr("EXT4-fs error")));
  // What was flushed outlives the death of ringside itself.
  guest.process().kill(SIGKILL);
}

}  // namespace
}  // namespace ringside::testing

// Firmware boots disks: SeaBIOS and OVMF, each from a disk with GRUB on it, to Debian's shell, and
// OVMF to its own shell, whose variables stay in their file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "linux/content.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kConsole = ChildProcess::Stream::Output;

class BootDisk : public ::testing::Test {
 protected:
  ~BootDisk() override {
    for (const std::string& path : made_)
      ::unlink(path.c_str());
  }

  // What is missing of what a test reads; empty: nothing.
  std::string missing(std::initializer_list<const char*> paths) const {
    for (const std::string path : paths) {
      if (::access(path.c_str(), R_OK) != 0) return path + " is not there";
    }
    return files_.missing();
  }

  std::string new_path(const std::string& name) {
    made_.push_back(::testing::TempDir() + "ringside-" + std::to_string(::getpid()) + "-" + name);
    return made_.back();
  }
  std::string disk(const std::string& platform) { return disk(platform, files_); }
  // `root`: of a system of the disk's own, or empty.
  std::string disk(const std::string& platform, const LinuxFiles& files,
                   const std::string& root = "") {
    const std::string image = new_path(platform + ".img");
    ChildProcess build({"sh", RINGSIDE_LINUX_TESTS "/build-boot-disk", platform, image,
                        files.kernel(), files.initramfs(), "serial", root});
    EXPECT_EQ(build.await_exit(boot_deadline()), 0) << build.text(ChildProcess::Stream::Error);
    return image;
  }
  std::string variables() {
    const std::string copy = new_path("vars.fd");
    std::filesystem::copy_file(kVariables, copy);
    return copy;
  }
  static std::vector<std::string> command(const std::vector<std::string>& rest) {
    std::vector<std::string> words = {RINGSIDE_PROGRAM, "-e", engine(), "--pace", "off"};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  }

  static constexpr const char* kSeaBios = "/usr/share/seabios/bios-256k.bin";
  static constexpr const char* kCode = "/usr/share/OVMF/OVMF_CODE.fd";
  static constexpr const char* kVariables = "/usr/share/OVMF/OVMF_VARS.fd";
  static constexpr const char* kCode4M = "/usr/share/OVMF/OVMF_CODE_4M.fd";
  static constexpr const char* kVariables4M = "/usr/share/OVMF/OVMF_VARS_4M.fd";
  static constexpr const char* kCombined = "/usr/share/ovmf/OVMF.fd";
  static constexpr const char* kGrubForBios = "/usr/lib/grub/i386-pc/boot.img";
  static constexpr const char* kGrubForEfi = "/usr/lib/grub/x86_64-efi/linux.mod";

  const LinuxFiles files_{"cloud-amd64"};
  std::vector<std::string> made_;
};

TEST_F(BootDisk, SeaBiosBootsGrubAndLinux) {
  const std::string absent = missing({kSeaBios, kGrubForBios, "/sbin/mke2fs"});
  if (!absent.empty()) GTEST_SKIP() << absent;
  ChildProcess ringside(command({"-c", "2", "--bios", kSeaBios, "-d", disk("bios") + ",snapshot"}));
  ringside.await(kConsole, "GRUB for i386-pc", boot_deadline());
  LinuxShell shell(ringside);
  shell.await_prompt();
  EXPECT_EQ(shell.output_of("cat /sys/bus/pci/devices/*/device"), "0x29c0\n0x1042\n0x2918\n");
  EXPECT_EQ(shell.output_of("grep -c processor /proc/cpuinfo"), "2\n");
  EXPECT_THAT(shell.output_of("dmesg"),
              AllOf(HasSubstr("RNGSDE RINGSIDE"), HasSubstr("MMCONFIG"), HasSubstr("0xb0000000"),
                    Not(ContainsRegex("no space for|failed to assign|can't claim|nobody cared|"
                                      "BIOS bug|Firmware Bug"))));
  shell.load_disk_driver();
  EXPECT_THAT(shell.output_of("sed -n 's/.*vda1/vda1/p' /proc/partitions"), HasSubstr("vda1"));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

// The disk's own bash is the first process, and speaks of the disk's own Debian.
TEST_F(BootDisk, SeaBiosBootsGrubAndDebian) {
  constexpr const char* kRoot = RINGSIDE_LINUX_FILES "/debian/root";
  const std::string absent = missing({kSeaBios, kGrubForBios, "/sbin/mke2fs", kRoot});
  if (!absent.empty()) GTEST_SKIP() << absent;
  const std::string image = disk("bios", files_, kRoot) + ",snapshot";
  ChildProcess ringside(command({"--bios", kSeaBios, "-d", image}));
  ringside.await(kConsole, "GRUB for i386-pc", boot_deadline());
  LinuxShell shell(ringside);
  shell.await_prompt();
  EXPECT_THAT(shell.output_of("cat /etc/debian_version"), ContainsRegex("^1[0-9]\\."));
  EXPECT_THAT(shell.output_of("bash --version; ls --version"),
              AllOf(HasSubstr("GNU bash"), HasSubstr("GNU coreutils")));
  EXPECT_THAT(shell.output_of("cat /proc/mounts"), HasSubstr("/dev/vda1 / ext"));
  EXPECT_EQ(shell.end("echo o >/proc/sysrq-trigger"), 1);
}

// A machine with firmware begins at the reset vector when it wakes; SeaBIOS finds that it had
// slept, and in the FACS where Linux goes on.
TEST_F(BootDisk, LinuxSleepsAndIsWokenBySeaBios) {
  const LinuxFiles files("amd64");  // the cloud's kernel does not sleep
  std::string absent = missing({kSeaBios, kGrubForBios, "/sbin/mke2fs"});
  if (absent.empty()) absent = files.missing();
  if (!absent.empty()) GTEST_SKIP() << absent;
  const std::string image = disk("bios", files) + ",snapshot";
  ChildProcess ringside(command({"-c", "2", "--bios", kSeaBios, "-d", image}));
  LinuxShell shell(ringside);
  shell.await_prompt();
  shell.load_disk_driver();
  const std::string sum = "dd if=/dev/vda bs=64k count=200 iflag=direct 2>/dev/null | md5sum";
  const std::string before = shell.output_of(sum);
  shell.output_of("echo +5 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state");
  EXPECT_THAT(ringside.text(ChildProcess::Stream::Error),
              AllOf(HasSubstr("asleep (ACPI S3), until its clock's alarm"),
                    HasSubstr("guest: awake again")));
  EXPECT_EQ(shell.output_of("cat /sys/power/suspend_stats/success"), "1\n");
  EXPECT_EQ(shell.output_of("grep -c ^processor /proc/cpuinfo"), "2\n");
  EXPECT_EQ(shell.output_of(sum), before) << "the disk is there again";
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

TEST_F(BootDisk, OvmfBootsGrubAndLinux) {
  const std::string absent =
      missing({kCode, kVariables, kGrubForEfi, "/usr/bin/mformat", "/usr/bin/mcopy"});
  if (!absent.empty()) GTEST_SKIP() << absent;
  ChildProcess ringside(
      command({"--bios", kCode, "--firmware-vars", variables(), "-d", disk("efi") + ",snapshot"}));
  ringside.await(kConsole, "GRUB for x86_64-efi", boot_deadline());
  LinuxShell shell(ringside);
  shell.await_prompt();
  EXPECT_EQ(shell.output_of("cat /sys/bus/pci/devices/*/device"), "0x29c0\n0x1042\n0x2918\n");
  EXPECT_THAT(shell.output_of("dmesg"),
              AllOf(HasSubstr("efi: EFI v2"), HasSubstr("RNGSDE RINGSIDE"), HasSubstr("MMCONFIG"),
                    Not(ContainsRegex("no space for|failed to assign|can't claim|nobody cared|"
                                      "BIOS bug|Firmware Bug"))));
  EXPECT_THAT(shell.output_of("ls /sys/firmware/efi"), HasSubstr("systab"));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

// Of one image, whose variables are lost; without a disk there is its shell.
TEST_F(BootDisk, OvmfInOneImageReachesItsShell) {
  const std::string absent = missing({kCombined});
  if (!absent.empty()) GTEST_SKIP() << absent;
  ChildProcess ringside(command({"--bios", kCombined}));
  ringside.await(kConsole, "startup.nsh", boot_deadline());
  ringside.write_input("\x1b");
  ringside.await(kConsole, "Shell> ", boot_deadline());
  ringside.write_input("reset -s\r");
  EXPECT_EQ(ringside.await_exit(boot_deadline()), 1);
}

// Debian's newer images, with room for more variables.
TEST_F(BootDisk, OvmfOf4MiBReachesItsShell) {
  const std::string absent = missing({kCode4M, kVariables4M});
  if (!absent.empty()) GTEST_SKIP() << absent;
  ChildProcess ringside(
      command({"--bios", kCode4M, "--firmware-vars", std::string(kVariables4M) + ",snapshot"}));
  ringside.await(kConsole, "startup.nsh", boot_deadline());
  ringside.write_input("\x1b");
  ringside.await(kConsole, "Shell> ", boot_deadline());
  ringside.write_input("reset -s\r");
  EXPECT_EQ(ringside.await_exit(boot_deadline()), 1);
}

// A variable that was set in one run is there in the next.
TEST_F(BootDisk, VariablesStayInTheirFile) {
  const std::string absent = missing({kCode, kVariables});
  if (!absent.empty()) GTEST_SKIP() << absent;
  constexpr const char* kName = "setvar Ringside -guid 12345678-1234-1234-1234-123456789abc";
  const std::string file = variables();
  const std::string before = content_of(file);
  for (const bool first : {true, false}) {
    ChildProcess ringside(command({"--bios", kCode, "--firmware-vars", file}));
    ringside.await(kConsole, "startup.nsh", boot_deadline());
    ringside.write_input("\x1b");
    ringside.await(kConsole, "Shell> ", boot_deadline());
    if (first) {
      ringside.write_input(std::string(kName) + " -nv -bs =0xcafe\r");
    } else {
      ringside.write_input(std::string(kName) + "\r");
      ringside.await(kConsole, "FE CA", boot_deadline());
    }
    ringside.write_input("reset -s\r");
    EXPECT_EQ(ringside.await_exit(boot_deadline()), 1);
  }
  EXPECT_EQ(content_of(file).size(), before.size());
  EXPECT_NE(content_of(file), before);
}

}  // namespace
}  // namespace ringside::testing

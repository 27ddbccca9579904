// Debian's Xen, which lives by what a BIOS leaves, starts a Linux of Debian's as its first domain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

std::string file_of(const std::string& name) { return RINGSIDE_LINUX_FILES "/" + name; }

// Xen's file without its header of the first protocol, so that the second one's is left.
std::string without_multiboot1(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), {}};
  const std::string_view magic("\x02\xb0\xad\x1b", 4);
  const std::size_t at = content.find(magic);
  EXPECT_LT(at, 8192u);
  content.replace(at, magic.size(), magic.size(), '\0');
  const std::string changed = "/tmp/ringside-xen-" + std::to_string(::getpid());
  std::ofstream(changed, std::ios::binary) << content;
  return changed;
}

// As GRUB has multiboot 2, words come without the name of their file; Xen drops the first one of
// each line where the loader is not GRUB.
void boot_xen(const std::string& xen, const std::string& dropped, const std::string& protocol) {
  const LinuxFiles files("amd64");
  ChildProcess process({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-m", "768M", "-a",
                        dropped + "console=com1 dom0_mem=384M", "-i",
                        files.kernel() + " " + dropped + "console=hvc0", "-i", files.initramfs(),
                        xen});
  using Stream = ChildProcess::Stream;
  // Not a LinuxShell: a line has two carriage returns at its end, of Linux's console and of Xen's.
  process.await(Stream::Output, "\nguest# ", boot_deadline());
  EXPECT_THAT(process.text(Stream::Error), HasSubstr("kernel: " + protocol));
  process.write_input("echo on $(cat /sys/hypervisor/type) with $(nproc)\n");
  process.await(Stream::Output, "on xen with 2", boot_deadline());
  process.write_input("poweroff -f\n");
  EXPECT_EQ(process.await_exit(boot_deadline()), 1);
  EXPECT_THAT(process.text(Stream::Output), HasSubstr("Entering ACPI S5 state."));
}

class Xen : public ::testing::Test {
 protected:
  void SetUp() override {
    const LinuxFiles files("amd64");
    if (!files.missing().empty()) GTEST_SKIP() << files.missing();
    if (::access(xen.c_str(), R_OK) != 0) GTEST_SKIP() << xen << " is not there";
  }
  const std::string xen = file_of("xen/xen");
};

TEST_F(Xen, StartsLinuxByMultiboot1) { boot_xen(xen, "", "multiboot 1"); }

TEST_F(Xen, StartsLinuxByMultiboot2) {
  const std::string changed = without_multiboot1(xen);
  boot_xen(changed, "dropped ", "multiboot 2");
  ::unlink(changed.c_str());
}

}  // namespace
}  // namespace ringside::testing

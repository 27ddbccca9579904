#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "engine/kvm/host/api.h"
#include "engine/kvm/host/probe.h"

namespace ringside::kvm {
namespace {

// The numbers that a C program gets (Linux 6.1 headers).
TEST(IoctlNumbers, AreThoseOfC) {
  EXPECT_EQ(number::kGetSupportedCpuid, 0xc008ae05ul);
  EXPECT_EQ(number::kSetCpuid2, 0x4008ae90ul);
  EXPECT_EQ(number::kGetMsrs, 0xc008ae88ul);
  EXPECT_EQ(number::kSetMsrs, 0x4008ae89ul);
  EXPECT_EQ(number::kGetMsrNumbers, 0xc004ae02ul);
  EXPECT_EQ(number::kGetXsave, 0x9000aea4ul);
  EXPECT_EQ(number::kSetXsave, 0x5000aea5ul);
  EXPECT_EQ(number::kSetSignalMask, 0x4004ae8bul);
}

TEST(Probe, SaysWhyOrWhat) {
  const Facts facts = probe();
  for (const std::string& line : describe(facts))
    printf("%s\n", line.c_str());
  if (facts.usable) {
    EXPECT_GT(facts.ring0_mips, 0);
  } else {
    EXPECT_FALSE(facts.reason.empty());
    EXPECT_FALSE(facts.fit_for_auto());
  }
}

TEST(Probe, WithoutKvmItSaysWhatToDo) {
  const Facts absent = probe("/dev/no-such-kvm");
  EXPECT_FALSE(absent.usable);
  EXPECT_EQ(absent.reason,
            "there is no /dev/no-such-kvm (load kvm_intel or kvm_amd, or switch virtualization on "
            "in the firmware)");
  EXPECT_EQ(probe("/dev/null").reason, "/dev/null is not KVM");
}

// A file that nobody may open takes the place of a device of others. Root may open everything, and
// is somebody else for a moment.
TEST(Probe, WithoutPermissionItSaysWhatToDo) {
  const std::string file = ::testing::TempDir() + "ringside-probe-" + std::to_string(::getpid());
  const int created = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0);
  ASSERT_GE(created, 0) << file;
  ::close(created);
  const bool root = ::geteuid() == 0;
  const bool somebody_else = root && ::seteuid(65534) == 0;
  const std::string refused = probe(file.c_str()).reason;
  if (somebody_else) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ::unlink(file.c_str());
  if (root && !somebody_else) GTEST_SKIP() << "root cannot be another user here";
  EXPECT_EQ(refused, file + " may not be opened by this user (join the group kvm)");
}

}  // namespace
}  // namespace ringside::kvm

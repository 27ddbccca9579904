// Privileged behaviour against QEMU's emulator, instruction by instruction: all registers, tables
// and control registers after each. What the machine itself answers (CPUID, RDTSC, RDMSR, IN,
// device memory) is taken over from QEMU; flags that an instruction leaves undefined too.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "lockstep/lockstep.h"
#include "support/guest_image.h"

namespace ringside::testing {
namespace {

void expect_no_divergence(const Lockstep::Report& report) {
  std::printf("%llu instructions compared; results of %llu taken over, undefined flags of %llu\n",
              static_cast<unsigned long long>(report.compared),
              static_cast<unsigned long long>(report.copied),
              static_cast<unsigned long long>(report.undefined));
  for (const std::string& divergence : report.divergences)
    ADD_FAILURE() << divergence;
}

class LockstepTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!QemuTrace::available()) GTEST_SKIP() << "qemu-system-x86_64 is not installed";
  }
};

TEST_F(LockstepTest, IntoLongMode) {
  Lockstep both = Lockstep::kernel(GuestImage("registers").path(), {});
  const auto report = both.run(2000);
  expect_no_divergence(report);
  EXPECT_GT(report.compared, 50u) << report.end;
}

// Every vector that software can reach, in each mode, with what is pushed.
TEST_F(LockstepTest, ExceptionsIn64BitMode) {
  Lockstep both = Lockstep::kernel(GuestImage("vectors64").path(), {});
  const auto report = both.run(100'000);
  expect_no_divergence(report);
  EXPECT_EQ(report.end, "spins");
}

TEST_F(LockstepTest, ExceptionsInProtectedAndRealMode) {
  Lockstep both = Lockstep::kernel(GuestImage("vectors32").path(), {});
  const auto report = both.run(100'000);
  expect_no_divergence(report);
  EXPECT_EQ(report.end, "spins");
}

TEST_F(LockstepTest, DebiansKernelForAMillionInstructions) {
  const std::string kernel = RINGSIDE_LINUX_FILES "/cloud-amd64/vmlinuz";
  if (::access(kernel.c_str(), R_OK) != 0) GTEST_SKIP() << "no kernel; see make test-guests";
  Lockstep::Options options;
  options.memory = 256u << 20;
  options.command_line = "console=ttyS0";
  options.floating_point = false;  // the kernel has none so early
  Lockstep both = Lockstep::kernel(kernel, options);
  const char* count = std::getenv("RINGSIDE_LOCKSTEP");
  const auto report = both.run(count == nullptr ? 1'000'000 : std::strtoull(count, nullptr, 10));
  expect_no_divergence(report);
  EXPECT_GE(report.compared, 1'000'000u) << report.end;
}

}  // namespace
}  // namespace ringside::testing

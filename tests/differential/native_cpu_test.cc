// What the runner of host instructions does where the host does not play along.
#include "differential/native_cpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <stdexcept>

#include "differential/native_modes.h"

namespace ringside::differential {
namespace {

Case nop() {
  Case test;
  test.bytes = {0x90};
  test.state.rip = kCode;
  return test;
}

TEST(NativeCpu, ASegmentThatTheProcessorRefusesIsSaid) {
  if (const auto reason = NativeCpu::start()) GTEST_SKIP() << *reason;
  constexpr std::uint16_t kCode64 = 0x33, kData = 0x2b, kBeyondTheTable = 0xfffb;
  // The load of DS before the case, and IRET itself: each is refused before the case begins, and
  // the next case runs as if nothing had been.
  for (const CodeSegments& refused : {CodeSegments{kCode64, kBeyondTheTable, std::nullopt},
                                      CodeSegments{kBeyondTheTable, kData, std::nullopt}}) {
    try {
      run_in_segments(nop(), refused);
      ADD_FAILURE() << "nothing is refused";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "exception 13 with error code 0xfff8 on entering it");
    }
    EXPECT_FALSE(NativeCpu::run(nop()).fault);
  }
}

// It must not be taken for the end of a case, and not come again for ever.
TEST(NativeCpuDeathTest, AFaultInTheTestsOwnCodeEndsTheProcess) {
  if (const auto reason = NativeCpu::start()) GTEST_SKIP() << *reason;
  EXPECT_EXIT(static_cast<void>(*reinterpret_cast<volatile char*>(kUnmapped)),
              testing::KilledBySignal(SIGSEGV),
              "signal 11 at .* in the test's own code .*, address 0x10013000");
}

}  // namespace
}  // namespace ringside::differential

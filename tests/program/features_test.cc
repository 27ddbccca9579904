// CPUID as a guest sees it (tests/guests/features.c): it executes every feature that is announced,
// complains of an announced bit that it cannot execute, and of what works without being announced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

// More than 4 GiB, for what can address them. HTT is announced where there are several vCPUs.
TEST(Features, EachAnnouncedOneIsExecutedByAGuest) {
  if (engine() != "soft") GTEST_SKIP() << "elsewhere the host's processor says what there is";
  for (const auto& [processor, proved] : {std::pair("v2", 54u), {"v3", 71u}}) {
    for (const unsigned cpus : {1u, 2u}) {
      ChildProcess process({RINGSIDE_PROGRAM, "-e", "soft", "--cpu", processor, "-m", "5G", "-c",
                            std::to_string(cpus), GuestImage("features").path()});
      process.await(ChildProcess::Stream::Output, "end\n");
      EXPECT_EQ(process.text(ChildProcess::Stream::Output),
                "proved: " + std::to_string(proved + cpus - 1) + "\nend\n")
          << processor;
    }
  }
}

}  // namespace
}  // namespace ringside::testing

#include <gtest/gtest.h>

#include "engine/kvm/api.h"
#include "engine/kvm/probe.h"

namespace ringside::kvm {
namespace {

// The numbers that a C program gets (Linux 6.1 headers).
TEST(IoctlNumbers, AreThoseOfC) {
  EXPECT_EQ(number::kGetSupportedCpuid, 0xc008ae05ul);
  EXPECT_EQ(number::kSetCpuid2, 0x4008ae90ul);
  EXPECT_EQ(number::kGetMsrs, 0xc008ae88ul);
  EXPECT_EQ(number::kSetMsrs, 0x4008ae89ul);
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

}  // namespace
}  // namespace ringside::kvm

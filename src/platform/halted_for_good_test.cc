#include "platform/halted_for_good.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringside::hypervisor {
namespace {

using Activity = VcpuActivity;

TEST(HaltedForGood, A_vcpu_has_hope_unless_it_sleeps_with_interrupts_off) {
  EXPECT_EQ(hope_of(Activity::Halted, true, false), Hope::None);
  EXPECT_EQ(hope_of(Activity::Halted, true, true), Hope::Some);
  EXPECT_EQ(hope_of(Activity::Halted, false, false), Hope::Some) << "a debugger may do anything";
  EXPECT_EQ(hope_of(Activity::Running, true, false), Hope::Some);
  EXPECT_EQ(hope_of(Activity::WaitingForDevice, true, false), Hope::Some);
  EXPECT_EQ(hope_of(Activity::Dead, true, false), Hope::Some);
  EXPECT_EQ(hope_of(Activity::WaitingForStartUp, true, true), Hope::Absent);
}

TEST(HaltedForGood, One_that_has_hope_is_enough_and_one_that_has_none_is_needed) {
  const auto ended = [](const std::vector<Hope>& all) {
    std::vector<const Hope*> vcpus;
    for (const Hope& one : all)
      vcpus.push_back(&one);
    return halted_for_good(vcpus, [](const Hope& one) { return one; });
  };
  EXPECT_TRUE(ended({Hope::None}));
  EXPECT_TRUE(ended({Hope::None, Hope::Absent, Hope::None}));
  EXPECT_FALSE(ended({Hope::None, Hope::Some}));
  EXPECT_FALSE(ended({Hope::Absent, Hope::Absent}));
  EXPECT_FALSE(ended({}));
}

}  // namespace
}  // namespace ringside::hypervisor

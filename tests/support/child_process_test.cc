#include "support/child_process.h"

#include <gtest/gtest.h>

namespace ringside::testing {
namespace {

TEST(ChildProcess, UsesNoTimeOfOtherChildren) {
  ChildProcess idle({"cat"});
  ChildProcess busy({"sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done"});
  EXPECT_EQ(busy.await_exit(), 0);
  idle.close_input();
  EXPECT_EQ(idle.await_exit(), 0);
  EXPECT_LT(idle.processor_time(), busy.processor_time());
}

}  // namespace
}  // namespace ringside::testing

// Debian's LLDB against the real program: connects, sets a breakpoint, steps, reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/child_process.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(Lldb, ConnectsBreaksStepsAndReads) {
  SKIP_IF(host::no_program("lldb"));
  GuestProcess guest("counters");
  const std::string tick = "0x" + hex_number(guest["tick"]);
  ChildProcess process(
      {"lldb",
       "--no-lldbinit",
       "--batch",
       guest.image().path(),
       "-o",
       "gdb-remote 127.0.0.1:" + std::to_string(guest.port()),
       "-o",
       "breakpoint set --address " + tick,
       "-o",
       "continue",
       "-o",
       "register read rip",
       "-o",
       "memory read --format x --size 8 --count 1 " + ("0x" + hex_number(guest["counters"])),
       "-o",
       "thread step-inst",
       "-o",
       "memory read --format x --size 8 --count 1 " + ("0x" + hex_number(guest["counters"])),
       "-o",
       "register read rip",
       "-o",
       "process plugin packet monitor vcpus",
       "-o",
       "detach"});
  process.await_exit();
  const std::string said = process.text(ChildProcess::Stream::Output);
  EXPECT_THAT(said, HasSubstr("stop reason = breakpoint 1.1"));
  EXPECT_THAT(said, ContainsRegex("rip = " + std::string("0x0*") + tick.substr(2)));
  EXPECT_THAT(said, HasSubstr("0x0000000000000000\n"));
  EXPECT_THAT(said, HasSubstr("stop reason = instruction step into"));
  EXPECT_THAT(said, HasSubstr("0x0000000000000001\n"));
  EXPECT_THAT(said, HasSubstr("response: " + hex("* CPU #0: thread 1")));
  EXPECT_THAT(said, HasSubstr("detached"));
  EXPECT_TRUE(guest.running());
}

}  // namespace
}  // namespace ringside::testing

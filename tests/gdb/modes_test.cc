// One connection of stock GDB from the reset vector to 64-bit mode.
#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST_F(Dialogue, FromTheResetVectorToLongMode) {
  begin("reset", {.firmware = true});
  EXPECT_THAT(connect(), HasSubstr("reset_vector ()"));
  EXPECT_THAT(gdb("x/i $pc"), HasSubstr("0xfffffff0 <reset_vector>"));
  EXPECT_THAT(gdb("stepi"), HasSubstr("rom16 ()"));
  // All at once, most of them before their code or their mapping is there.
  gdb("break *rom16_function");
  gdb("break " + at("low16_function"));
  gdb("break *protected32");
  gdb("break *long64");
  gdb("break " + at("long_function"));
  // Real mode, in ROM.
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, rom16_function ()"));
  EXPECT_THAT(gdb("print *(short*)0x9000"), HasSubstr("= 0"));
  gdb("stepi");
  EXPECT_THAT(gdb("print *(short*)0x9000"), HasSubstr("= 1"));
  EXPECT_THAT(gdb("stepi"), HasSubstr("rom16_after ()"));
  // Real mode, in memory that was written since.
  EXPECT_THAT(gdb("continue"), ContainsRegex("Breakpoint 2, 0x0+8020 in"));
  EXPECT_THAT(gdb("info registers cs"), HasSubstr("0x800"));
  gdb("stepi");
  EXPECT_THAT(gdb("print (long)$pc"), HasSubstr("= " + std::to_string(0x8024)));
  gdb("set var $pc = $pc");
  gdb("stepi");
  EXPECT_THAT(gdb("print/x (long)$pc"), HasSubstr(hex_number((*guest_)["low16_after"])));
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 3, protected32 ()"));
  EXPECT_THAT(gdb("stepi"), HasSubstr("mov     %eax, %ds"));
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 4, long64 ()"));
  EXPECT_THAT(gdb("print $efer"), HasSubstr("LMA"));
  const std::string upper = "0x" + hex_number((*guest_)["long_function"]);
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 5, " + upper));
  EXPECT_THAT(gdb("print *(long*)0x9020"), HasSubstr("= 0"));
  gdb("continue");
  EXPECT_THAT(gdb("print *(long*)0x9020"), HasSubstr("= 1"));
  gdb("delete");
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIGINT"));
}

TEST_F(Dialogue, WatchingAndPassingThroughModes) {
  begin("reset", {.firmware = true});
  connect();
  gdb("set can-use-hw-watchpoints 1");
  gdb("watch *(short*)0x9008");  // written in real mode
  gdb("watch *(long*)0x9018");   // in 64-bit mode
  EXPECT_THAT(gdb("continue"), HasSubstr("Hardware watchpoint 1"));
  EXPECT_THAT(gdb("print (long)$pc < 0x8100"), HasSubstr("= 1"));
  EXPECT_THAT(gdb("continue"), HasSubstr("Hardware watchpoint 2"));
  EXPECT_THAT(gdb("info symbol $pc"), HasSubstr("long64 + "));
}

}  // namespace
}  // namespace ringside::testing

// What the assembler refuses ends no run: such a block stays interpreted, and a line of the log
// says which.
#include "translator/refusals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/soft/state/code_cache.h"
#include "translator/bare_twins.h"
#include "translator/code_writer.h"
#include "translator/random_program.h"

namespace ringside::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;

// In bytes, of which three quarters are for code: the stubs and short blocks have room.
constexpr std::size_t kTooLittle = 2600;

// As many instructions as a block may have, each of them long in host code, again and again.
Scene long_block() {
  Scene scene = make_stage(Setting::User64);
  CodeWriter code(scene.memory, CodeMode::Code64, stage::kCode);
  for (unsigned i = 0; i + 1 < soft::CodeCache::kMaxBlock; ++i) {
    code.bytes({0x66, 0x64, 0x43, 0x81, 0x94, 0xd1});  // adc word fs:[r9+r10*8+...], ...
    code.number(stage::kData, 4);
    code.number(0x1234, 2);
  }
  EXPECT_TRUE(code.set_target(code.jump(), stage::kCode));
  scene.entry.gpr[9] = scene.entry.gpr[10] = 8;
  return scene;
}

TEST(Refusals, ABlockWithoutRoomIsInterpreted) {
  const Refusals refusals;
  BareTwins twins(long_block(), translated(kTooLittle));
  twins.run_to({3000});
  EXPECT_EQ(twins.difference(), "");
  EXPECT_THAT(refusals.lines(),
              ElementsAre(MatchesRegex("the block at physical 10000 stays interpreted: adc at "
                                       "\\+[0-9a-f]+: code is too big")));
}

TEST(Refusals, RandomProgramsRunWithHardlyAnyRoom) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    BareTwins twins(random_program(Setting::User64, seed), translated(kTooLittle));
    twins.run_to({3000});
    ASSERT_EQ(twins.difference(), "") << seed;
  }
}

}  // namespace
}  // namespace ringside::testing

// What registers of 256 bits bring with them: operands across two pages, under a watchpoint, over
// the block's own code, and a vector unit that goes away in the midst of a block. Each as the
// interpreter has it.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/soft/state/code_cache.h"
#include "engine/soft/state/xstate.h"
#include "support/host.h"
#include "translator/alike.h"
#include "translator/bare_twins.h"
#include "translator/code_writer.h"
#include "translator/stage.h"

namespace ringside::testing {
namespace {

constexpr unsigned kRax = 0, kRbx = 3, kRsi = 6, kRdi = 7;
constexpr unsigned kUndefined = 6, kProtection = 13, kPageFault = 14;
constexpr std::initializer_list<std::uint8_t> kLoad = {0xc5, 0xfe, 0x6f, 0x1b},  // ymm3, [rbx]
    kStore = {0xc5, 0xfe, 0x7f, 0x0b},                                           // [rbx], ymm1
    kStoreAligned = {0xc5, 0xfd, 0x7f, 0x0b},
                                              kAdd = {0xc5, 0xf5, 0xfc,
                                                      0xcb};  // vpaddb ymm1, ymm1, ymm3

class Vex : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_IF(no_translator());
    for (std::uint64_t at = stage::kData; at < stage::kDataEnd; ++at)
      scene_.memory[at] = static_cast<std::uint8_t>(at * 37 + (at >> 8));
  }

  Scene scene_ = make_stage(Setting::Kernel64, hypervisor::Processor::V3);
  CodeWriter code_{scene_.memory, CodeMode::Code64, stage::kCode};

  // Faults go on at the start, too.
  void loop() { ASSERT_TRUE(code_.set_target(code_.jump(), stage::kCode)); }
  // A block of which not all fits before a stop is interpreted: these are longer than any block.
  void run(BareTwins& twins, std::uint64_t from, std::uint64_t until) {
    constexpr std::uint64_t kStride = soft::CodeCache::kMaxBlock + 9;
    for (std::uint64_t count = from + kStride; count <= until; count += kStride) {
      twins.run_to({count});
      ASSERT_TRUE(alike(twins.difference())) << "after " << count;
    }
  }
  static std::uint64_t times(BareTwins& twins, unsigned vector) {
    std::uint64_t count = 0;
    const auto& ram = twins.machine(Side::Translated).ram();
    std::memcpy(&count, ram.host({stage::kCounters + 8 * vector}, 8), 8);
    return count;
  }
};

TEST_F(Vex, GoesAwayWithinABlock) {
  const auto set_xcr0 = [&](std::uint64_t value) {
    code_.bytes({0x31, 0xc9, 0x31, 0xd2});  // xor ecx, ecx; xor edx, edx
    code_.load(kRax, value);
    code_.bytes({0x0f, 0x01, 0xd1});
  };
  set_xcr0(soft::xstate::kAll);
  code_.bytes(kAdd);
  set_xcr0(soft::xstate::kAll & ~soft::xstate::kAvx);
  code_.bytes(kAdd);
  loop();
  BareTwins twins(scene_);
  run(twins, 0, 1000);
  EXPECT_GT(times(twins, kUndefined), 5u);
}

TEST_F(Vex, AcrossTwoPages) {
  code_.bytes({0x48, 0xff, 0xc3});  // inc rbx
  code_.bytes(kLoad);
  code_.bytes(kAdd);
  code_.bytes(kStore);
  loop();
  for (const std::uint64_t border : {stage::kData + kPageSize, stage::kReadOnly, stage::kAbsent}) {
    scene_.entry.gpr[kRbx] = border - 40;
    BareTwins twins(scene_);
    run(twins, 0, 1000);
    EXPECT_EQ(times(twins, kPageFault) > 5, border != stage::kData + kPageSize) << border;
  }
}

TEST_F(Vex, OfAlignedMemory) {
  code_.bytes({0x48, 0x83, 0xc3, 0x10});  // add rbx, 16
  code_.bytes(kLoad);
  code_.bytes(kAdd);
  code_.bytes(kStoreAligned);
  loop();
  scene_.entry.gpr[kRbx] = stage::kData;
  BareTwins twins(scene_);
  run(twins, 0, 1000);
  EXPECT_GT(times(twins, kProtection), 5u);
}

TEST_F(Vex, UnderAWatchpoint) {
  code_.bytes(kLoad);
  code_.bytes(kAdd);
  code_.bytes(kStore);
  loop();
  scene_.entry.gpr[kRbx] = stage::kData + 0x100;
  BareTwins twins(scene_);
  run(twins, 0, 500);
  for (const Side side : {Side::Interpreted, Side::Translated}) {
    auto& points = *twins.engine(side).watchpoints();
    ASSERT_TRUE(
        points.insert_watchpoint({stage::kData + 0x100 + 28}, 4, hypervisor::WatchKind::Access));
  }
  run(twins, 500, 1000);
  EXPECT_GT(twins.machine(Side::Translated).events().size(), 20u);
}

// The next bytes of the block are one of two pieces of code, in turns.
TEST_F(Vex, OverTheBlocksOwnCode) {
  for (unsigned i = 0; i < 32; i += 2) {
    scene_.memory[stage::kData + i] = scene_.memory[stage::kData + 64 + i] = 0xff;
    scene_.memory[stage::kData + i + 1] = 0xc2;       // inc edx
    scene_.memory[stage::kData + 64 + i + 1] = 0xca;  // dec edx
  }
  code_.bytes({0xc5, 0xfe, 0x6f, 0x0e});  // vmovdqu ymm1, [rsi]
  code_.bytes({0xc5, 0xfe, 0x7f, 0x0f});  // vmovdqu [rdi], ymm1
  scene_.entry.gpr[kRdi] = code_.at();
  for (unsigned i = 0; i < 32; ++i)
    code_.bytes({0x90});
  code_.bytes({0x48, 0x83, 0xf6, 0x40});  // xor rsi, 64
  loop();
  scene_.entry.gpr[kRsi] = stage::kData;
  BareTwins twins(scene_);
  run(twins, 0, 1000);
}

}  // namespace
}  // namespace ringside::testing

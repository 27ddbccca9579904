// REP: that bulk and stepped execution are the same, also in what they count and how much time they
// take; faults, interrupts
// and ports in the middle.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;
using x86::Gpr;

constexpr std::uint64_t kArea = 0x80000, kAreaSize = 0x8000;  // pages that belong to the test

struct Setting {
  std::string bytes;
  std::uint64_t rsi, rdi, rcx, rax;
  bool down;
};

void prepare(TestCpu& cpu, const Setting& setting, unsigned seed) {
  std::mt19937_64 random(seed);
  for (std::uint64_t i = 0; i < kAreaSize; ++i) {
    // Few values, so that comparisons go on for a while.
    cpu.put<std::uint8_t>(kArea + i, random() % 64 == 0 ? 1 : 0);
  }
  cpu.code(setting.bytes + " 90");
  cpu->reg(Gpr::Rsi) = setting.rsi;
  cpu->reg(Gpr::Rdi) = setting.rdi;
  cpu->reg(Gpr::Rcx) = setting.rcx;
  cpu->reg(Gpr::Rax) = setting.rax;
  cpu->flags.set_system(x86::rflags::DF, setting.down);
}

// So many instructions, whose time ends a run sooner.
void run_for(TestCpu& cpu, std::uint64_t instructions) {
  const std::uint64_t end = cpu->icount + instructions;
  while (cpu->icount < end)
    run(*cpu, end);
}

std::uint64_t insn_length(const std::string& hex) {
  return static_cast<std::uint64_t>(
             std::count_if(hex.begin(), hex.end(), [](char c) { return c != ' '; })) /
         2;
}

void expect_same(TestCpu& a, TestCpu& b, const std::string& what) {
  EXPECT_EQ(a->gpr, b->gpr) << what;
  EXPECT_EQ(a->flags.value(), b->flags.value()) << what;
  EXPECT_EQ(a->icount, b->icount) << what;
  EXPECT_EQ(a.board().surcharge, b.board().surcharge) << what;
  EXPECT_EQ(std::memcmp(a.host(kArea), b.host(kArea), kAreaSize), 0) << what;
}

TEST(RepeatedStrings, BulkAndSteppedAreTheSameAndCountTheSame) {
  const char* const kOperations[] = {"a4", "66 a5", "a5", "48 a5", "aa", "66 ab",
                                     "ab", "48 ab", "a6", "66 a7", "a7", "48 a7",
                                     "ae", "66 af", "af", "48 af", "ac", "48 ad"};
  std::mt19937_64 random(7);
  TestCpu bulk(Mode::Long64), stepped(Mode::Long64);
  for (int i = 0; i < 700; ++i) {
    Setting setting;
    setting.bytes = random() % 2 == 0 ? "f3 " : "f2 ";
    setting.bytes += kOperations[random() % std::size(kOperations)];
    setting.rcx = random() % 4 == 0 ? random() % 3 : random() % 900;
    setting.rsi = kArea + 0x2000 + random() % 0x2000;
    setting.rdi = random() % 3 == 0 ? setting.rsi + random() % 16 - 8  // overlapping
                                    : kArea + 0x2000 + random() % 0x2000;
    setting.rax = random() % 4 == 0 ? random() : 0;
    setting.down = random() % 4 == 0;
    const auto seed = static_cast<unsigned>(random());
    prepare(bulk, setting, seed);
    prepare(stepped, setting, seed);
    const std::uint64_t end = at::kCode + insn_length(setting.bytes);
    for (int chunks = 0; bulk->rip() != end && chunks < 20; ++chunks) {
      run(*bulk, bulk->icount + 1);
    }
    for (int steps = 0; stepped->rip() != end && steps < 1000; ++steps)
      stepped.step();
    expect_same(bulk, stepped, setting.bytes);
    ASSERT_EQ(bulk->rip(), end);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(RepeatedStrings, AChunkEndsWhereThePageDoes) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, {"f3 aa", 0, kArea + 0x800, 0x2000, 0x55, false}, 1);
  const std::uint64_t before = cpu->icount;
  run(*cpu, before + 1);
  EXPECT_EQ(cpu->icount, before + 1);
  EXPECT_EQ(cpu->rip(), at::kCode);
  EXPECT_EQ(cpu->reg(Gpr::Rdi), kArea + 0x1000);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 0x1800u);
  run_for(cpu, 2);
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  EXPECT_EQ(cpu->icount, before + 3);
}

// An instruction's time for each 64 bytes. It has passed when the chunk retires, and ends the run.
TEST(RepeatedStrings, TakeTimeInProportionToTheirBytes) {
  for (const bool down : {false, true}) {
    for (const char* code : {"f3 a4", "f3 48 ab", "f3 ae", "f3 48 a7"}) {
      TestCpu cpu(Mode::Long64);
      const std::uint64_t from = kArea + (down ? 0x1ff8 : 0x1000);
      prepare(cpu, {code, from + 0x2000, from, 0x1000, 0, down}, 1);
      std::memset(cpu.host(kArea), 0, kAreaSize);
      if (std::string_view(code).find("48") != std::string_view::npos) cpu->reg(Gpr::Rcx) /= 8;
      const std::uint64_t before = cpu->icount;
      run(*cpu, before + 64);
      EXPECT_EQ(cpu->icount, before + 1) << code;
      EXPECT_NEAR(static_cast<double>(cpu.board().surcharge), 64, 1) << code;
    }
  }
}

TEST(RepeatedStrings, ATimeThatIsNotOverWaitsForTheRestOfTheChunk) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, {"f3 aa", 0, kArea, 0x200, 0x55, false}, 1);
  cpu.step(0x1ff);
  EXPECT_EQ(cpu.board().surcharge, 0u);
  cpu.step();
  EXPECT_EQ(cpu.board().surcharge, 8u);
}

TEST(RepeatedStrings, AStepIsOneIteration) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, {"f3 48 ab", 0, kArea, 3, 0x55, false}, 1);
  const std::uint64_t before = cpu->icount;
  cpu.step();
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 2u);
  EXPECT_EQ(cpu->rip(), at::kCode);
  EXPECT_EQ(cpu->icount, before);
  cpu.step(2);
  EXPECT_EQ(cpu->rip(), at::kCode + 3);
  EXPECT_EQ(cpu->icount, before + 1);
}

TEST(RepeatedStrings, AFaultLeavesTheRegistersAtItsIteration) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  prepare(cpu, {"f3 a4", kArea, kArea + 0x2f80, 0x200, 0, false}, 1);
  cpu.unmap(kArea + 0x3000);
  run_for(cpu, 2);  // a chunk, then the fault
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu->cr2, kArea + 0x3000);
  EXPECT_EQ(cpu->reg(Gpr::Rdi), kArea + 0x3000);
  EXPECT_EQ(cpu->reg(Gpr::Rsi), kArea + 0x80);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 0x180u);
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), at::kCode);
}

TEST(RepeatedStrings, AnElementAcrossAPageThatFaultsIsNotDone) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  prepare(cpu, {"f3 48 ab", 0, kArea + 0xff4, 8, ~std::uint64_t{0}, false}, 1);
  cpu.unmap(kArea + 0x1000);
  const auto before = cpu.get<std::uint32_t>(kArea + 0xffc);
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu->reg(Gpr::Rdi), kArea + 0xffc);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 7u);
  EXPECT_EQ(cpu.get<std::uint32_t>(kArea + 0xffc), before);
}

TEST(RepeatedStrings, AnInterruptComesBetweenChunks) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, {"f3 aa", 0, kArea + 0xf00, 0x1100, 0x55, false}, 1);
  cpu->flags.set_system(x86::rflags::IF, true);
  run(*cpu, cpu->icount + 1);
  cpu.platform.vector = 0x40;
  cpu->interrupt_pin = true;
  cpu.put<std::uint8_t>(TestCpu::handler(0x40), 0x90);
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu->rip() & ~std::uint64_t{1}, TestCpu::handler(0x40));
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 0x1000u);
}

TEST(RepeatedStrings, NothingHappensForACountOfNone) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, {"67 f3 aa", 0, 0xdead0000dead0000, 0x700000000, 0x55, false}, 1);
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode + 3);
  EXPECT_EQ(cpu->reg(Gpr::Rdi), 0xdead0000dead0000u);
}

TEST(RepeatedStrings, SixteenBitAddressesWrap) {
  TestCpu cpu(Mode::Real);
  cpu->seg(x86::SegmentName::Es).base = kArea;
  cpu.code("f3 aa 90");
  cpu->reg(Gpr::Rdi) = 0xabcdfffe;
  cpu->reg(Gpr::Rcx) = 0x12340004;
  cpu->reg(Gpr::Rax) = 0x77;
  run_for(cpu, 2);
  EXPECT_EQ(cpu->reg(Gpr::Rdi), 0xabcd0002u);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 0x12340000u);
  EXPECT_EQ(cpu.get<std::uint16_t>(kArea + 0xfffe), 0x7777);
  EXPECT_EQ(cpu.get<std::uint16_t>(kArea), 0x7777);
}

TEST(RepeatedStrings, TheSegmentLimitEndsABulkCopy) {
  TestCpu cpu(Mode::Protected32);
  cpu->seg(x86::SegmentName::Es).limit = kArea + 0x17;
  cpu.code("f3 ab");
  cpu->reg(Gpr::Rdi) = kArea;
  cpu->reg(Gpr::Rcx) = 100;
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu->reg(Gpr::Rdi), kArea + 0x18);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 94u);
}

TEST(RepeatedStrings, PortsAreReadOnlyWhenTheStoreCannotFault) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  prepare(cpu, {"f3 6d", 0, kArea + 0xffc, 2, 0, false}, 1);
  cpu.rdx() = 0x80;
  cpu.unmap(kArea + 0x1000);
  run_for(cpu, 2);
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu.platform.ports.size(), 1u);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 1u);
  EXPECT_EQ(cpu.get<std::uint32_t>(kArea + 0xffc), cpu.platform.port_value);
}

TEST(RepeatedStrings, ADeviceThatIsNotReadyMakesThemWait) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, {"f3 6e", kArea, 0, 2, 0, false}, 1);
  cpu.platform.ports_wait = true;
  cpu.step();
  EXPECT_EQ(cpu->activity, Activity::WaitingForDevice);
  EXPECT_EQ(cpu->rip(), at::kCode);
  EXPECT_EQ(cpu->reg(Gpr::Rsi), kArea);
  EXPECT_EQ(cpu->reg(Gpr::Rcx), 2u);
}

}  // namespace
}  // namespace ringside::soft

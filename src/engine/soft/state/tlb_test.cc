// How long translations are kept: where two pages want one place, over a change of address space
// with PCIDs (SDM 3A 4.10.4.1), and that none comes back when generations are numbered anew. A walk
// shows itself by the accessed bit that it sets.
#include <gtest/gtest.h>

#include "base/state_bytes.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;
using x86::Gpr;

constexpr std::uint64_t kAccessed = 0x20, kKeep = std::uint64_t{1} << 63;
// Linear addresses that are a multiple of the cache's reach apart, and the frames behind them.
constexpr std::uint64_t kReach = Tlb::kEntries * kPageSize, kLow = 0x80000, kHigh = kReach + kLow,
                        kHighest = 2 * kReach + kLow, kHighFrame = 0x90000, kHighestFrame = 0xc8000,
                        kTables = 0xd0000;

class TranslationCache : public ::testing::Test {
 protected:
  TranslationCache() {
    cpu.small_pages();
    map(kHigh, kTables, kHighFrame);
    map(kHighest, kTables + 0x1000, kHighestFrame);
    cpu->flush_tlb();
  }
  // Gives a 2 MiB area a table of its own, in which one page is mapped.
  void map(std::uint64_t linear, std::uint64_t table, std::uint64_t frame) {
    cpu.put<std::uint64_t>(at::kPd + 8 * (linear >> 21), table | 7);
    cpu.put<std::uint64_t>(table + 8 * (linear >> 12 & 511), frame | 7);
  }
  std::uint64_t& entry(std::uint64_t linear) {
    const std::uint64_t table =
        *reinterpret_cast<std::uint64_t*>(cpu.host(at::kPd + 8 * (linear >> 21))) & kPageMask;
    return *reinterpret_cast<std::uint64_t*>(cpu.host(table + 8 * (linear >> 12 & 511)));
  }
  // Whether reading or writing there needs a walk.
  bool walks(std::uint64_t linear, AccessKind kind = AccessKind::Read) {
    entry(linear) &= ~kAccessed;
    if (kind == AccessKind::Write) {
      cpu->store<std::uint8_t>(linear, 1);
    } else {
      cpu->load<std::uint8_t>(linear);
    }
    return (entry(linear) & kAccessed) != 0;
  }

  TestCpu cpu{Mode::Long64};
};

TEST_F(TranslationCache, OfTwoPagesThatWantOnePlaceIsKept) {
  EXPECT_TRUE(walks(kLow));
  EXPECT_TRUE(walks(kHigh, AccessKind::Write));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(walks(kLow));
    EXPECT_FALSE(walks(kHigh));
    EXPECT_FALSE(walks(kHigh, AccessKind::Write));
  }
  // A third takes the place of the elder one, whichever was used last.
  EXPECT_TRUE(walks(kHighest));
  EXPECT_FALSE(walks(kHigh));
  EXPECT_TRUE(walks(kLow));
}

// A machine that is loaded goes on as the one that was saved.
TEST_F(TranslationCache, IsPartOfTheState) {
  EXPECT_TRUE(walks(kLow));
  EXPECT_TRUE(walks(kHigh, AccessKind::Write));
  cpu.code("90 90");
  run(*cpu, cpu->icount + 1);
  StateSaver saver;
  cpu->visit_state(saver);
  EXPECT_TRUE(walks(kHighest));
  cpu->flush_tlb();
  EXPECT_FALSE(cpu->knows_fetch(at::kCode));
  StateLoader loader(saver.saved);
  cpu->visit_state(loader);
  EXPECT_TRUE(loader.finished());
  StateSaver again;
  cpu->visit_state(again);
  EXPECT_EQ(saver.saved, again.saved);
  EXPECT_TRUE(cpu->knows_fetch(at::kCode));
  EXPECT_FALSE(walks(kLow));
  EXPECT_FALSE(walks(kHigh, AccessKind::Write));
  EXPECT_TRUE(walks(kHighest));
  EXPECT_TRUE(walks(kLow));  // its place went to the last one, as it would have without all this
}

TEST_F(TranslationCache, OfACopysTwoOperandsIsKept) {
  cpu.code("f3a4 90");
  cpu->reg(Gpr::Rsi) = kLow;
  cpu->reg(Gpr::Rdi) = kHigh;
  cpu->reg(Gpr::Rcx) = 0x800;
  *cpu.host(kLow + 0x7ff) = 0x5a;
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(*cpu.host(kHighFrame + 0x7ff), 0x5a);
  EXPECT_FALSE(walks(kLow));
  EXPECT_FALSE(walks(kHigh, AccessKind::Write));
  EXPECT_NE(cpu->direct(kLow, AccessKind::Read), nullptr);  // whatever was there before
  EXPECT_NE(cpu->direct(kHigh, AccessKind::Write), nullptr);
}

TEST_F(TranslationCache, OfAPcidIsKeptWhereCr3IsWrittenWithBit63) {
  cpu->cr4 |= x86::cr4::PCIDE;
  write_cr3(*cpu, at::kPml4 | 1);
  EXPECT_TRUE(walks(kLow));
  write_cr3(*cpu, at::kPml4 | 2 | kKeep);  // nothing is known of this one
  EXPECT_TRUE(walks(kLow));
  write_cr3(*cpu, at::kPml4 | 1 | kKeep);
  EXPECT_EQ(cpu->cr3, at::kPml4 | 1);
  EXPECT_FALSE(walks(kLow));
  write_cr3(*cpu, at::kPml4 | 2);
  write_cr3(*cpu, at::kPml4 | 2 | kKeep);
  EXPECT_TRUE(walks(kLow));  // dropped by the write without bit 63
  write_cr3(*cpu, at::kPml4 | 1 | kKeep);
  cpu->flush_tlb_page(kLow);
  EXPECT_TRUE(walks(kLow));
  write_cr3(*cpu, at::kPml4 | 2 | kKeep);
  cpu->flush_tlb_context(1);
  EXPECT_FALSE(walks(kHigh) && walks(kHigh));
  write_cr3(*cpu, at::kPml4 | 1 | kKeep);
  EXPECT_TRUE(walks(kLow));
}

TEST_F(TranslationCache, OfEveryPcidGoesWithAChangeOfPaging) {
  cpu->cr4 |= x86::cr4::PCIDE;
  write_cr3(*cpu, at::kPml4 | 1);
  EXPECT_TRUE(walks(kLow));
  write_cr3(*cpu, at::kPml4 | 2);
  write_cr4(*cpu, cpu->cr4 | x86::cr4::PGE);
  write_cr3(*cpu, at::kPml4 | 1 | kKeep);
  EXPECT_TRUE(walks(kLow));
}

// More PCIDs than are remembered, and more flushes than a generation has numbers.
TEST_F(TranslationCache, NeverComesBack) {
  cpu->cr4 |= x86::cr4::PCIDE;
  for (unsigned i = 0; i < 9000; ++i) {
    write_cr3(*cpu, at::kPml4 | i % 12 | (i % 3 == 0 ? kKeep : 0));
    const std::uint64_t frame = i % 2 == 0 ? kHighFrame : kHighestFrame;
    entry(kHigh) = frame | 7;
    cpu->flush_tlb_context(i % 12);
    cpu.put<std::uint32_t>(frame, i);
    ASSERT_EQ(cpu->load<std::uint32_t>(kHigh), i);
  }
}

// The same for code, whose translations are kept elsewhere: after any number of flushes it is the
// page that the tables name.
TEST_F(TranslationCache, OfCodeNeverComesBack) {
  *cpu.host(kHighFrame) = 0x90;                         // nop
  std::memcpy(cpu.host(kHighestFrame), "\xff\xc0", 2);  // inc eax
  cpu.rax() = 0;
  for (unsigned flushes = 4085; flushes < 4105; ++flushes) {
    const std::uint64_t before = cpu.rax();
    entry(kHigh) = kHighFrame | 7;
    cpu->flush_tlb();
    cpu->rip() = kHigh;
    cpu.step();
    EXPECT_EQ(cpu.rax(), before);
    entry(kHigh) = kHighestFrame | 7;
    for (unsigned i = 0; i < flushes; ++i)
      cpu->flush_tlb();
    cpu->rip() = kHigh;
    cpu.step();
    EXPECT_EQ(cpu.rax(), before + 1) << flushes;
  }
}

}  // namespace
}  // namespace ringside::soft

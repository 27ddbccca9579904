// Page tables in odd places: beyond RAM, in ROM, on the other side of the A20 gate, or where
// another table lies. Whatever a guest does with them, the processor touches RAM alone, and only by
// the entries that the walk has used.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "engine/soft/cpu/control.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;

constexpr std::uint64_t kMegabyte = 1u << 20, kMemory = 3 * kMegabyte, kRom = 4 * kMegabyte,
                        kRomSize = 4 * kPageSize;
constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 0x20, kDirty = 0x40,
                        kLarge = 0x80, kAll = kPresent | kWritable | kUser;

struct Paging {
  std::uint64_t cr4, efer;
};
constexpr Paging kBits32{x86::cr4::PSE, 0}, kPae{x86::cr4::PAE, x86::efer::NXE},
    kLevel4{x86::cr4::PAE, x86::efer::NXE | x86::efer::LME | x86::efer::LMA},
    kLevel5{x86::cr4::PAE | x86::cr4::LA57, kLevel4.efer};

class PageTables : public ::testing::Test {
 protected:
  // `rom` begins with these entries.
  void add_rom(std::span<const std::uint64_t> rom) {
    std::vector<std::uint64_t> image(kRomSize / 8);
    std::copy(rom.begin(), rom.end(), image.begin());
    ASSERT_TRUE(t_.ram().add_rom({kRom}, std::as_bytes(std::span(image))));
  }
  void enter(const Paging& paging, std::uint64_t cr3) {
    x86::CpuState s = t_->state();
    s.cr0 |= x86::cr0::PG | x86::cr0::WP;
    s.cr3 = cr3;
    s.cr4 = paging.cr4;
    s.efer = paging.efer;
    t_->set_state(s);
    t_->flush_tlb();
    reload_pdptes(*t_);
  }
  void set_a20(bool on) {
    t_.board().a20 = on;
    t_->flush_tlb();
  }
  std::uint64_t put(std::uint64_t address, std::uint64_t value) {
    t_.put<std::uint64_t>(address, value);
    return value;
  }
  std::optional<std::uint64_t> translate(std::uint64_t linear, AccessKind kind) {
    try {
      return t_->translate(linear, kind, Privilege::Supervisor).value;
    } catch (const GuestFault& fault) {
      fault_ = fault.exception;
      return std::nullopt;
    }
  }

  TestCpu t_{TestCpu::Mode::Protected32, kMemory};
  x86::Exception fault_;
};

// The page directory lies where CR3's table was, which is beyond memory once A20 is on: the access
// goes through the entry that was loaded with CR3, finds no directory, and faults.
TEST_F(PageTables, ADirectoryBeyondMemoryIsNotPresent) {
  set_a20(false);
  put(kMemory - kMegabyte, kMemory | kPresent);
  enter(kPae, kMemory);
  ASSERT_EQ(t_->pdpte[0], kMemory | kPresent);
  set_a20(true);
  for (const std::uint64_t linear : {0x0, 0x1000, 0x3000, 0x10000}) {
    EXPECT_EQ(translate(linear, AccessKind::Read), std::nullopt) << linear;
    EXPECT_EQ(fault_.vector, x86::Vector::PageFault);
    EXPECT_EQ(fault_.fault_address, linear);
    EXPECT_EQ(fault_.error_code.value_or(99), 0u) << linear;
  }
}

// What CR3's load has kept stands for the four top entries alone, and memory at their place for
// every other table that lies there.
TEST_F(PageTables, ADirectoryMayLieWherePaesTopEntriesWere) {
  constexpr std::uint64_t kTable = 0x9000;
  put(kTable, kTable | kPresent);
  enter(kPae, kTable);
  put(kTable, 0x200000 | kAll | kLarge);
  EXPECT_EQ(translate(0x1234, AccessKind::Read), 0x201234u);
  EXPECT_EQ(t_.get<std::uint64_t>(kTable), 0x200000 | kAll | kLarge | kAccessed);
  EXPECT_EQ(t_->pdpte[0], kTable | kPresent);
}

TEST_F(PageTables, AccessedAndDirtyDoNotReachRom) {
  const std::array<std::uint64_t, 2> rom{kRom | kAll, 0x200000 | kAll};
  add_rom(rom);
  for (const Paging& paging : {kPae, kLevel4, kLevel5}) {
    enter(paging, kRom);
    // Through the table itself at each level, then its second entry.
    t_->pdpte.fill(kRom | kPresent);
    EXPECT_EQ(translate(0x1678, AccessKind::Write), 0x200678u);
    EXPECT_EQ(translate(0x0678, AccessKind::Write), kRom + 0x678);
    for (std::size_t i = 0; i < rom.size(); ++i)
      EXPECT_EQ(t_.get<std::uint64_t>(kRom + 8 * i), rom[i]) << i;
  }
}

TEST_F(PageTables, AccessedAndDirtyAreSetBehindTheGate) {
  constexpr std::uint64_t kTable = 0x9000, kBeyondGate = kTable + kMegabyte;
  put(kTable, kTable | kAll);
  put(kBeyondGate, 0x77);
  set_a20(false);
  enter(kLevel4, kBeyondGate);
  EXPECT_EQ(translate(0x123, AccessKind::Write), kTable + 0x123);
  EXPECT_EQ(t_.get<std::uint64_t>(kTable), kTable | kAll | kAccessed | kDirty);
  EXPECT_EQ(t_.get<std::uint64_t>(kBeyondGate), 0x77u);
}

// Tables full of entries that point at tables, beyond memory, into ROM and across the gate; CR3,
// the mode and the gate change at any time. A translation, where there is one, is a place behind
// the gate, and ROM is as it was.
TEST_F(PageTables, NothingButRamIsTouchedWhateverTheGuestDoes) {
  std::mt19937_64 random(26);
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  const std::array<std::uint64_t, 8> places{0x9000, 0xa000,  0x9f000, kMemory - kPageSize,
                                            kRom,   0xa0000, 0xbf000, kMemory};
  const auto place = [&] {
    const std::uint64_t at = places[below(2) == 0 ? below(5) : below(places.size())];
    return below(8) == 0 ? at ^ kMegabyte : at;
  };
  const auto entry = [&]() -> std::uint64_t {
    std::uint64_t flags = kPresent | (below(256) & 0x66);
    if (below(16) == 0) flags |= kLarge;
    if (below(16) == 0) flags ^= kPresent;
    return place() | flags;
  };
  std::vector<std::uint64_t> rom(kRomSize / 8);
  std::generate(rom.begin(), rom.end(), entry);
  add_rom(rom);
  unsigned mapped = 0, faulted = 0;
  for (unsigned round = 0; round < 2000; ++round) {
    for (const std::uint64_t table : {0x9000ul, 0xa000ul, 0x9f000ul, kMemory - kPageSize}) {
      for (unsigned i = 0; i < 8; ++i)
        put(table + 8 * i, entry());
    }
    set_a20(below(2) == 0);
    const std::array modes{kBits32, kPae, kLevel4, kLevel5};
    enter(modes[below(modes.size())], place() | below(2) * 0x20);
    for (unsigned i = 0; i < 16; ++i) {
      if (below(4) == 0) set_a20(below(2) == 0);
      const auto kind = static_cast<AccessKind>(below(3));
      // Low indices at every level.
      const std::uint64_t linear = below(4) << 30 | below(8) << 21 | below(8) << 12 | below(4096);
      const std::optional<std::uint64_t> found = translate(linear, kind);
      (found ? mapped : faulted)++;
      EXPECT_EQ(found.value_or(0) & ~t_.board().a20_mask(), 0u);
    }
    for (std::size_t i = 0; i < rom.size(); ++i)
      ASSERT_EQ(t_.get<std::uint64_t>(kRom + 8 * i), rom[i]) << "round " << round;
  }
  EXPECT_GT(mapped, 1000u);
  EXPECT_GT(faulted, 1000u);
}

}  // namespace
}  // namespace ringside::soft

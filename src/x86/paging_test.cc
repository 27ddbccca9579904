#include "x86/paging.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <unordered_map>

#include "ringside/x86/bits.h"

namespace ringside::x86 {
namespace {

constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kLarge = 0x80, kGlobal = 0x100,
                        kNx = 1ull << 63;

// Memory that holds nothing but page-table entries; everything else in `size` bytes is zero.
class Tables final : public PhysicalReader {
 public:
  bool read_entry(Gpa address, unsigned size, std::uint64_t& value) override {
    if (address.value >= limit) return false;
    EXPECT_EQ(address.value % size, 0u);
    EXPECT_EQ(size, entry_size);
    const auto found = entries.find(address.value);
    value = found == entries.end() ? 0 : found->second;
    return true;
  }
  std::unordered_map<std::uint64_t, std::uint64_t> entries;
  std::uint64_t limit = 1ull << 40;
  unsigned entry_size = 8;
};

PagingState state_for(PagingMode mode) {
  PagingState state;
  state.cr0 = mode == PagingMode::None ? cr0::PE : cr0::PE | cr0::PG | cr0::WP;
  state.cr3 = 0x1000;
  state.cr4 = cr4::PSE | cr4::PGE;
  if (mode != PagingMode::None && mode != PagingMode::Bits32) state.cr4 |= cr4::PAE;
  state.efer = efer::NXE;
  if (mode == PagingMode::Level4 || mode == PagingMode::Level5) {
    state.efer |= efer::LME | efer::LMA;
  }
  if (mode == PagingMode::Level5) state.cr4 |= cr4::LA57;
  return state;
}

TEST(PagingMode, FollowsTheFourControlBits) {
  for (const PagingMode mode : {PagingMode::None, PagingMode::Bits32, PagingMode::Pae,
                                PagingMode::Level4, PagingMode::Level5}) {
    EXPECT_EQ(paging_mode(state_for(mode)), mode);
  }
}

TEST(PagingMode, La57WithoutLongModeIsNotFiveLevel) {
  PagingState state = state_for(PagingMode::Pae);
  state.cr4 |= cr4::LA57;
  EXPECT_EQ(paging_mode(state), PagingMode::Pae);
  state = state_for(PagingMode::Bits32);
  state.cr4 |= cr4::LA57;
  EXPECT_EQ(paging_mode(state), PagingMode::Bits32);
}

TEST(PagingMode, LongModeEnabledButNotActiveIsFlat) {
  PagingState state = state_for(PagingMode::Level4);
  state.cr0 &= ~cr0::PG;
  EXPECT_EQ(paging_mode(state), PagingMode::None);
}

struct Case {
  const char* name;
  PagingMode mode;
  std::uint64_t address;
  std::map<std::uint64_t, std::uint64_t> entries;
  PageWalk::Outcome outcome;
  std::uint64_t gpa = 0;
  std::uint64_t page_size = 0;
  unsigned levels = 0;
  void (*adjust)(PagingState&) = nullptr;
};

using Outcome = PageWalk::Outcome;
constexpr auto kMapped = Outcome::Mapped;
constexpr auto kReserved = Outcome::ReservedBit;

// Paging structures at 0x1000, 0x2000, ...; RWU is present, writable, user.
constexpr std::uint64_t RWU = kPresent | kWritable | kUser;

const Case kCases[] = {
    {"flat", PagingMode::None, 0x12345678, {}, kMapped, 0x12345678, 0x1000, 0},
    {"flat ends at 4 GiB", PagingMode::None, 0x100000000, {}, Outcome::NonCanonical},
    {"flat top byte", PagingMode::None, 0xffffffff, {}, kMapped, 0xffffffff, 0x1000, 0},

    {"32-bit 4 KiB",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x2000 | RWU}, {0x2000 + 0x123 * 4, 0xabcde000 | RWU}},
     kMapped,
     0xabcde456,
     0x1000,
     2},
    {"32-bit 4 MiB",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x00c00000 | kLarge | RWU}},
     kMapped,
     0x00d23456,
     0x400000,
     1},
    {"PSE-36: bits 20..13 are address bits 39..32",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x00c00000 | 0x1fe000 | kLarge | RWU}},
     kMapped,
     0xff00d23456,
     0x400000,
     1},
    {"PSE-36: bit 21 is reserved",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x00e00000 | kLarge | RWU}},
     kReserved,
     0,
     0,
     1},
    {"PSE-36: bits beyond MAXPHYADDR are reserved",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x00c00000 | 1u << 17 | kLarge | RWU}},
     kReserved,
     0,
     0,
     1,
     [](PagingState& s) { s.physical_address_bits = 36; }},
    {"PSE-36: the PAT bit is not an address bit",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x00c00000 | 0x1000 | kLarge | RWU}},
     kMapped,
     0xd23456,
     0x400000,
     1},
    {"32-bit without PSE ignores the size bit",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x2000 | kLarge | RWU}, {0x2000 + 0x123 * 4, 0x5000 | RWU}},
     kMapped,
     0x5456,
     0x1000,
     2,
     [](PagingState& s) { s.cr4 &= ~cr4::PSE; }},
    {"32-bit address beyond 4 GiB", PagingMode::Bits32, 0x1c0123456, {}, Outcome::NonCanonical},
    {"32-bit directory entry absent",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x2000 | kWritable}},
     Outcome::NotPresent,
     0,
     0,
     1},
    {"32-bit table entry absent",
     PagingMode::Bits32,
     0xc0123456,
     {{0x1000 + 0x300 * 4, 0x2000 | RWU}},
     Outcome::NotPresent,
     0,
     0,
     2},
    {"32-bit CR3 above 4 GiB is cut",
     PagingMode::Bits32,
     0,
     {{0x1000, 0x400000 | kLarge | RWU}},
     kMapped,
     0x400000,
     0x400000,
     1,
     [](PagingState& s) { s.cr3 = 0x500001fff; }},

    {"PAE 4 KiB",
     PagingMode::Pae,
     0xc0323456,
     {{0x1020 + 3 * 8, 0x2000 | kPresent},
      {0x2000 + 1 * 8, 0x3000 | RWU},
      {0x3000 + 0x123 * 8, 0x5abcde000 | RWU}},
     kMapped,
     0x5abcde456,
     0x1000,
     3,
     [](PagingState& s) { s.cr3 = 0x103f; }},
    {"PAE 2 MiB",
     PagingMode::Pae,
     0xc0323456,
     {{0x1000 + 3 * 8, 0x2000 | kPresent}, {0x2000 + 1 * 8, 0x7'0060'0000 | kLarge | RWU}},
     kMapped,
     0x7'0072'3456,
     0x200000,
     2},
    {"PAE does not need CR4.PSE",
     PagingMode::Pae,
     0x323456,
     {{0x1000, 0x2000 | kPresent}, {0x2000 + 1 * 8, 0x600000 | kLarge | RWU}},
     kMapped,
     0x723456,
     0x200000,
     2,
     [](PagingState& s) { s.cr4 &= ~cr4::PSE; }},
    {"PAE with LA57 is still PAE",
     PagingMode::Pae,
     0x323456,
     {{0x1000, 0x2000 | kPresent}, {0x2000 + 1 * 8, 0x600000 | kLarge | RWU}},
     kMapped,
     0x723456,
     0x200000,
     2,
     [](PagingState& s) { s.cr4 |= cr4::LA57; }},
    {"PAE PDPTE bit 1 is reserved", PagingMode::Pae, 0, {{0x1000, 0x2000 | 3}}, kReserved, 0, 0, 1},
    {"PAE PDPTE bit 5 is reserved", PagingMode::Pae, 0, {{0x1000, 0x2021}}, kReserved, 0, 0, 1},
    {"PAE PDPTE bit 7 is reserved, no 1 GiB pages",
     PagingMode::Pae,
     0,
     {{0x1000, 0x2000 | kLarge | kPresent}},
     kReserved,
     0,
     0,
     1},
    {"PAE PDPTE bit 63 is reserved",
     PagingMode::Pae,
     0,
     {{0x1000, 0x2000 | kNx | kPresent}},
     kReserved,
     0,
     0,
     1},
    {"PAE bit 52 is reserved",
     PagingMode::Pae,
     0,
     {{0x1000, 0x2001}, {0x2000, 0x3000 | RWU | 1ull << 52}},
     kReserved,
     0,
     0,
     2},
    {"PAE 2 MiB page bit 13 is reserved",
     PagingMode::Pae,
     0,
     {{0x1000, 0x2001}, {0x2000, 0x2000 | kLarge | RWU}},
     kReserved,
     0,
     0,
     2},
    {"PAE bit 63 needs NXE",
     PagingMode::Pae,
     0,
     {{0x1000, 0x2001}, {0x2000, kNx | kLarge | RWU}},
     kReserved,
     0,
     0,
     2,
     [](PagingState& s) { s.efer = 0; }},

    {"4-level 4 KiB",
     PagingMode::Level4,
     0xffff888000123456,
     {{0x1000 + 273 * 8, 0x2000 | RWU},
      {0x2000, 0x3000 | RWU},
      {0x3000, 0x4000 | RWU},
      {0x4000 + 0x123 * 8, 0x7fff'ff00'1000 | RWU}},
     kMapped,
     0x7fff'ff00'1456,
     0x1000,
     4},
    {"4-level 2 MiB",
     PagingMode::Level4,
     0x123456,
     {{0x1000, 0x2000 | RWU}, {0x2000, 0x3000 | RWU}, {0x3000, 0x200000 | 0x1000 | kLarge | RWU}},
     kMapped,
     0x323456,
     0x200000,
     3},
    {"4-level 1 GiB",
     PagingMode::Level4,
     0x7fc0'1234'5678,
     {{0x1000 + 255 * 8, 0x2000 | RWU}, {0x2000 + 0x100 * 8, 0x1'4000'0000 | kLarge | RWU}},
     kMapped,
     0x1'5234'5678,
     0x40000000,
     2,
     [](PagingState&) {}},
    {"4-level PML4E size bit is reserved",
     PagingMode::Level4,
     0,
     {{0x1000, 0x2000 | kLarge | RWU}},
     kReserved,
     0,
     0,
     1},
    {"4-level 1 GiB bit 29 is reserved",
     PagingMode::Level4,
     0,
     {{0x1000, 0x2000 | RWU}, {0x2000, 1u << 29 | kLarge | RWU}},
     kReserved,
     0,
     0,
     2},
    {"4-level bits 52..62 belong to software",
     PagingMode::Level4,
     0,
     {{0x1000, 0x2000 | RWU | 0x7ffull << 52},
      {0x2000, 0x40000000 | kLarge | RWU | 0x7ffull << 52}},
     kMapped,
     0x40000000,
     0x40000000,
     2},
    {"4-level MAXPHYADDR",
     PagingMode::Level4,
     0,
     {{0x1000, 0x2000 | RWU | 1ull << 40}},
     kReserved,
     0,
     0,
     1,
     [](PagingState& s) { s.physical_address_bits = 40; }},
    {"4-level NX needs NXE",
     PagingMode::Level4,
     0,
     {{0x1000, 0x2000 | RWU | kNx}},
     kReserved,
     0,
     0,
     1,
     [](PagingState& s) { s.efer &= ~efer::NXE; }},
    {"4-level lowest non-canonical", PagingMode::Level4, 1ull << 47, {}, Outcome::NonCanonical},
    {"4-level highest non-canonical",
     PagingMode::Level4,
     0xffff7fffffffffff,
     {},
     Outcome::NonCanonical},
    {"4-level entry outside memory",
     PagingMode::Level4,
     0,
     {{0x1000, 1ull << 45 | RWU}},
     Outcome::Unreadable,
     0,
     0,
     2},
    {"4-level CR3 outside memory",
     PagingMode::Level4,
     0,
     {},
     Outcome::Unreadable,
     0,
     0,
     1,
     [](PagingState& s) { s.cr3 = 1ull << 50; }},
    {"4-level CR3 with PCID",
     PagingMode::Level4,
     0,
     {{0x1000, 0x2000 | RWU}, {0x2000, 0x40000000 | kLarge | RWU}},
     kMapped,
     0x40000000,
     0x40000000,
     2,
     [](PagingState& s) { s.cr3 = 0x1fff; }},

    {"LA57 4 KiB",
     PagingMode::Level5,
     0xff11000000123456,
     {{0x1000 + 273 * 8, 0x2000 | RWU},
      {0x2000, 0x3000 | RWU},
      {0x3000, 0x4000 | RWU},
      {0x4000, 0x5000 | RWU},
      {0x5000 + 0x123 * 8, 0x9000 | RWU}},
     kMapped,
     0x9456,
     0x1000,
     5},
    {"LA57 1 GiB",
     PagingMode::Level5,
     1ull << 47,
     {{0x1000, 0x2000 | RWU},
      {0x2000 + 256 * 8, 0x3000 | RWU},
      {0x3000, 0x40000000 | kLarge | RWU}},
     kMapped,
     0x40000000,
     0x40000000,
     3},
    {"LA57 PML5E size bit is reserved",
     PagingMode::Level5,
     0,
     {{0x1000, 0x2000 | kLarge | RWU}},
     kReserved,
     0,
     0,
     1},
    {"LA57 lowest non-canonical", PagingMode::Level5, 1ull << 56, {}, Outcome::NonCanonical},
};

TEST(PageWalk, Table) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    PagingState state = state_for(c.mode);
    if (c.adjust != nullptr) c.adjust(state);
    ASSERT_EQ(paging_mode(state), c.mode);
    Tables tables;
    tables.entries.insert(c.entries.begin(), c.entries.end());
    tables.entry_size = c.mode == PagingMode::Bits32 ? 4 : 8;
    const PageWalk result = walk(state, Gva{c.address}, tables);
    EXPECT_EQ(result.outcome, c.outcome);
    EXPECT_EQ(result.gpa.value, c.gpa);
    EXPECT_EQ(result.page_size, c.page_size);
    EXPECT_EQ(result.levels, c.levels);
  }
}

TEST(PageWalk, RangesOfWhatIsNotMapped) {
  struct {
    PagingMode mode;
    std::uint64_t address, first, last;
    std::map<std::uint64_t, std::uint64_t> entries;
  } const cases[] = {
      {PagingMode::None, 0x1234, 0, 0xffffffff, {}},
      {PagingMode::None, 0x7'0000'0000, 0x1'0000'0000, ~std::uint64_t{0}, {}},
      {PagingMode::Bits32, 0x12345678, 0x12000000, 0x123fffff, {}},
      {PagingMode::Bits32, 0x1'0000'0000, 0x1'0000'0000, ~std::uint64_t{0}, {}},
      {PagingMode::Pae, 0x52345678, 0x40000000, 0x7fffffff, {}},
      {PagingMode::Level4, 0x1234, 0, 0x7f'ffff'ffff, {}},
      {PagingMode::Level4, 0x1234, 0, 0x3fffffff, {{0x1000, 0x2000 | RWU}}},
      {PagingMode::Level4, 0xffff'ffff'ffff'f000, 0xffff'ff80'0000'0000, ~std::uint64_t{0}, {}},
      {PagingMode::Level4, 1ull << 50, 1ull << 47, 0xffff'7fff'ffff'ffff, {}},
      {PagingMode::Level5, 1ull << 60, 1ull << 56, 0xfeff'ffff'ffff'ffff, {}},
      // The table of the second level is outside memory, and with it all of what it would map.
      {PagingMode::Level4, 0x1234, 0, 0x7f'ffff'ffff, {{0x1000, 1ull << 41 | RWU}}},
  };
  for (const auto& c : cases) {
    const PagingState state = state_for(c.mode);
    Tables tables;
    tables.entries.insert(c.entries.begin(), c.entries.end());
    tables.entry_size = c.mode == PagingMode::Bits32 ? 4 : 8;
    const LinearRange range = range_of(state, Gva{c.address}, walk(state, Gva{c.address}, tables));
    EXPECT_EQ(range.first.value, c.first) << c.address;
    EXPECT_EQ(range.last.value, c.last) << c.address;
  }
}

TEST(PageWalk, PermissionsAreThoseOfAllLevelsTogether) {
  const PagingState state = state_for(PagingMode::Level4);
  Tables tables;
  const auto result = [&](std::uint64_t upper, std::uint64_t leaf) {
    tables.entries = {{0x1000, 0x2000 | upper | kPresent}, {0x2000, leaf | kLarge | kPresent}};
    return walk(state, Gva{0x1000}, tables);
  };
  EXPECT_TRUE(result(kWritable | kUser, kWritable | kUser).writable);
  EXPECT_FALSE(result(kUser, kWritable | kUser).writable);
  EXPECT_FALSE(result(kWritable | kUser, kUser).writable);
  EXPECT_TRUE(result(kUser, kUser).user);
  EXPECT_FALSE(result(0, kUser).user);
  EXPECT_FALSE(result(kUser, 0).user);
  EXPECT_FALSE(result(RWU, RWU).no_execute);
  EXPECT_TRUE(result(RWU | kNx, RWU).no_execute);
  EXPECT_TRUE(result(RWU, RWU | kNx).no_execute);
  EXPECT_TRUE(result(RWU, RWU | kGlobal).global);
  EXPECT_FALSE(result(RWU | kGlobal, RWU).global);
  EXPECT_EQ(result(RWU, RWU | 11ull << 59).protection_key, 11u);
}

TEST(PageWalk, APaePointerEntryRestrictsNothing) {
  Tables tables;
  tables.entries = {{0x1000, 0x2000 | kPresent}, {0x2000, kLarge | RWU}};
  const PageWalk result = walk(state_for(PagingMode::Pae), Gva{0x1234}, tables);
  EXPECT_TRUE(result.writable);
  EXPECT_TRUE(result.user);
}

TEST(PageWalk, ReportsTheEntriesItRead) {
  Tables tables;
  tables.entries = {{0x1000, 0x2000 | RWU}, {0x2008, 0x3000 | kPresent}};
  const PageWalk result = walk(state_for(PagingMode::Level4), Gva{0x40200000}, tables);
  EXPECT_EQ(result.outcome, Outcome::NotPresent);
  ASSERT_EQ(result.levels, 3u);
  EXPECT_EQ(result.entries[1].address, Gpa{0x2008});
  EXPECT_EQ(result.entries[1].value, 0x3000 | kPresent);
  EXPECT_EQ(result.entries[2].address, Gpa{0x3008});
  EXPECT_EQ(result.entries[2].value, 0u);
}

// Builds page tables from a list of pages and remembers what it meant. Written from the other end
// than the walker: it places pages, and refuses one that collides with what is there.
class Builder {
 public:
  struct Page {
    std::uint64_t base, size, gpa;
    bool writable, user, no_execute;
  };

  Builder(PagingMode mode, Tables& tables) : mode_(mode), tables_(tables) {
    tables_.entry_size = mode == PagingMode::Bits32 ? 4 : 8;
  }

  const std::vector<Page>& pages() const { return pages_; }

  void add(const Page& page) {
    std::vector<unsigned> shifts;
    switch (mode_) {
      case PagingMode::Bits32:
        shifts = {22, 12};
        break;
      case PagingMode::Pae:
        shifts = {30, 21, 12};
        break;
      case PagingMode::Level4:
        shifts = {39, 30, 21, 12};
        break;
      default:
        shifts = {48, 39, 30, 21, 12};
        break;
    }
    const std::uint64_t index_mask = mode_ == PagingMode::Bits32 ? 1023 : 511;
    std::uint64_t table = 0x1000;
    for (const unsigned shift : shifts) {
      std::uint64_t& slot =
          tables_.entries[table + ((page.base >> shift) & index_mask) * tables_.entry_size];
      if (page.size == 1ull << shift) {
        if (slot != 0) return;
        std::uint64_t value = kPresent | (page.writable ? kWritable : 0) | (page.user ? kUser : 0) |
                              (page.no_execute ? kNx : 0) | (shift == 12 ? 0 : kLarge);
        if (mode_ == PagingMode::Bits32) {
          value |= (page.gpa & 0xffffffff) | (page.gpa >> 32) << 13;
        } else {
          value |= page.gpa;
        }
        slot = value;
        pages_.push_back(page);
        return;
      }
      if ((slot & kLarge) != 0) return;
      if (slot == 0) {
        next_ += 0x1000;
        slot = next_ | (mode_ == PagingMode::Pae && shift == 30 ? kPresent : RWU);
      }
      table = slot & 0xfffff000;
    }
  }

 private:
  PagingMode mode_;
  Tables& tables_;
  std::vector<Page> pages_;
  std::uint64_t next_ = 0x1000;
};

RC_GTEST_PROP(PageWalk, FindsWhatTheBuilderPlaced, ()) {
  const auto mode = *rc::gen::element(PagingMode::Bits32, PagingMode::Pae, PagingMode::Level4,
                                      PagingMode::Level5);
  std::vector<std::uint64_t> sizes{0x1000};
  if (mode == PagingMode::Bits32) sizes.push_back(0x400000);
  if (mode != PagingMode::Bits32) sizes.push_back(0x200000);
  if (mode == PagingMode::Level4 || mode == PagingMode::Level5) sizes.push_back(0x40000000);
  const unsigned width = mode == PagingMode::Level5 ? 57 : mode == PagingMode::Level4 ? 48 : 32;
  const auto canonical = [width](std::uint64_t address) {
    if (width == 32) return address & 0xffffffff;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << (64 - width)) >>
                                      (64 - width));
  };

  Tables tables;
  Builder builder(mode, tables);
  const auto count = *rc::gen::inRange(1, 20);
  for (int i = 0; i < count; ++i) {
    const auto size = *rc::gen::elementOf(sizes);
    // Few distinct index values, so that pages share tables and lie next to one another.
    std::uint64_t base = 0;
    for (const unsigned shift : {12u, 21u, 22u, 30u, 39u, 48u}) {
      base |= *rc::gen::element<std::uint64_t>(0, 1, 2, 511) << shift;
    }
    const unsigned gpa_bits = mode == PagingMode::Bits32 ? (size == 0x1000 ? 32 : 40) : 52;
    const auto gpa = *rc::gen::arbitrary<std::uint64_t>() & ((1ull << gpa_bits) - 1);
    builder.add({canonical(base) & ~(size - 1), size, gpa & ~(size - 1),
                 *rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>(),
                 mode != PagingMode::Bits32 && *rc::gen::arbitrary<bool>()});
  }

  const PagingState state = state_for(mode);
  for (const Builder::Page& page : builder.pages()) {
    const auto offset = *rc::gen::inRange<std::uint64_t>(0, page.size);
    const PageWalk found = walk(state, Gva{page.base + offset}, tables);
    RC_ASSERT(found.outcome == Outcome::Mapped);
    RC_ASSERT(found.gpa.value == page.gpa + offset);
    RC_ASSERT(found.page_size == page.size);
    RC_ASSERT(found.writable == page.writable);
    RC_ASSERT(found.user == page.user);
    RC_ASSERT(found.no_execute == page.no_execute);
    const LinearRange range = range_of(state, Gva{page.base + offset}, found);
    RC_ASSERT(range.first.value == page.base);
    RC_ASSERT(range.last.value == page.base + page.size - 1);

    // The byte after the page belongs to another page of the list, or is not mapped.
    const std::uint64_t after = canonical(page.base + page.size);
    bool placed = false;
    for (const Builder::Page& other : builder.pages())
      placed |= after - other.base < other.size;
    const PageWalk next = walk(state, Gva{after}, tables);
    RC_ASSERT((next.outcome == Outcome::Mapped) == placed);
    // What is absent is so over the whole of its range.
    const LinearRange around = range_of(state, Gva{after}, next);
    RC_ASSERT(around.first <= Gva{after} && Gva{after} <= around.last);
    const auto inside =
        around.first + *rc::gen::inRange<std::uint64_t>(0, around.last.value - around.first.value);
    for (const Gva address : {around.first, inside, around.last})
      RC_ASSERT(walk(state, address, tables).outcome == next.outcome);
  }
}

}  // namespace
}  // namespace ringside::x86

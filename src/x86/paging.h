// The page-table walk for every paging mode (SDM volume 3A chapter 4), free of side effects: it
// reads entries through a callback and reports what it found, and the caller decides on permissions
// and on accessed and dirty bits.
#pragma once

#include <array>
#include <cstdint>

#include "ringside/types.h"

namespace ringside::x86 {

enum class PagingMode { None, Bits32, Pae, Level4, Level5 };

struct PagingState {
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
  // MAXPHYADDR of CPUID 80000008H, 36 to 52: entries with a higher address bit are reserved.
  unsigned physical_address_bits = 52;
};

PagingMode paging_mode(const PagingState& state);

struct PageEntry {
  Gpa address;  // where the entry lies
  std::uint64_t value = 0;
};

struct PageWalk {
  enum class Outcome {
    Mapped,
    NotPresent,    // an entry without the present bit
    ReservedBit,   // an entry with a reserved bit set
    NonCanonical,  // the address is not canonical; outside long mode: beyond 4 GiB
    Unreadable,    // an entry lies outside memory
  };
  Outcome outcome = Outcome::NotPresent;
  Gpa gpa;                      // of the address itself, not of the page
  std::uint64_t page_size = 0;  // 4 KiB, 2 MiB, 4 MiB or 1 GiB; 4 KiB with paging off
  // The permissions of all levels together.
  bool writable = false, user = false, no_execute = false;
  bool global = false;
  unsigned protection_key = 0;
  // The entries read, from the top; the last is the one that maps the page or failed.
  std::array<PageEntry, 5> entries{};
  unsigned levels = 0;
  unsigned entry_size = 8;  // 4 in 32-bit paging
};

// Reads `size` (4 or 8) bytes of guest-physical memory into `value`, whose bits above them are 0
// before and after; false where there is no RAM. Not a std::optional: g++ 12 returns one through
// memory, with a load that waits for two stores, and every walk does this four times.
class PhysicalReader {
 public:
  virtual ~PhysicalReader() = default;
  virtual bool read_entry(Gpa address, unsigned size, std::uint64_t& value) = 0;
};

PageWalk walk(const PagingState& state, Gva address, PhysicalReader& memory);

// Both ends belong to it.
struct LinearRange {
  Gva first, last;
};
// The addresses around `address` that came to the same end as its `walk`: those of its page, of the
// entry that is not present, of the table that lies outside memory, or of the non-canonical hole.
LinearRange range_of(const PagingState& state, Gva address, const PageWalk& walk);

}  // namespace ringside::x86

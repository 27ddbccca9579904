// The software CPU's translation cache for data, in two layers. Owned by one Cpu.
//
// A Translation is what a walk has found. How long it is kept depends on the guest alone: a guest
// that changes its tables and does not tell sees the same with and without a debugger. So its place
// is given away in the order of the walks and not by use, which the fast path hides. There are two
// places, because copies go between pages that are a multiple of the cache's reach apart.
//
// A TlbEntry is the fast path to a translated page. One compare decides hit, permission and
// RAM-or-device: an entry that must not take the fast path for an access (device, watched page,
// write to a page with decoded code, clean page) simply lacks the tag for it. It never outlives its
// translation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/state_visitor.h"
#include "ringside/types.h"

namespace ringside::soft {

enum class AccessKind : std::uint8_t { Read, Write, Fetch };

struct TlbEntry {
  static constexpr std::uint64_t kInvalid = ~std::uint64_t{0};
  // Linear page | generation, or kInvalid.
  std::uint64_t read_tag = kInvalid;
  std::uint64_t write_tag = kInvalid;
  // Host address minus linear address, so that linear + offset is the host byte.
  std::uint64_t host_offset = 0;
  std::uint64_t gpa_page = 0;
};

struct Translation {
  // Linear page | generation, or TlbEntry::kInvalid.
  std::uint64_t tag = TlbEntry::kInvalid;
  std::uint64_t gpa_page = 0;  // bit 0: for writes too
};

// Who accesses: each has its own entries, because permissions differ.
enum class Privilege : std::uint8_t {
  Supervisor,          // CPL 0..2, SMAP in force if enabled
  SupervisorAccessOk,  // CPL 0..2 with EFLAGS.AC set
  User,                // CPL 3
  // CPL 3 with CR0.AM and EFLAGS.AC: alignment is checked. It has no fast path, so that every
  // access is looked at (SDM 3A 6.15, #AC).
  UserAligned,
};
inline constexpr unsigned kPrivilegeCount = 4;
constexpr bool is_user(Privilege privilege) { return privilege >= Privilege::User; }

class Tlb {
 public:
  static constexpr unsigned kEntries = 1024;

  TlbEntry& entry(Privilege privilege, std::uint64_t linear) {
    return entries_[static_cast<unsigned>(privilege)][(linear >> 12) % kEntries];
  }
  // A translation of the page that is good for such an access, or nothing.
  std::optional<Gpa> find(Privilege privilege, std::uint64_t linear, AccessKind kind) const {
    for (const Translation& found : set(privilege, linear)) {
      if (found.tag != ((linear & kPageMask) | generation_)) continue;
      if (kind == AccessKind::Write && (found.gpa_page & kWritten) == 0) return std::nullopt;
      return Gpa{(found.gpa_page & kPageMask) | (linear & ~kPageMask)};
    }
    return std::nullopt;
  }
  // Keeps one. The fast path of another page, or to another frame, goes with what was there.
  void keep(Privilege privilege, std::uint64_t linear, AccessKind kind, Gpa gpa);
  // Tags carry a 12-bit generation in the place of the page offset, so that a flush is an
  // increment, and several address spaces can have translations at a time.
  const std::uint64_t& generation() const { return generation_; }
  // Three that may begin a new generation. True when the numbers have begun anew: whatever else
  // carries such tags must be emptied then, as this has been.
  // Everything goes; `context` is the present PCID, 0 where there are none.
  [[nodiscard]] bool flush(std::uint16_t context);
  // MOV CR3 with PCIDs (SDM 3A 4.10.4.1): what is known of this one is kept or dropped.
  enum class Known : std::uint8_t { Kept, Dropped };
  [[nodiscard]] bool enter(std::uint16_t context, Known known);
  [[nodiscard]] bool flush_context(std::uint16_t context);
  void flush_page(std::uint64_t linear);  // in every context
  // Every access takes the slow path once more; no translation is lost.
  void forget_fast_paths();
  // Every write takes the slow path once more.
  void forget_write_paths();
  // Takes the write fast path away from every entry that maps this physical page.
  void protect_page(Gpa page);
  // The translations, but not the fast paths: those are made anew.
  void visit_state(StateVisitor& visitor);
  // Whether what carries this tag may be used, now or in another context.
  bool is_live(std::uint64_t tag) const;

 private:
  static constexpr std::uint64_t kWritten = 1;
  // With 0xfff a tag would look like kInvalid for the topmost page.
  static constexpr std::uint64_t kGenerations = 0xffe;
  using Set = std::array<Translation, 2>;  // the younger one first
  const Set& set(Privilege privilege, std::uint64_t linear) const {
    return translations_[static_cast<unsigned>(privilege)][(linear >> 12) % kEntries];
  }
  struct Context {
    std::uint16_t number = 0;
    bool known = false;
    std::uint64_t generation = 0;
  };
  Context* find_context(std::uint16_t number);
  bool begin_generation(std::uint16_t context);
  Translation& place(unsigned number);
  bool has_its_generations() const;  // those that it has given out

  std::uint64_t generation_ = 0, newest_ = 0;
  // Linux goes round six; the eldest makes place for a new one.
  std::array<Context, 8> contexts_;
  unsigned eldest_context_ = 0;
  std::uint16_t context_ = 0;  // the present one
  std::array<std::array<TlbEntry, kEntries>, kPrivilegeCount> entries_;
  std::array<std::array<Set, kEntries>, kPrivilegeCount> translations_;
};

}  // namespace ringside::soft

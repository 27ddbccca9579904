// The software CPU's translation cache for data. One compare decides hit, permission and
// RAM-or-device: an entry that must not take the fast path for an access (device, watched page,
// write to a page with decoded code, clean page) simply lacks the tag for it. Owned by one Cpu.
#pragma once

#include <array>
#include <cstdint>

#include "base/types.h"

namespace ringside::soft {

struct TlbEntry {
  static constexpr std::uint64_t kInvalid = ~std::uint64_t{0};
  // Linear page | generation, or kInvalid.
  std::uint64_t read_tag = kInvalid;
  std::uint64_t write_tag = kInvalid;
  // Host address minus linear address, so that linear + offset is the host byte.
  std::uint64_t host_offset = 0;
  std::uint64_t gpa_page = 0;
};

// Who accesses: each has its own entries, because permissions differ.
enum class Privilege : std::uint8_t {
  Supervisor,          // CPL 0..2, SMAP in force if enabled
  SupervisorAccessOk,  // CPL 0..2 with EFLAGS.AC set
  User,                // CPL 3
  // CPL 3 with CR0.AM and EFLAGS.AC: alignment is checked. Never entered into the TLB, so that every
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
  // Tags carry a 12-bit generation in the place of the page offset, so that a flush is an
  // increment.
  std::uint64_t generation() const { return generation_; }
  void flush();
  void flush_page(std::uint64_t linear);
  // Takes the write fast path away from every entry that maps this physical page.
  void protect_page(Gpa page);

 private:
  std::uint64_t generation_ = 0;
  std::array<std::array<TlbEntry, kEntries>, kPrivilegeCount> entries_;
};

}  // namespace ringside::soft

// Translation and the slow path of memory accesses: page walks with permissions, accessed and dirty
// bits (SDM 3A 4.6 to 4.8), devices, watched pages, pages with decoded code.
#include <algorithm>
#include <bit>
#include <utility>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/cpu/debug_registers.h"
#include "x86/paging.h"

namespace ringside::soft {
namespace {

using x86::PageWalk;
using x86::Vector;

// For one walk.
class RamReader final : public x86::PhysicalReader {
 public:
  RamReader(const Cpu& cpu, x86::PagingMode mode)
      : cpu_(cpu), top_is_loaded_(mode == x86::PagingMode::Pae) {}
  bool read_entry(Gpa address, unsigned size, std::uint64_t& value) override {
    // PAE's four top entries are those that were loaded with CR3 (SDM 3A 4.4.1). It is the level
    // that counts: a page directory may lie where they came from, and memory there may be another.
    if (std::exchange(top_is_loaded_, false)) {
      value = cpu_.pdpte[address.value / 8 % 4];
      return true;
    }
    return cpu_.board().read_entry(address, &value, size);
  }

 private:
  const Cpu& cpu_;
  bool top_is_loaded_;
};

void set_entry_bits(Board& board, const x86::PageEntry& entry, unsigned size, std::uint64_t bits) {
  if ((entry.value & bits) == bits) return;
  const std::uint64_t value = entry.value | bits;
  board.write_entry(entry.address, &value, size);
}

constexpr std::uint64_t kAccessed = 1u << 5, kDirty = 1u << 6;

// Words, doublewords and quadwords; what is wider has rules of its own (SDM 3A table 6-7).
bool is_misaligned(std::uint64_t linear, unsigned size) {
  return (size == 2 || size == 4 || size == 8) && linear % size != 0;
}

}  // namespace

Gpa Cpu::translate(std::uint64_t linear, AccessKind kind, Privilege privilege) {
  using namespace x86::page_fault;
  if ((cr0 & x86::cr0::PG) == 0) return {linear & 0xffffffff & board_.a20_mask()};
  if (!canonical(linear)) raise(Vector::GeneralProtection, 0);

  const bool user = is_user(privilege);
  const bool write = kind == AccessKind::Write;
  const bool fetch = kind == AccessKind::Fetch;
  const bool nx_in_force = (efer & x86::efer::NXE) != 0 && (cr4 & x86::cr4::PAE) != 0;
  std::uint32_t code = (write ? kWrite : 0u) | (user ? kUser : 0u);
  if (fetch && (nx_in_force || (cr4 & x86::cr4::SMEP) != 0)) code |= kFetch;

  const x86::PagingState state{cr0, cr3, cr4, efer, kPhysicalAddressBits};
  const x86::PagingMode mode = x86::paging_mode(state);
  RamReader reader(*this, mode);
  const PageWalk walk = x86::walk(state, {linear}, reader);
  switch (walk.outcome) {
    case PageWalk::Outcome::Mapped:
      break;
    case PageWalk::Outcome::ReservedBit:
      raise_page_fault(linear, code | kPresent | kReserved);
    case PageWalk::Outcome::NonCanonical:
      raise(Vector::GeneralProtection, 0);
    default:
      raise_page_fault(linear, code);
  }

  bool allowed = true;
  if (user) {
    allowed = walk.user && (!write || walk.writable);
  } else {
    if (write && !walk.writable && (cr0 & x86::cr0::WP) != 0) allowed = false;
    if (walk.user && fetch && (cr4 & x86::cr4::SMEP) != 0) allowed = false;
    if (walk.user && !fetch && (cr4 & x86::cr4::SMAP) != 0 &&
        privilege != Privilege::SupervisorAccessOk) {
      allowed = false;
    }
  }
  if (fetch && walk.no_execute && nx_in_force) allowed = false;
  // SDM 3A 4.6.2. The error code tells of it whatever else forbids the access (4.7).
  if (walk.user && !fetch && (cr4 & x86::cr4::PKE) != 0 && long_mode()) {
    const std::uint32_t rights = pkru >> (2 * walk.protection_key);
    const bool access_disabled = (rights & 1) != 0;
    const bool write_disabled = (rights & 2) != 0 && (user || (cr0 & x86::cr0::WP) != 0);
    if (access_disabled || (write && write_disabled)) {
      allowed = false;
      code |= kProtectionKey;
    }
  }
  if (!allowed) raise_page_fault(linear, code | kPresent);

  // PAE's four top entries have no accessed bit.
  for (unsigned i = mode == x86::PagingMode::Pae ? 1 : 0; i < walk.levels; ++i) {
    const bool leaf = i + 1 == walk.levels;
    set_entry_bits(board_, walk.entries[i], walk.entry_size,
                   leaf && write ? kAccessed | kDirty : kAccessed);
  }
  return {walk.gpa.value & board_.a20_mask()};
}

Gpa Cpu::translate_cached(std::uint64_t linear, AccessKind kind, Privilege privilege) {
  if (const auto known = tlb_.find(privilege, linear, kind)) return *known;
  const Gpa gpa = translate(linear, kind, privilege);
  tlb_.keep(privilege, linear, kind, gpa);
  return gpa;
}

void Cpu::fill_tlb(std::uint64_t linear, Gpa gpa, AccessKind kind, Privilege privilege) {
  const std::uint64_t linear_page = linear & kPageMask;
  const Gpa page{gpa.value & kPageMask};
  const hypervisor::RamSlot* slot = board_.ram.find(page, kPageSize);
  if (slot == nullptr || board_.page_is_watched(linear_page)) return;
  if (board_.physical_page_is_watched(page)) return;
  if (breaks_on_data_in(*this, linear_page)) return;
  if (privilege == Privilege::UserAligned) return;
  const std::uint64_t tag = linear_page | tlb_.generation();
  TlbEntry& entry = tlb_.entry(privilege, linear);
  if (entry.read_tag != tag) entry.write_tag = TlbEntry::kInvalid;
  entry.read_tag = tag;
  entry.gpa_page = page.value;
  const auto* host_page = slot->host + (page.value - slot->base.value);
  entry.host_offset = reinterpret_cast<std::uint64_t>(host_page) - linear_page;
  // A read of a page that is known to be written as well gives both paths.
  const bool writes =
      kind == AccessKind::Write || tlb_.find(privilege, linear, AccessKind::Write).has_value();
  if (writes && !slot->read_only && !board_.code.has_code(page) && board_.is_kept(page))
    entry.write_tag = tag;
}

namespace {

// Outside long mode linear addresses have 32 bits: what is beyond the last is at 0 again. An
// instruction with a large operand accesses parts of it there.
std::uint64_t wrapped(const Cpu& cpu, std::uint64_t linear) {
  return cpu.long_mode() ? linear : linear & 0xffffffff;
}

// Where an access goes on that crosses into another page. A non-canonical byte faults before any
// page is looked at.
std::uint64_t continuation(const Cpu& cpu, std::uint64_t linear) {
  if (cpu.long_mode() && !cpu.canonical(linear)) raise(Vector::GeneralProtection, 0);
  return wrapped(cpu, linear);
}

}  // namespace

// A page fault comes first.
void Cpu::check_alignment(std::uint64_t linear, unsigned size, AccessKind kind,
                          Privilege privilege) {
  if (privilege != Privilege::UserAligned || !is_misaligned(linear, size)) return;
  translate_cached(linear, kind, privilege);
  raise(Vector::AlignmentCheck, 0);
}

void Cpu::read_slow(std::uint64_t linear, void* out, unsigned size, Privilege privilege) {
  linear = wrapped(*this, linear);
  check_alignment(linear, size, AccessKind::Read, privilege);
  auto* to = static_cast<std::uint8_t*>(out);
  const auto first =
      static_cast<unsigned>(std::min<std::uint64_t>(size, kPageSize - linear % kPageSize));
  if (first == size) {
    read_within_page(linear, to, first, privilege);
    return;
  }
  const std::uint64_t next = continuation(*this, linear + first);
  read_within_page(linear, to, first, privilege);
  read_within_page(next, to + first, size - first, privilege);
}

void Cpu::write_slow(std::uint64_t linear, const void* in, unsigned size, Privilege privilege) {
  linear = wrapped(*this, linear);
  check_alignment(linear, size, AccessKind::Write, privilege);
  const auto* from = static_cast<const std::uint8_t*>(in);
  const auto first =
      static_cast<unsigned>(std::min<std::uint64_t>(size, kPageSize - linear % kPageSize));
  if (first == size) {
    write_within_page(linear, from, size, privilege);
    return;
  }
  const std::uint64_t next = continuation(*this, linear + first);
  translate_cached(linear, AccessKind::Write, privilege);
  translate_cached(next, AccessKind::Write,
                   privilege);  // both pages are writable before a byte changes
  write_within_page(linear, from, first, privilege);
  write_within_page(next, from + first, size - first, privilege);
}

void Cpu::check_write(std::uint64_t linear, unsigned size) {
  const std::uint64_t last = linear + size - 1;
  const bool crosses = ((last ^ linear) & kPageMask) != 0;
  const std::uint64_t next = crosses ? continuation(*this, last & kPageMask) : 0;
  check_alignment(linear, size, AccessKind::Write, privilege_);
  translate_cached(linear, AccessKind::Write, privilege_);
  if (crosses) translate_cached(next, AccessKind::Write, privilege_);
}

void Cpu::check_write_system(std::uint64_t linear, unsigned size) {
  const std::uint64_t last = linear + size - 1;
  const bool crosses = ((last ^ linear) & kPageMask) != 0;
  const std::uint64_t next = crosses ? continuation(*this, last & kPageMask) : 0;
  translate_cached(linear, AccessKind::Write, Privilege::Supervisor);
  if (crosses) translate_cached(next, AccessKind::Write, Privilege::Supervisor);
}

namespace {

// The widest naturally aligned device access that fits.
unsigned device_width(std::uint64_t address, unsigned size) {
  unsigned width = 8;
  while (width > size || address % width != 0)
    width /= 2;
  return width;
}

void check_watches(Cpu& cpu, std::uint64_t linear, unsigned size, AccessKind kind) {
  for (const Board::Watch& watch : cpu.board().watches) {
    if (!watch.meets(linear, size, kind == AccessKind::Write)) continue;
    const auto same = [&](const hypervisor::exit::Watchpoint& hit) {
      return hit.address.value == watch.address && hit.kind == watch.kind;
    };
    auto& hits = cpu.watch_hits;
    if (std::none_of(hits.begin(), hits.end(), same)) hits.push_back({{watch.address}, watch.kind});
    cpu.leave_soon();
  }
}

void check_physical_watches(Cpu& cpu, Gpa gpa, unsigned size, AccessKind kind) {
  for (const Board::Watch& watch : cpu.board().physical_watches) {
    if (watch.meets(gpa.value, size, kind == AccessKind::Write))
      note_physical_hit(cpu, watch, false);
  }
}

}  // namespace

void note_physical_hit(Cpu& cpu, const Board::Watch& watch, bool by_device) {
  auto& hits = cpu.physical_watch_hits;
  const auto same = [&](const hypervisor::exit::PhysicalWatchpoint& hit) {
    return hit.address.value == watch.address && hit.kind == watch.kind;
  };
  if (std::none_of(hits.begin(), hits.end(), same))
    hits.push_back({Gpa{watch.address}, watch.kind, by_device});
  cpu.leave_soon();
}

void Cpu::read_within_page(std::uint64_t linear, void* out, unsigned size, Privilege privilege) {
  const Gpa gpa = translate_cached(linear, AccessKind::Read, privilege);
  if (!board_.watches.empty()) check_watches(*this, linear, size, AccessKind::Read);
  if (!board_.physical_watches.empty()) check_physical_watches(*this, gpa, size, AccessKind::Read);
  note_breakpoints(*this, breakpoints_met(*this, linear, size, AccessKind::Read));
  if (const std::uint8_t* host = board_.ram.host(gpa, size)) {
    std::memcpy(out, host, size);
    fill_tlb(linear, gpa, AccessKind::Read, privilege);
    return;
  }
  auto* to = static_cast<std::uint8_t*>(out);
  for (std::uint64_t at = gpa.value; size > 0;) {
    const unsigned width = device_width(at, size);
    std::uint64_t value = ~std::uint64_t{0};
    if (!board_.platform.mmio_read(id_, {at}, width, value)) value = ~std::uint64_t{0};
    std::memcpy(to, &value, width);
    to += width;
    at += width;
    size -= width;
  }
}

void Cpu::write_within_page(std::uint64_t linear, const void* in, unsigned size,
                            Privilege privilege) {
  const Gpa gpa = translate_cached(linear, AccessKind::Write, privilege);
  if (!board_.watches.empty()) check_watches(*this, linear, size, AccessKind::Write);
  if (!board_.physical_watches.empty()) check_physical_watches(*this, gpa, size, AccessKind::Write);
  note_breakpoints(*this, breakpoints_met(*this, linear, size, AccessKind::Write));
  const hypervisor::RamSlot* slot = board_.ram.find(gpa, size);
  if (slot != nullptr) {
    if (slot->read_only) return;
    board_.ram_about_to_change(gpa, size);
    std::memcpy(slot->host + (gpa.value - slot->base.value), in, size);
    board_.ram_written(gpa, size);
    fill_tlb(linear, gpa, AccessKind::Write, privilege);
    return;
  }
  const auto* from = static_cast<const std::uint8_t*>(in);
  for (std::uint64_t at = gpa.value; size > 0;) {
    const unsigned width = device_width(at, size);
    std::uint64_t value = 0;
    std::memcpy(&value, from, width);
    board_.platform.mmio_write(id_, {at}, width, value);
    from += width;
    at += width;
    size -= width;
  }
}

std::uint8_t* Cpu::direct(std::uint64_t linear, AccessKind kind) {
  const std::uint64_t tag = (linear & kPageMask) | tlb_.generation();
  const TlbEntry& entry = tlb_.entry(privilege_, linear);
  const auto hits = [&] {
    return kind == AccessKind::Write ? entry.write_tag == tag : entry.read_tag == tag;
  };
  if (!hits()) {
    // The other operand of a copy may have the same place.
    const auto known = tlb_.find(privilege_, linear, kind);
    if (!known) return nullptr;
    fill_tlb(linear, *known, kind, privilege_);
    if (!hits()) return nullptr;
  }
  return host(entry, linear);
}

namespace {

std::uint16_t present_context(const Cpu& cpu) {
  return (cpu.cr4 & x86::cr4::PCIDE) != 0 ? cpu.cr3 & 0xfff : 0;
}

}  // namespace

void Cpu::flush_tlb() { generation_begun(tlb_.flush(present_context(*this))); }

void Cpu::enter_address_space(Tlb::Known known) {
  generation_begun(tlb_.enter(present_context(*this), known));
}

void Cpu::flush_tlb_context(std::uint16_t context) {
  generation_begun(tlb_.flush_context(context));
}

// Fetch entries carry the same generations; where these have begun anew, an old entry would be
// taken for one of now.
void Cpu::generation_begun(bool anew) {
  if (anew) {
    for (auto& bank : fetch_entries_)
      bank.fill(FetchEntry{});
  }
  forget_fetch_page();
}

void Cpu::checks_changed() {
  tlb_.forget_fast_paths();
  forget_fetch_page();
}

void Cpu::breakpoints_changed(std::uint64_t linear_page) {
  for (auto& bank : fetch_entries_) {
    FetchEntry& entry = bank[(linear_page >> 12) % kFetchEntries];
    if ((entry.tag & kPageMask) == linear_page)
      entry.checked = board_.page_has_breakpoint(linear_page);
  }
  if (frame.fetch_page == linear_page) forget_fetch_page();
}

void Cpu::set_pkru(std::uint32_t value) {
  const std::uint32_t taken = value & ~pkru;
  pkru = value;
  if (taken != 0 && (cr4 & x86::cr4::PKE) != 0) flush_tlb();
}

void Cpu::flush_tlb_page(std::uint64_t linear) {
  tlb_.flush_page(linear);
  for (auto& bank : fetch_entries_)
    bank[(linear >> 12) % kFetchEntries] = FetchEntry{};
  forget_fetch_page();
}

void Cpu::forget_fetch_page() { frame.fetch_page = TlbEntry::kInvalid; }

Gpa Cpu::fetch_gpa_slow(std::uint64_t linear) {
  const std::uint64_t page = linear & kPageMask;
  const std::uint64_t tag = page | tlb_.generation();
  FetchEntry& entry = fetch_entry(linear);
  if (entry.tag != tag) {
    // EFLAGS.AC does not matter for fetches.
    const Gpa gpa = translate(page, AccessKind::Fetch, privilege_);
    entry.tag = tag;
    entry.gpa_page = gpa.value;
    entry.checked = board_.page_has_breakpoint(page);
  }
  frame.fetch_page = page;
  frame.fetch_gpa_page = entry.gpa_page;
  frame.fetch_page_checked = entry.checked;
  return {entry.gpa_page | (linear & ~kPageMask)};
}

}  // namespace ringside::soft

// Paging as SDM volume 3A chapter 4 has it, written plainly to compare ours with: one access, with
// its permissions, its fault, and its accessed and dirty bits, in memory of its own. For the
// targets alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "plain_memory.h"
#include "ringside/x86/bits.h"

namespace ringside::fuzz {

struct PlainPaging {
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
  std::array<std::uint64_t, 4> top{};  // PAE's four, as loaded with CR3
  unsigned physical_bits = 46;

  bool is_long() const { return (efer & x86::efer::LMA) != 0; }
  bool is_pae() const { return (cr4 & x86::cr4::PAE) != 0 && !is_long(); }
  unsigned canonical_bits() const { return (cr4 & x86::cr4::LA57) != 0 ? 57 : 48; }
};

struct PlainAccess {
  enum class Kind : std::uint8_t { Read, Write, Fetch } kind = Kind::Read;
  bool is_user = false;
  bool ac = false;  // EFLAGS.AC
};

struct PlainFault {
  unsigned vector;
  std::uint32_t code;
  bool operator==(const PlainFault&) const = default;
};

class PlainWalk {
 public:
  using For = PlainMemory::For;
  PlainWalk(const PlainPaging& paging, PlainMemory& memory) : paging_(paging), memory_(memory) {}

  // What the tables say of an address, whoever accesses it.
  struct Page {
    std::uint64_t gpa = 0;
    bool writable = true, user = true, no_execute = false;
  };
  // Where there is none: the bits of an error code, present and reserved.
  std::optional<Page> page_of(std::uint64_t linear, std::uint32_t& code) {
    used_.clear();
    code = 0;
    if ((paging_.cr0 & x86::cr0::PG) == 0) return Page{linear & 0xffffffff};
    const bool wide = (paging_.cr4 & x86::cr4::PAE) != 0;
    std::vector<unsigned> shifts{22, 12};
    if (wide) shifts = {30, 21, 12};
    if (paging_.is_long()) shifts = {39, 30, 21, 12};
    if (paging_.is_long() && paging_.canonical_bits() == 57) shifts = {48, 39, 30, 21, 12};
    const std::uint64_t address_bits = ((1ull << 52) - 1) & ~0xfffull;
    std::uint64_t table = paging_.cr3 & (paging_.is_long() ? address_bits : 0xfffff000);
    if (paging_.is_pae()) table = paging_.cr3 & 0xffffffe0;
    Page page;
    for (const unsigned shift : shifts) {
      const std::uint64_t index = linear >> shift & (wide ? 511 : 1023);
      const std::uint64_t at = table + index * (wide ? 8 : 4);
      const bool is_top = paging_.is_pae() && shift == 30;
      std::optional<std::uint64_t> entry;
      if (is_top && loaded_top_)
        entry = paging_.top[index];
      else if (wide)
        entry = memory_.get<std::uint64_t>(at);
      else
        entry = memory_.get<std::uint32_t>(at);
      if (!is_top) tables_.push_back(at & ~0xfffull);
      if (!entry || (*entry & 1) == 0) return std::nullopt;
      const bool maps = shift == 12 || is_large(shift, *entry);
      if (is_reserved(shift, *entry, maps)) {
        code = 1 | 8;
        return std::nullopt;
      }
      if (!is_top) {
        page.writable = page.writable && (*entry & 2) != 0;
        page.user = page.user && (*entry & 4) != 0;
        page.no_execute = page.no_execute || (wide && *entry >> 63 != 0);
        used_.push_back({at, wide ? 8u : 4u, *entry});
      }
      if (maps) {
        const std::uint64_t within = (1ull << shift) - 1;
        std::uint64_t base = *entry & address_bits & ~within;
        if (!wide && shift == 22) base = (*entry & 0xffc00000) | (*entry >> 13 & 0xff) << 32;
        page.gpa = base | (linear & within);
        return page;
      }
      table = *entry & (wide ? address_bits : 0xfffff000);
    }
    return std::nullopt;
  }

  // Where the access goes, with the bits that it sets, or the fault that it raises instead.
  std::optional<std::uint64_t> access(std::uint64_t linear, PlainAccess access, PlainFault& fault) {
    if (!is_canonical(linear)) {
      fault = {13, 0};
      return std::nullopt;
    }
    const bool is_write = access.kind == PlainAccess::Kind::Write;
    const bool is_fetch = access.kind == PlainAccess::Kind::Fetch;
    const bool pae = (paging_.cr4 & x86::cr4::PAE) != 0;
    const bool nx = pae && (paging_.efer & x86::efer::NXE) != 0;
    std::uint32_t code = 0;
    const std::optional<Page> page = page_of(linear, code);
    code |= (is_write ? 2u : 0u) | (access.is_user ? 4u : 0u);
    if (is_fetch && (nx || (paging_.cr4 & x86::cr4::SMEP) != 0)) code |= 16;
    fault = {14, code};
    if (!page) return std::nullopt;
    if (used_.empty()) return page->gpa;  // no paging
    bool denied = false;
    const bool wp = (paging_.cr0 & x86::cr0::WP) != 0;
    if (access.is_user) {
      denied = !page->user || (is_write && !page->writable);
    } else {
      denied = is_write && wp && !page->writable;
      if (page->user && is_fetch && (paging_.cr4 & x86::cr4::SMEP) != 0) denied = true;
      if (page->user && !is_fetch && !access.ac && (paging_.cr4 & x86::cr4::SMAP) != 0)
        denied = true;
    }
    if (is_fetch && nx && page->no_execute) denied = true;
    if (denied) {
      fault.code |= 1;
      return std::nullopt;
    }
    for (const Used& entry : used_) {
      const bool is_last = &entry == &used_.back();
      const std::uint64_t value = entry.value | 0x20u | (is_last && is_write ? 0x40u : 0u);
      if (value == entry.value) continue;
      if (entry.size == 8)
        memory_.put(entry.at, value);
      else
        memory_.put(entry.at, static_cast<std::uint32_t>(value));
    }
    return page->gpa;
  }

  bool is_canonical(std::uint64_t linear) const {
    if (!paging_.is_long()) return true;
    const auto value = static_cast<std::int64_t>(linear) >> (paging_.canonical_bits() - 1);
    return value == 0 || value == -1;
  }
  // The pages in which entries were looked for, of all accesses.
  const std::vector<std::uint64_t>& tables() const { return tables_; }
  // Reads PAE's top entries in memory, as who looks from outside does.
  void look_in_memory() { loaded_top_ = false; }

 private:
  struct Used {
    std::uint64_t at;
    unsigned size;
    std::uint64_t value;
  };
  bool is_large(unsigned shift, std::uint64_t entry) const {
    if ((entry & 0x80) == 0) return false;
    if ((paging_.cr4 & x86::cr4::PAE) == 0) return (paging_.cr4 & x86::cr4::PSE) != 0;
    return shift == 21 || (shift == 30 && paging_.is_long());
  }
  // Tables 4-4 to 4-20.
  bool is_reserved(unsigned shift, std::uint64_t entry, bool maps) const {
    const bool is_large_page = maps && shift != 12;
    if ((paging_.cr4 & x86::cr4::PAE) == 0) {
      const unsigned width = std::min(40u, paging_.physical_bits);
      return is_large_page && (entry & 0x3fffff) >> (width - 19) != 0;
    }
    const unsigned top = paging_.is_long() ? 52 : 63;
    for (unsigned bit = paging_.physical_bits; bit < top; ++bit) {
      if ((entry >> bit & 1) != 0) return true;
    }
    const bool nx = entry >> 63 != 0;
    if (paging_.is_pae() && shift == 30) return nx || (entry & 0x1e6) != 0;
    if (nx && (paging_.efer & x86::efer::NXE) == 0) return true;
    if (shift > 30 && (entry & 0x80) != 0) return true;
    return is_large_page && (entry & ((1ull << shift) - 1)) >> 13 != 0;
  }

  const PlainPaging& paging_;
  PlainMemory& memory_;
  bool loaded_top_ = true;
  std::vector<Used> used_;
  std::vector<std::uint64_t> tables_;
};

}  // namespace ringside::fuzz

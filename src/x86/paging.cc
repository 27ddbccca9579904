#include "x86/paging.h"

#include "ringside/x86/bits.h"

namespace ringside::x86 {
namespace {

namespace entry {
constexpr std::uint64_t kPresent = 1u << 0, kWritable = 1u << 1, kUser = 1u << 2,
                        kPageSizeBit = 1u << 7, kGlobal = 1u << 8, kNoExecute = 1ull << 63;
}

constexpr std::uint64_t bits(unsigned high, unsigned low) {
  return (~std::uint64_t{0} >> (63 - high)) & (~std::uint64_t{0} << low);
}

constexpr bool is_canonical(std::uint64_t address, unsigned width) {
  const auto value = static_cast<std::int64_t>(address << (64 - width));
  return static_cast<std::uint64_t>(value >> (64 - width)) == address;
}

constexpr unsigned kPageShift = 12;
constexpr unsigned kPdptShift = 30;  // of a page-directory-pointer-table entry

// What differs between the modes of SDM 3A table 4-1.
struct Shape {
  unsigned top_shift;   // of the address bits that index the top table
  unsigned index_bits;  // of the tables below the top one
  unsigned entry_size;
  std::uint64_t cr3_mask;  // the address of the top table
};

Shape shape_of(PagingMode mode) {
  switch (mode) {
    case PagingMode::None:
    case PagingMode::Bits32:
      return {22, 10, 4, bits(31, 12)};
    case PagingMode::Pae:
      return {kPdptShift, 9, 8, bits(31, 5)};
    case PagingMode::Level4:
      return {39, 9, 8, bits(51, 12)};
    case PagingMode::Level5:
      return {48, 9, 8, bits(51, 12)};
  }
  return {};
}

class Walker {
 public:
  Walker(const PagingState& state, PagingMode mode, Gva address, PhysicalReader& memory)
      : state_(state), mode_(mode), shape_(shape_of(mode)), address_(address), memory_(memory) {}

  PageWalk walk();

 private:
  bool long_mode() const { return mode_ == PagingMode::Level4 || mode_ == PagingMode::Level5; }
  bool is_pae_pdpte(unsigned shift) const {
    return mode_ == PagingMode::Pae && shift == kPdptShift;
  }
  bool maps_page(unsigned shift, std::uint64_t value) const;
  bool has_reserved_bit(unsigned shift, std::uint64_t value) const;
  std::uint64_t reserved_in_large_page(unsigned shift) const;
  std::uint64_t page_base(unsigned shift, std::uint64_t value) const;
  void add_permissions(unsigned shift, std::uint64_t value);

  const PagingState& state_;
  const PagingMode mode_;
  const Shape shape_;
  const Gva address_;
  PhysicalReader& memory_;
  PageWalk result_;
};

bool Walker::maps_page(unsigned shift, std::uint64_t value) const {
  if (shift == kPageShift) return true;
  if ((value & entry::kPageSizeBit) == 0) return false;
  switch (mode_) {
    case PagingMode::Bits32:
      return (state_.cr4 & cr4::PSE) != 0;  // without PSE the bit is ignored (SDM 3A 4.3)
    case PagingMode::Pae:
      return shift == 21;
    default:
      return shift == 21 || shift == kPdptShift;
  }
}

std::uint64_t Walker::reserved_in_large_page(unsigned shift) const {
  if (mode_ != PagingMode::Bits32) return bits(shift - 1, 13);
  // PSE-36: bits 20..13 are address bits 39..32, as far as the CPU has them (SDM 3A table 4-4).
  const unsigned width = state_.physical_address_bits < 40 ? state_.physical_address_bits : 40;
  return bits(21, width - 19);
}

bool Walker::has_reserved_bit(unsigned shift, std::uint64_t value) const {
  std::uint64_t reserved = 0;
  if (mode_ != PagingMode::Bits32) {
    // SDM 3A tables 4-8 to 4-11 for PAE, where everything up to bit 62 is reserved, and 4-14 to
    // 4-20 for the long modes, where bits 62..52 belong to software.
    const unsigned top = long_mode() ? 51 : 62;
    if (state_.physical_address_bits <= top) reserved |= bits(top, state_.physical_address_bits);
    if (is_pae_pdpte(shift)) {
      reserved |= bits(2, 1) | bits(8, 5) | entry::kNoExecute;
    } else if ((state_.efer & efer::NXE) == 0) {
      reserved |= entry::kNoExecute;
    }
    if (shift > kPdptShift) reserved |= entry::kPageSizeBit;
  }
  if (shift != kPageShift && maps_page(shift, value)) reserved |= reserved_in_large_page(shift);
  return (value & reserved) != 0;
}

std::uint64_t Walker::page_base(unsigned shift, std::uint64_t value) const {
  if (mode_ == PagingMode::Bits32) {
    const std::uint64_t high = shift == kPageShift ? 0 : (value & bits(20, 13)) << 19;
    return high | (value & bits(31, shift));
  }
  return value & bits(51, shift);
}

void Walker::add_permissions(unsigned shift, std::uint64_t value) {
  if (is_pae_pdpte(shift)) return;  // it has none (SDM 3A table 4-8)
  result_.writable = result_.writable && (value & entry::kWritable) != 0;
  result_.user = result_.user && (value & entry::kUser) != 0;
  if (shape_.entry_size == 8 && (value & entry::kNoExecute) != 0) result_.no_execute = true;
}

PageWalk Walker::walk() {
  result_.entry_size = shape_.entry_size;
  result_.writable = result_.user = true;
  const auto ended = [this](PageWalk::Outcome outcome) {
    result_.outcome = outcome;
    if (outcome != PageWalk::Outcome::Mapped) result_.writable = result_.user = false;
    return result_;
  };

  if (long_mode() ? !is_canonical(address_.value, mode_ == PagingMode::Level4 ? 48 : 57)
                  : address_.value > 0xffffffff) {
    return ended(PageWalk::Outcome::NonCanonical);
  }
  if (mode_ == PagingMode::None) {
    result_.gpa = {address_.value};
    result_.page_size = kPageSize;
    return ended(PageWalk::Outcome::Mapped);
  }

  std::uint64_t table = state_.cr3 & shape_.cr3_mask;
  for (unsigned shift = shape_.top_shift;; shift -= shape_.index_bits) {
    const std::uint64_t index = (address_.value >> shift) & bits(shape_.index_bits - 1, 0);
    const Gpa where{table + index * shape_.entry_size};
    std::uint64_t value = 0;
    const bool read = memory_.read_entry(where, shape_.entry_size, value);
    result_.entries[result_.levels++] = {where, value};
    if (!read) return ended(PageWalk::Outcome::Unreadable);
    if ((value & entry::kPresent) == 0) return ended(PageWalk::Outcome::NotPresent);
    if (has_reserved_bit(shift, value)) return ended(PageWalk::Outcome::ReservedBit);
    add_permissions(shift, value);

    if (maps_page(shift, value)) {
      result_.page_size = std::uint64_t{1} << shift;
      result_.gpa = {page_base(shift, value) | (address_.value & (result_.page_size - 1))};
      result_.global = (value & entry::kGlobal) != 0 && (state_.cr4 & cr4::PGE) != 0;
      if (long_mode()) result_.protection_key = static_cast<unsigned>(value >> 59) & 15;
      return ended(PageWalk::Outcome::Mapped);
    }
    table = shape_.entry_size == 4 ? value & bits(31, 12) : value & bits(51, 12);
  }
}

}  // namespace

PagingMode paging_mode(const PagingState& state) {
  // SDM 3A 4.1.1. LA57 has no meaning outside long mode: PAE paging with it set is PAE paging.
  if ((state.cr0 & cr0::PG) == 0) return PagingMode::None;
  if ((state.cr4 & cr4::PAE) == 0) return PagingMode::Bits32;
  if ((state.efer & efer::LME) == 0) return PagingMode::Pae;
  return (state.cr4 & cr4::LA57) != 0 ? PagingMode::Level5 : PagingMode::Level4;
}

PageWalk walk(const PagingState& state, Gva address, PhysicalReader& memory) {
  return Walker(state, paging_mode(state), address, memory).walk();
}

LinearRange range_of(const PagingState& state, Gva address, const PageWalk& walk) {
  const PagingMode mode = paging_mode(state);
  if (walk.outcome == PageWalk::Outcome::NonCanonical) {
    if (mode != PagingMode::Level4 && mode != PagingMode::Level5)
      return {Gva{1ull << 32}, Gva{~std::uint64_t{0}}};
    const std::uint64_t half = 1ull << (mode == PagingMode::Level4 ? 47 : 56);
    return {Gva{half}, Gva{~half}};
  }
  if (mode == PagingMode::None) return {Gva{0}, Gva{0xffffffff}};
  const Shape shape = shape_of(mode);
  unsigned shift = shape.top_shift - (walk.levels - 1) * shape.index_bits;
  // A table is within one page, so all of it is outside memory with its entry.
  if (walk.outcome == PageWalk::Outcome::Unreadable) shift += shape.index_bits;
  const std::uint64_t offset = bits(shift - 1, 0);
  return {Gva{address.value & ~offset}, Gva{address.value | offset}};
}

}  // namespace ringside::x86

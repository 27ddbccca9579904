#include "debug/memory/memory_range.h"
#include "hypervisor/guest_memory.h"

#include <algorithm>

namespace ringside::debug {

// How much lies at the next address in one piece.
Result<hypervisor::Extent> MemoryRange::find() const {
  if (addresses_.kind == AddressKind::Linear)
    return hypervisor::find_extent(vm_, vcpu_, Gva{address_}, addresses_.cr3);
  // To the end of them all.
  return hypervisor::Extent{Gpa{address_}, std::max(~address_, std::uint64_t{1})};
}

// How far from the next address there is neither RAM nor ROM.
Result<std::uint64_t> MemoryRange::hole() const {
  if (addresses_.kind == AddressKind::Physical)
    return hypervisor::distance_to_memory(vm_.memory(), Gpa{address_});
  const auto map = TRY(hypervisor::LinearMap::of(vm_, vcpu_, addresses_.cr3));
  const hypervisor::LinearPiece piece = map.at(Gva{address_});
  const std::uint64_t rest = piece.last.value - address_ + 1;
  if (!piece.gpa) return rest;
  const Gpa where = *piece.gpa + (address_ - piece.first.value);
  return std::min(rest, hypervisor::distance_to_memory(vm_.memory(), where));
}

void MemoryRange::advance(std::uint64_t size) {
  address_ += size;
  left_ -= size;
  wrapped_ = address_ == 0;
  if (wrapped_ && holes_ == Holes::Skip) left_ = 0;  // no memory is behind the last address
}

Result<std::span<const std::byte>> MemoryRange::next(std::uint64_t most) {
  if (wrapped_) return fail(ErrorCode::BadAddress, "the range leaves the address space");
  const Result<hypervisor::Extent> extent = find();
  std::uint64_t size = 0;
  std::span<const std::byte> piece;
  if (extent) {
    size = std::min({most, left_, extent->size});
    // Bytes of ours have to be taken out, so what has any is copied.
    if (!breakpoints_.has_bytes()) piece = vm_.memory().view(extent->gpa, size);
  }
  if (piece.empty() && holes_ == Holes::Skip) {
    if (const std::uint64_t gap = TRY(hole()); gap > 0) {
      advance(std::min(gap, left_));
      return piece;
    }
  }
  if (!extent) return fail(extent.error());
  if (piece.empty()) {
    const std::uint64_t in_page = kPageSize - (address_ & (kPageSize - 1));
    piece = TRY(copy(std::min(size, in_page)));
  }
  advance(piece.size());
  return piece;
}

Result<std::span<const std::byte>> MemoryRange::copy(std::uint64_t size) {
  ShadowedMemory memory(vm_, breakpoints_, vcpu_, addresses_);
  copy_ = TRY(memory.read(address_, size));
  if (copy_.size() < size)
    return fail(ErrorCode::BadAddress, "the range is not readable to its end");
  return copy_;
}

}  // namespace ringside::debug

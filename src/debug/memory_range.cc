#include "debug/memory_range.h"

#include <algorithm>

namespace ringside::debug {

Result<std::span<const std::byte>> MemoryRange::next(std::uint64_t most) {
  if (wrapped_) return fail(ErrorCode::BadAddress, "the range leaves the address space");
  hypervisor::Extent extent{Gpa{address_}, kPageSize};
  if (kind_ == AddressKind::Linear) {
    extent = TRY(hypervisor::find_extent(vm_, vcpu_, Gva{address_}));
  } else {
    extent.size = std::max(~address_, std::uint64_t{1});  // to the end of them all
  }
  const std::uint64_t size = std::min({most, left_, extent.size});
  // Bytes of ours have to be taken out, so what has any is copied.
  std::span<const std::byte> piece;
  if (!breakpoints_.has_bytes()) piece = vm_.memory().view(extent.gpa, size);
  if (piece.empty()) {
    const std::uint64_t in_page = kPageSize - (address_ & (kPageSize - 1));
    piece = TRY(copy(std::min(size, in_page)));
  }
  address_ += piece.size();
  left_ -= piece.size();
  wrapped_ = address_ == 0;
  return piece;
}

Result<std::span<const std::byte>> MemoryRange::copy(std::uint64_t size) {
  ShadowedMemory memory(vm_, breakpoints_, vcpu_, kind_);
  copy_ = TRY(memory.read(address_, size));
  if (copy_.size() < size)
    return fail(ErrorCode::BadAddress, "the range is not readable to its end");
  return copy_;
}

}  // namespace ringside::debug

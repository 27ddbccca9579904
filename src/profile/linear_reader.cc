#include "profile/linear_reader.h"

#include <algorithm>

namespace ringside::profile {

Result<LinearReader> LinearReader::of(hypervisor::Vm& vm, VcpuId vcpu) {
  const hypervisor::LinearMap map = TRY(hypervisor::LinearMap::of(vm, vcpu));
  return LinearReader(vm.memory(), map);
}

bool LinearReader::read(Gva address, std::span<std::byte> out) {
  while (!out.empty()) {
    if (!last_ || address < last_->first || address > last_->last) last_ = map_.at(address);
    if (!last_->gpa) return false;
    const std::uint64_t in_page = kPageSize - address.value % kPageSize;
    const std::uint64_t in_piece = last_->last.value - address.value;
    std::size_t count = std::min<std::uint64_t>(out.size(), in_page);
    if (in_piece < count) count = in_piece + 1;
    const Gpa gpa = *last_->gpa + (address.value - last_->first.value);
    if (!memory_->read_ram(gpa, out.first(count))) return false;
    out = out.subspan(count);
    address = address + count;
  }
  return true;
}

std::optional<std::uint64_t> LinearReader::number(Gva address, unsigned size) {
  std::uint64_t value = 0;
  const auto bytes = std::as_writable_bytes(std::span(&value, 1)).first(size);
  if (!read(address, bytes)) return std::nullopt;
  return value;
}

}  // namespace ringside::profile

#include "debug/memory/memory_regions.h"
#include "hypervisor/guest_memory.h"

namespace ringside::debug {
namespace {

constexpr std::uint64_t kLast = ~std::uint64_t{0};
// Page-table walks in each direction; a range that goes on is told in parts.
constexpr unsigned kMostWalks = 4096;

MemoryStretch stretch_of(const hypervisor::LinearPiece& piece) {
  const bool mapped = piece.gpa.has_value();
  return {piece.first.value, piece.last.value, mapped, mapped && piece.writable,
          mapped && piece.executable};
}

bool same(const MemoryStretch& a, const MemoryStretch& b) {
  return a.readable == b.readable && a.writable == b.writable && a.executable == b.executable;
}

}  // namespace

MemoryStretch linear_stretch(const hypervisor::LinearMap& map, Gva address) {
  MemoryStretch all = stretch_of(map.at(address));
  for (unsigned i = 0; i < kMostWalks && all.last != kLast; ++i) {
    const MemoryStretch next = stretch_of(map.at(Gva{all.last + 1}));
    if (!same(next, all)) break;
    all.last = next.last;
  }
  for (unsigned i = 0; i < kMostWalks && all.first != 0; ++i) {
    const MemoryStretch previous = stretch_of(map.at(Gva{all.first - 1}));
    if (!same(previous, all)) break;
    all.first = previous.first;
  }
  return all;
}

MemoryStretch physical_stretch(const std::vector<hypervisor::MemoryRegion>& regions, Gpa address) {
  if (regions.empty()) return {0, kLast, true, true, true};
  MemoryStretch gap{0, kLast};
  for (const hypervisor::MemoryRegion& region : regions) {
    const std::uint64_t first = region.base.value, last = first + region.size - 1;
    if (address.value < first) {
      gap.last = first - 1;
      break;
    }
    if (address.value <= last)
      return {first, last, true, region.kind != hypervisor::MemoryKind::Rom, true};
    gap.first = last + 1;
  }
  return gap;
}

}  // namespace ringside::debug

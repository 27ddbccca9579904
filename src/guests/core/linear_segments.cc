#include "guests/core/linear_segments.h"

#include <algorithm>

namespace ringside::guests {
namespace {

constexpr unsigned kPiecesInSlice = 4'000;
constexpr Gva kLast{~std::uint64_t{0}};

}  // namespace

LinearSegments::LinearSegments(hypervisor::Vm& vm, VcpuId first)
    : vm_(vm), regions_(vm.memory().regions()) {
  std::uint64_t pages = 0;
  for (const hypervisor::MemoryRegion& region : regions_)
    pages += (region.size + kPageSize - 1) / kPageSize;
  shown_.resize(pages);
  tables_.push_back({first, std::nullopt});
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    if (i != first.value && vm.vcpu({i}).active()) tables_.push_back({{i}, std::nullopt});
  }
}

void LinearSegments::add_table(std::uint64_t cr3) {
  tables_.push_back({tables_.front().vcpu, cr3});
}

// False where the same table has been gone through.
bool LinearSegments::begin_table() {
  const Table table = tables_.front();
  tables_.pop_front();
  const auto cr3 = vm_.vcpu(table.vcpu).read_register(x86::Register::Cr3);
  if (!cr3) return false;
  const std::uint64_t value = table.cr3.value_or(cr3->as_u64()) & kPageMask;
  if (std::ranges::find(seen_, value) != seen_.end()) return false;
  seen_.push_back(value);
  const auto map = hypervisor::LinearMap::of(vm_, table.vcpu, table.cr3);
  if (!map) return false;
  map_ = *map;
  next_ = Gva{0};
  return true;
}

bool LinearSegments::advance() {
  for (unsigned done = 0; done < kPiecesInSlice; ++done) {
    if (!map_) {
      if (tables_.empty()) return true;
      begin_table();
      continue;
    }
    if (++pieces_ > kMostPieces) {
      cut_off_ = true;
      return true;
    }
    const hypervisor::LinearPiece piece = map_->at(next_);
    if (piece.gpa) take_piece(piece);
    if (segments_.size() >= kMostSegments) {
      cut_off_ = true;
      return true;
    }
    // Without paging all addresses are mapped, and 32-bit ones end.
    if (piece.last < next_ || piece.last == kLast) {
      map_.reset();
    } else {
      next_ = piece.last + 1;
    }
  }
  return false;
}

// A piece may begin before what is still free of it, and end behind.
void LinearSegments::take_piece(const hypervisor::LinearPiece& piece) {
  Gva at = std::max(next_, piece.first);
  for (;;) {
    const auto after = segments_.upper_bound(at);
    if (after != segments_.begin()) {
      const LinearSegment& before = std::prev(after)->second;
      const Gva end = before.address + before.size;  // 0 behind the last address
      if (end > at || end.value == 0) {
        if (end.value == 0 || end > piece.last) return;
        at = end;
        continue;
      }
    }
    const bool free_to_end = after == segments_.end() || after->first > piece.last;
    const Gva last = free_to_end ? piece.last : after->first - 1;
    add_in_memory(at, *piece.gpa + (at.value - piece.first.value), last.value - at.value + 1);
    if (free_to_end) return;
    at = last + 1;
  }
}

// The part of it that is memory, of which there may be more than one.
void LinearSegments::add_in_memory(Gva address, Gpa where, std::uint64_t size) {
  for (const hypervisor::MemoryRegion& region : regions_) {
    const std::uint64_t begin = std::max(where.value, region.base.value);
    const std::uint64_t end = std::min(where.value + size, region.base.value + region.size);
    if (begin < end) add(address + (begin - where.value), Gpa{begin}, end - begin);
  }
}

// Linux's ESPFIX, for one, has a page for each processor at 65536 addresses.
bool LinearSegments::is_shown_enough(Gpa where, std::uint64_t size) {
  if (size > kPageSize) return false;
  std::uint64_t first = 0;
  for (const hypervisor::MemoryRegion& region : regions_) {
    const std::uint64_t offset = where.value - region.base.value;
    if (offset < region.size) {
      std::uint8_t& times = shown_[first + offset / kPageSize];
      if (times == kMostAddresses) return true;
      ++times;
      return false;
    }
    first += (region.size + kPageSize - 1) / kPageSize;
  }
  return true;
}

void LinearSegments::add(Gva address, Gpa where, std::uint64_t size) {
  if (is_shown_enough(where, size)) {
    cut_off_ = true;
    return;
  }
  const auto after = segments_.upper_bound(address);
  if (after != segments_.begin()) {
    LinearSegment& before = std::prev(after)->second;
    if (before.address + before.size == address && before.where + before.size == where) {
      before.size += size;
      return;
    }
  }
  segments_.emplace(address, LinearSegment{address, where, size});
}

std::vector<LinearSegment> LinearSegments::take() {
  std::vector<LinearSegment> result;
  result.reserve(segments_.size());
  for (const auto& [address, segment] : segments_)
    result.push_back(segment);
  segments_.clear();
  return result;
}

}  // namespace ringside::guests

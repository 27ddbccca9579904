#include "time/saved/page_packing.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace ringside::time {

PagePacking::PagePacking(const hypervisor::GuestRam& ram) : ram_(ram), packer_(ram) {
  std::vector<hypervisor::RamSlot> slots(ram.slots().begin(), ram.slots().end());
  std::sort(slots.begin(), slots.end(),
            [](const auto& a, const auto& b) { return a.base < b.base; });
  for (const hypervisor::RamSlot& slot : slots) {
    total_ += slot.size;
    for (std::uint64_t at = 0; at < slot.size; at += SavedChunk::kSize)
      pieces_.push_back({slot.base + at, std::min(SavedChunk::kSize, slot.size - at)});
  }
  try {
    helper_ = std::thread([this] { pack_ahead(); });
  } catch (const std::system_error&) {
    // A process that may have no more threads does all of it on this one.
  }
}

PagePacking::~PagePacking() {
  {
    const std::lock_guard lock(lock_);
    stop_ = true;
  }
  changed_.notify_all();
  if (helper_.joinable()) helper_.join();
}

std::optional<std::size_t> PagePacking::claim() {
  if (stop_ || claimed_ == pieces_.size() || claimed_ == given_ + kAhead) return std::nullopt;
  return claimed_++;
}

void PagePacking::pack_ahead() {
  PagePacker packer(ram_);
  std::unique_lock lock(lock_);
  for (;;) {
    std::optional<std::size_t> piece = claim();
    while (!piece && !stop_ && claimed_ < pieces_.size()) {
      changed_.wait(lock);
      piece = claim();
    }
    if (!piece) return;
    lock.unlock();
    PackedChunk chunk = packer.pack(pieces_[*piece].base, pieces_[*piece].size);
    lock.lock();
    packed_[*piece % kAhead] = std::move(chunk);
    changed_.notify_all();
  }
}

std::optional<PackedChunk> PagePacking::next() {
  std::unique_lock lock(lock_);
  if (given_ == pieces_.size()) return std::nullopt;
  std::optional<PackedChunk>& wanted = packed_[given_ % kAhead];
  while (!wanted) {
    const std::optional<std::size_t> piece = claim();
    if (!piece) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    PackedChunk chunk = packer_.pack(pieces_[*piece].base, pieces_[*piece].size);
    lock.lock();
    packed_[*piece % kAhead] = std::move(chunk);
  }
  std::optional<PackedChunk> chunk = std::exchange(wanted, std::nullopt);
  done_ += pieces_[given_++].size;
  changed_.notify_all();
  return chunk;
}

}  // namespace ringside::time

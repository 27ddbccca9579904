#include "engine/soft/code_cache.h"

#include <algorithm>

namespace ringside::soft {
namespace {
constexpr std::size_t kBlocksPerChunk = 1u << 10, kInsnsPerChunk = 1u << 13;

// The 64-byte granules of a page that [first, last] touches, as a mask.
std::uint64_t granules(std::uint64_t first, std::uint64_t last) {
  const std::uint64_t from = (first % kPageSize) / 64, to = (last % kPageSize) / 64;
  const std::uint64_t upto = to == 63 ? ~std::uint64_t{0} : (std::uint64_t{1} << (to + 1)) - 1;
  return upto & ~((std::uint64_t{1} << from) - 1);
}
}  // namespace

CodeCache::CodeCache() : slots_(kSlots) {}

Insn* CodeCache::reserve() {
  // A block lies in one chunk.
  const std::size_t left = kInsnsPerChunk - insns_used_ % kInsnsPerChunk;
  if (left < kMaxBlock) insns_used_ += left;
  if (insns_used_ == kPoolInsns) clear();
  const std::size_t chunk = insns_used_ / kInsnsPerChunk;
  if (chunk == insn_chunks_.size())
    insn_chunks_.push_back(std::make_unique<Insn[]>(kInsnsPerChunk));
  return &insn_chunks_[chunk][insns_used_ % kInsnsPerChunk];
}

Block* CodeCache::commit(std::uint64_t key, Insn* first, unsigned count, unsigned bytes,
                         bool& first_in_page) {
  insns_used_ += count;
  if (blocks_used_ % kBlocksPerChunk == 0 &&
      blocks_used_ / kBlocksPerChunk == block_chunks_.size()) {
    block_chunks_.push_back(std::make_unique<Block[]>(kBlocksPerChunk));
  }
  Block* block = &block_chunks_[blocks_used_ / kBlocksPerChunk][blocks_used_ % kBlocksPerChunk];
  ++blocks_used_;
  const std::uint64_t gpa = address_of(key).value;
  Page& page = pages_[gpa >> 12];
  first_in_page = page.blocks == nullptr;
  *block = Block{key, first, count, bytes, page.blocks};
  page.blocks = block;
  page.decoded |= granules(gpa, gpa + bytes - 1);
  slots_[slot(key)] = block;
  return block;
}

void CodeCache::drop(Block* block) {
  Block*& in_slot = slots_[slot(block->key)];
  if (in_slot == block) in_slot = nullptr;
  block->key = ~std::uint64_t{0};
}

bool CodeCache::written(Gpa address, std::uint64_t size) {
  bool dropped = false;
  if (size == 0 || pages_.empty()) return false;
  const std::uint64_t last = address.value + size - 1;
  for (std::uint64_t number = address.value >> 12; number <= last >> 12; ++number) {
    const auto found = pages_.find(number);
    if (found == pages_.end()) continue;
    const std::uint64_t page_first = number << 12;
    const std::uint64_t mask =
        granules(std::max(address.value, page_first), std::min(last, page_first + kPageSize - 1));
    if ((found->second.decoded & mask) == 0) continue;
    for (Block* block = found->second.blocks; block != nullptr; block = block->next_in_page) {
      drop(block);
    }
    pages_.erase(found);
    dropped = true;
  }
  return dropped;
}

void CodeCache::clear() {
  std::fill(slots_.begin(), slots_.end(), nullptr);
  pages_.clear();
  insns_used_ = 0;
  blocks_used_ = 0;
}

}  // namespace ringside::soft

#include "engine/soft/state/code_cache.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace ringside::soft {
namespace {
constexpr std::size_t kBlocksPerChunk = 1u << 8, kInsnsPerChunk = 1u << 11;

// The 64-byte granules of a page that [first, last] touches, as a mask.
std::uint64_t granules(std::uint64_t first, std::uint64_t last) {
  const std::uint64_t from = (first % kPageSize) / 64, to = (last % kPageSize) / 64;
  const std::uint64_t upto = to == 63 ? ~std::uint64_t{0} : (std::uint64_t{1} << (to + 1)) - 1;
  return upto & ~((std::uint64_t{1} << from) - 1);
}
}  // namespace

Insn* CodeCache::reserve() {
  // A block lies in one chunk.
  const std::size_t left = kInsnsPerChunk - insns_used_ % kInsnsPerChunk;
  if (left < kMaxBlock) insns_used_ += left;
  if (insns_used_ == kPoolInsns || blocks_used_ == kPoolBlocks) clear();
  const std::size_t chunk = insns_used_ / kInsnsPerChunk;
  if (chunk == insn_chunks_.size()) insn_chunks_.push_back(unwritten<Insn>(kInsnsPerChunk));
  return &insn_chunks_[chunk][insns_used_ % kInsnsPerChunk];
}

Block* CodeCache::commit(std::uint64_t key, Insn* first, unsigned count, unsigned bytes,
                         bool& first_in_page) {
  insns_used_ += count;
  decoded_ += count;
  if (blocks_used_ % kBlocksPerChunk == 0 &&
      blocks_used_ / kBlocksPerChunk == block_chunks_.size()) {
    block_chunks_.push_back(unwritten<Block>(kBlocksPerChunk));
  }
  Block* block = &block_chunks_[blocks_used_ / kBlocksPerChunk][blocks_used_ % kBlocksPerChunk];
  ++blocks_used_;
  const std::uint64_t gpa = address_of(key).value;
  first_in_page = mark({gpa}, bytes);
  Page& page = pages_[gpa >> 12];
  Block*& in_slot = slots_[slot(key)];
  *block = Block{};
  block->key = key;
  block->first = first;
  block->count = static_cast<std::uint8_t>(count);
  block->bytes = static_cast<std::uint16_t>(bytes);
  block->next_in_page = std::exchange(page.blocks, block);
  block->next_in_slot = std::exchange(in_slot, block);
  return block;
}

bool CodeCache::mark(Gpa address, std::uint64_t size) {
  Page& page = pages_[address.value >> 12];
  const bool first = page.decoded == 0;
  page.decoded |= granules(address.value, address.value + size - 1);
  return first;
}

void CodeCache::drop(Block* block) {
  if (block->key == Block::kNoKey) return;
  Block** link = &slots_[slot(block->key)];
  while (*link != block)
    link = &(*link)->next_in_slot;
  *link = block->next_in_slot;
  if (block->has_host) block->host_block->retire();
  block->key = Block::kNoKey;
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
  if (dropped) ++crossing_epoch_;
  return dropped;
}

void CodeCache::clear() {
  if (pages_.empty() && insns_used_ == 0) return;  // a debugger's breakpoints come by the thousand
  std::fill_n(slots_.get(), kSlots, nullptr);
  pages_.clear();
  ++crossing_epoch_;
  insns_used_ = 0;
  blocks_used_ = 0;
  ++epoch_;
}

}  // namespace ringside::soft

// Decoded instructions, kept per guest-physical address and code width in blocks that end at a
// branch or at the page's end. A store to bytes that were decoded drops the page's blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "engine/soft/insn.h"

namespace ringside::soft {

struct Block {
  std::uint64_t key = ~std::uint64_t{0};  // see CodeCache::key
  Insn* first = nullptr;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
  Block* next_in_page = nullptr;
  // A breakpoint of the debugger stands on the first instruction (on no other, by construction).
  bool stops_first = false;
  // Of a checked block: the linear page for which its breakpoints were looked up, and when.
  std::uint64_t linear_page = 0;
  std::uint64_t breakpoint_changes = 0;
  // Blocks that ran after this one: guesses, to be used only when their key is the wanted one.
  Block* successors[2] = {nullptr, nullptr};
};

class CodeCache {
 public:
  CodeCache();

  // `checked`: decoded for a linear page on which the debugger has breakpoints.
  static constexpr std::uint64_t key(Gpa address, Width code_width, bool checked = false) {
    return address.value << 2 | static_cast<std::uint64_t>(code_width) |
           static_cast<std::uint64_t>(checked) << 63;
  }
  static constexpr Gpa address_of(std::uint64_t key) { return {key << 1 >> 3}; }
  // The valid block that starts there, or null.
  Block* find(std::uint64_t key) {
    Block* block = slots_[slot(key)];
    return block != nullptr && block->key == key ? block : nullptr;
  }
  // The same, trying first what ran after `previous`.
  Block* find_after(Block* previous, std::uint64_t key) {
    for (Block* guess : previous->successors) {
      if (guess != nullptr && guess->key == key) return guess;
    }
    Block* block = find(key);
    if (block != nullptr) {
      previous->successors[1] = previous->successors[0];
      previous->successors[0] = block;
    }
    return block;
  }
  // Storage for a new block under construction: at most kMaxBlock instructions.
  static constexpr unsigned kMaxBlock = 32;
  Insn* reserve();
  // Publishes what was written to reserve()'s storage. True when the page had no code before.
  Block* commit(std::uint64_t key, Insn* first, unsigned count, unsigned bytes,
                bool& first_in_page);
  void drop(Block* block);

  bool has_code(Gpa page) const { return pages_.count(page.value >> 12) != 0; }
  // Drops every block of the pages that overlap the range, if decoded bytes are touched. True when
  // anything was dropped: running CPUs must leave their block.
  bool written(Gpa address, std::uint64_t size);
  void clear();

 private:
  struct Page {
    Block* blocks = nullptr;
    std::uint64_t decoded = 0;  // a bit per 64 bytes
  };
  static constexpr std::size_t kSlots = 1u << 16;
  static constexpr std::size_t kPoolInsns = 1u << 19;  // 16 MiB
  static std::size_t slot(std::uint64_t key) { return (key ^ (key >> 14)) % kSlots; }

  std::vector<Block*> slots_;
  std::unordered_map<std::uint64_t, Page> pages_;
  std::vector<std::unique_ptr<Insn[]>> insn_chunks_;  // made when they are needed
  std::size_t insns_used_ = 0;
  std::vector<std::unique_ptr<Block[]>> block_chunks_;
  std::size_t blocks_used_ = 0;
};

}  // namespace ringside::soft

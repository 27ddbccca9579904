// Decoded instructions, kept per guest-physical address and code width in blocks that end at a
// branch or at the page's end. An instruction that lies in two pages is in no block and kept by
// itself. A store to bytes that were decoded drops what the page has of both. When the space is
// full, all of it is dropped: it is large enough for what a guest's programs do at one time.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "engine/soft/state/host_block.h"
#include "engine/soft/state/insn.h"
#include "ringside/types.h"

namespace ringside::soft {

// One line of the host's cache.
struct alignas(64) Block {
  static constexpr std::uint64_t kNoKey = ~std::uint64_t{0};
  static constexpr std::uint8_t kNeverTranslated = 0xff;  // in place of a number of runs

  std::uint64_t key = kNoKey;  // see CodeCache::key
  Insn* first = nullptr;
  Block* next_in_page = nullptr;
  Block* next_in_slot = nullptr;
  // Blocks that ran after this one: guesses, to be used only when their key is the wanted one.
  // Their tags are a part of it, so that a wrong guess need not be read from memory.
  Block* successors[2] = {nullptr, nullptr};
  union {
    std::uint64_t own_stamp = 0;  // where there is no host code: see breakpoint_stamp()
    HostBlock* host_block;        // where there is
  };
  std::uint16_t successor_tags[2] = {0, 0};
  std::uint16_t bytes = 0;
  std::uint8_t count : 6 = 0;
  bool has_host : 1 = false;
  // A breakpoint of the debugger stands on the first instruction (on no other, by construction).
  bool stops_first : 1 = false;
  std::uint8_t runs = 0;  // how often it was interpreted, as far as that counts

  bool is_checked() const { return key >> 63 != 0; }
  // What a checked block was decoded for: see Board::breakpoint_stamp.
  std::uint64_t breakpoint_stamp() const {
    return has_host ? host_block->breakpoint_stamp : own_stamp;
  }
  // What was made from it, or null.
  HostBlock* host() const { return has_host ? host_block : nullptr; }
  void gain_host(HostBlock& made) {
    made.breakpoint_stamp = breakpoint_stamp();
    host_block = &made;
    has_host = true;
  }
  void lose_host() {
    own_stamp = breakpoint_stamp();
    has_host = false;
  }

  static constexpr std::uint16_t successor_tag(std::uint64_t key) {
    return static_cast<std::uint16_t>(key >> 2);
  }
};
static_assert(sizeof(Block) == 64);

class CodeCache {
 public:
  // `checked`: decoded for a linear page on which the debugger has breakpoints.
  static constexpr std::uint64_t key(Gpa address, Width code_width, bool checked = false) {
    return address.value << 2 | static_cast<std::uint64_t>(code_width) |
           static_cast<std::uint64_t>(checked) << 63;
  }
  static constexpr Gpa address_of(std::uint64_t key) { return {key << 1 >> 3}; }
  // The valid block that starts there, or null.
  Block* find(std::uint64_t key) {
    Block* block = slots_[slot(key)];
    while (block != nullptr && block->key != key)
      block = block->next_in_slot;
    return block;
  }
  // The same, trying first what ran after `previous`.
  Block* find_after(Block* previous, std::uint64_t key) {
    const std::uint16_t tag = Block::successor_tag(key);
    for (unsigned i = 0; i < 2; ++i) {
      Block* guess = previous->successors[i];
      if (previous->successor_tags[i] == tag && guess != nullptr && guess->key == key) return guess;
    }
    Block* block = find(key);
    if (block != nullptr) {
      previous->successors[1] = previous->successors[0];
      previous->successor_tags[1] = previous->successor_tags[0];
      previous->successors[0] = block;
      previous->successor_tags[0] = tag;
    }
    return block;
  }
  // Storage for a new block under construction: at most kMaxBlock instructions.
  static constexpr unsigned kMaxBlock = 32;  // Block::count has room for it
  Insn* reserve();
  // Publishes what was written to reserve()'s storage. True when the page had no code before.
  Block* commit(std::uint64_t key, Insn* first, unsigned count, unsigned bytes,
                bool& first_in_page);
  void drop(Block* block);

  // An instruction that begins at a key's address and ends in another page.
  struct Crossing {
    std::uint64_t key = Block::kNoKey;
    std::uint64_t second_page = 0;  // physical
    std::uint64_t epoch = 0;        // valid while it is crossing_epoch_
    Insn insn;
  };
  // What is known of the instruction at `key`, or null. Where its bytes go on depends on the
  // translation at this moment: the caller compares second_page.
  const Crossing* crossing(std::uint64_t key) const {
    const Crossing& found = crossings_[slot(key) % kCrossings];
    return found.key == key && found.epoch == crossing_epoch_ ? &found : nullptr;
  }
  // Keeps one. The pages that had no code before are given to `watch`.
  template <typename Watch>
  void keep_crossing(std::uint64_t key, Gpa second_page, const Insn& insn, Watch watch) {
    const Gpa first = address_of(key);
    const std::uint64_t in_first = kPageSize - first.value % kPageSize;
    if (mark(first, in_first)) watch(Gpa{first.value & kPageMask});
    if (mark(second_page, insn.length - in_first)) watch(second_page);
    crossings_[slot(key) % kCrossings] = {key, second_page.value, crossing_epoch_, insn};
    ++decoded_;
  }

  // Where the last run stopped inside of a block, so that it can go on there: a block for what is
  // left would have to be decoded, and would be used once.
  struct Place {
    Block* block = nullptr;
    std::uint64_t key = 0;    // of the block; another one lies there meanwhile if it differs
    std::uint64_t epoch = 0;  // of the cache
    std::uint64_t linear = 0;
    std::uint16_t index = 0;   // of the instruction in the block
    std::uint16_t offset = 0;  // of its first byte
  };
  bool is_valid(const Place& place) const {
    return place.block != nullptr && place.epoch == epoch_ && place.key != Block::kNoKey &&
           place.block->key == place.key;
  }
  std::uint64_t epoch() const { return epoch_; }      // how often everything was dropped
  std::uint64_t decoded() const { return decoded_; }  // instructions, since the start

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
  // Python's test suite or a C compiler have some 150,000 blocks of 5 instructions.
  static constexpr unsigned kSlotBits = 18;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;
  static constexpr std::size_t kPoolInsns = 5u << 18;   // 40 MiB
  static constexpr std::size_t kPoolBlocks = 1u << 18;  // 16 MiB
  static constexpr std::size_t kCrossings = 1u << 12;
  static std::size_t slot(std::uint64_t key) {
    return key * 0x9e3779b97f4a7c15 >> (64 - kSlotBits);
  }
  // Notes that the bytes, which lie in one page, are decoded. True when the page had no code.
  bool mark(Gpa address, std::uint64_t size);

  struct Free {
    void operator()(void* table) const { std::free(table); }
  };
  template <typename Entry>
  using Table = std::unique_ptr<Entry[], Free>;
  // Zeros of the kernel's: pages that no guest has needed are not touched, which is most of what
  // the start would cost.
  template <typename Entry>
  static Table<Entry> zeros(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<Entry>);
    constexpr std::size_t kSize = sizeof(Entry[1]);  // an entry may be meant to be a pointer
    return own<Entry>(std::calloc(count, kSize));
  }
  // Whatever was there; each is written as a whole before it is used.
  template <typename Entry>
  static Table<Entry> unwritten(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<Entry>);
    return own<Entry>(std::aligned_alloc(alignof(Entry), count * sizeof(Entry)));
  }
  template <typename Entry>
  static Table<Entry> own(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    return Table<Entry>(static_cast<Entry*>(memory));
  }
  Table<Block*> slots_ = zeros<Block*>(kSlots);  // null where there is no block
  std::unordered_map<std::uint64_t, Page> pages_;
  std::vector<Table<Insn>> insn_chunks_;  // made when they are needed
  std::size_t insns_used_ = 0;
  std::vector<Table<Block>> block_chunks_;
  std::size_t blocks_used_ = 0;
  Table<Crossing> crossings_ = zeros<Crossing>(kCrossings);
  std::uint64_t epoch_ = 0, decoded_ = 0;
  std::uint64_t crossing_epoch_ = 1;  // never 0, which is that of no crossing
};

}  // namespace ringside::soft

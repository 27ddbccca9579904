// Guest memory as it is in a saved machine: chunks of up to 64 pages, each compressed by itself, so
// that two threads can work on two of them. Pages of zeros are left out.
//
// A packer or unpacker belongs to one thread; packers may read the same memory at the same time,
// and unpackers may write different chunks of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "platform/guest_ram.h"
#include "ringside/types.h"

namespace ringside::time {

// An entry of the file's index.
struct SavedChunk {
  static constexpr std::uint64_t kPages = 64, kSize = kPages * kPageSize;

  std::uint64_t base = 0;   // of its first page, in guest-physical memory
  std::uint64_t pages = 0;  // which of the 64 from there are in it, the first in the lowest bit
  std::uint64_t packed_size = 0;
  std::uint64_t hash = 0;  // of the packed bytes
  friend bool operator==(const SavedChunk&, const SavedChunk&) = default;
};
static_assert(std::has_unique_object_representations_v<SavedChunk>);

struct PackedChunk {
  SavedChunk entry;  // no pages: there is nothing but zeros
  std::vector<std::byte> bytes;
};

// No chunk of a well-formed file is larger when packed.
std::uint64_t most_packed_bytes();

class PagePacker {
 public:
  explicit PagePacker(const hypervisor::GuestRam& ram);
  // `size` bytes from `base` on, which are whole pages of one slot, at most SavedChunk::kSize.
  PackedChunk pack(Gpa base, std::uint64_t size);

 private:
  std::uint64_t gather(Gpa base, std::uint64_t size);

  const hypervisor::GuestRam& ram_;
  std::vector<std::byte> pages_;  // that are not zero, one after the other
  std::size_t gathered_ = 0;      // bytes of them
  std::vector<std::byte> state_;  // of the compressor
};

class PageUnpacker {
 public:
  explicit PageUnpacker(const hypervisor::GuestRam& ram);
  // False: these bytes are not what the entry says, or it is none of this memory.
  bool unpack(const SavedChunk& entry, std::span<const std::byte> packed);

 private:
  const hypervisor::GuestRam& ram_;
  std::vector<std::byte> pages_;
};

}  // namespace ringside::time

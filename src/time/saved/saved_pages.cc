#include "time/saved/saved_pages.h"

#include <lz4.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/state_hash.h"

namespace ringside::time {
namespace {

// Of a booted Linux LZ4 makes a third of its pages, at 1 GB/s, and unpacks at 5. Zstandard at -1,
// its level that is comparable, makes a quarter, and takes 1.3 times as long to pack and twice as
// long to unpack.
constexpr int kAcceleration = 1;

std::uint64_t hash_of(std::span<const std::byte> bytes) {
  StateHasher hasher;
  hasher.add(bytes);
  return hasher.value();
}

bool is_zero(const std::byte* page) {
  // The first word tells most pages apart; then the page is compared with itself one word further.
  std::uint64_t first = 0;
  std::memcpy(&first, page, sizeof first);
  return first == 0 && std::memcmp(page, page + sizeof first, kPageSize - sizeof first) == 0;
}

std::uint64_t bytes_of(std::uint64_t pages) {
  return static_cast<std::uint64_t>(std::popcount(pages)) * kPageSize;
}

}  // namespace

std::uint64_t most_packed_bytes() {
  return static_cast<std::uint64_t>(LZ4_compressBound(static_cast<int>(SavedChunk::kSize)));
}

PagePacker::PagePacker(const hypervisor::GuestRam& ram)
    : ram_(ram), pages_(SavedChunk::kSize), state_(static_cast<std::size_t>(LZ4_sizeofState())) {}

std::uint64_t PagePacker::gather(Gpa base, std::uint64_t size) {
  std::uint64_t pages = 0;
  gathered_ = 0;
  for (std::uint64_t at = 0; at < size;) {
    const std::span<const std::byte> seen = ram_.view(base + at, size - at);
    const bool untouched =
        seen.data() != reinterpret_cast<const std::byte*>(ram_.host(base + at, kPageSize));
    for (std::uint64_t in = 0; in < seen.size() && !untouched; in += kPageSize) {
      if (is_zero(seen.data() + in)) continue;
      std::memcpy(pages_.data() + gathered_, seen.data() + in, kPageSize);
      gathered_ += kPageSize;
      pages |= std::uint64_t{1} << ((at + in) / kPageSize);
    }
    at += seen.size();
  }
  return pages;
}

PackedChunk PagePacker::pack(Gpa base, std::uint64_t size) {
  PackedChunk chunk;
  chunk.entry.base = base.value;
  chunk.entry.pages = gather(base, size);
  if (chunk.entry.pages == 0) return chunk;
  chunk.bytes.resize(most_packed_bytes());
  const int packed = LZ4_compress_fast_extState(
      state_.data(), reinterpret_cast<const char*>(pages_.data()),
      reinterpret_cast<char*>(chunk.bytes.data()), static_cast<int>(gathered_),
      static_cast<int>(chunk.bytes.size()), kAcceleration);
  chunk.bytes.resize(static_cast<std::size_t>(packed));
  chunk.entry.packed_size = chunk.bytes.size();
  chunk.entry.hash = hash_of(chunk.bytes);
  return chunk;
}

PageUnpacker::PageUnpacker(const hypervisor::GuestRam& ram)
    : ram_(ram), pages_(SavedChunk::kSize) {}

bool PageUnpacker::unpack(const SavedChunk& entry, std::span<const std::byte> packed) {
  if (entry.pages == 0 || entry.base % kPageSize != 0 || hash_of(packed) != entry.hash)
    return false;
  const auto span = static_cast<std::uint64_t>(std::bit_width(entry.pages)) * kPageSize;
  std::uint8_t* const host = ram_.host({entry.base}, span);
  if (host == nullptr) return false;
  const std::uint64_t size = bytes_of(entry.pages);
  const bool in_place = size == span;
  auto* const to = in_place ? reinterpret_cast<std::byte*>(host) : pages_.data();
  // Pages that nobody has touched come faster all at once than by a fault for each. Kernels before
  // 5.14 do not know it, and then they come by faults.
  if (in_place) (void)::madvise(host, span, MADV_POPULATE_WRITE);
  const int unpacked =
      LZ4_decompress_safe(reinterpret_cast<const char*>(packed.data()), reinterpret_cast<char*>(to),
                          static_cast<int>(packed.size()), static_cast<int>(size));
  if (unpacked < 0 || static_cast<std::uint64_t>(unpacked) != size) return false;
  if (in_place) return true;
  const std::byte* from = pages_.data();
  for (std::uint64_t pages = entry.pages; pages != 0; pages &= pages - 1) {
    const auto page = static_cast<std::uint64_t>(std::countr_zero(pages));
    std::memcpy(host + page * kPageSize, from, kPageSize);
    from += kPageSize;
  }
  return true;
}

}  // namespace ringside::time

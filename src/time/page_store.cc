#include "time/page_store.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace ringside::time {
namespace {

bool is_zero(const std::uint8_t* content) {
  return content[0] == 0 && std::memcmp(content, content + 1, kPageSize - 1) == 0;
}

}  // namespace

// A chunk is one huge page where the host has them, because a fault of the host's for each page
// would take longer than to fill it.
PageStore::Content PageStore::take() {
  if (free_.empty()) {
    constexpr std::size_t kSize = kPagesPerChunk * kPageSize;
    auto* const chunk = static_cast<std::uint8_t*>(std::aligned_alloc(kSize, kSize));
    if (chunk == nullptr) throw std::bad_alloc();
    (void)::madvise(chunk, kSize, MADV_HUGEPAGE);
    chunks_.emplace_back(chunk);
    for (std::size_t i = kPagesPerChunk; i > 0; --i)
      free_.push_back(chunks_.back().get() + (i - 1) * kPageSize);
  }
  const Content content = free_.back();
  free_.pop_back();
  return content;
}

PageStore::Content PageStore::keep(const std::uint8_t* content) {
  ++pages_;
  if (is_zero(content)) return nullptr;
  const Content kept = take();
  std::memcpy(kept, content, kPageSize);
  return kept;
}

PageStore::Content PageStore::keep_zeros() {
  ++pages_;
  return nullptr;
}

void PageStore::release(Content content) {
  --pages_;
  if (content != nullptr) free_.push_back(content);
}

void PageStore::exchange(Content& kept, std::uint8_t* memory) {
  if (kept != nullptr) {
    std::swap_ranges(kept, kept + kPageSize, memory);
    if (!is_zero(kept)) return;
    free_.push_back(kept);
    kept = nullptr;
  } else if (!is_zero(memory)) {
    kept = take();
    std::memcpy(kept, memory, kPageSize);
    std::memset(memory, 0, kPageSize);
  }
}

}  // namespace ringside::time

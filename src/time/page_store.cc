#include "time/page_store.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringside::time {
namespace {

bool is_zero(const std::uint8_t* content) {
  return content[0] == 0 && std::memcmp(content, content + 1, kPageSize - 1) == 0;
}

}  // namespace

PageStore::Content PageStore::take() {
  if (free_.empty()) {
    chunks_.push_back(std::make_unique_for_overwrite<std::uint8_t[]>(kPagesPerChunk * kPageSize));
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

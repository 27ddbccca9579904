// Contents of pages that are kept for later. A page of zeros takes no room, but counts as one that
// does, because it gives way to another content when the machine goes back. Main thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "ringside/types.h"

namespace ringside::time {

class PageStore {
 public:
  using Content = std::uint8_t*;  // of kPageSize bytes; null: zeros

  Content keep(const std::uint8_t* content);
  // What has never been written to.
  Content keep_zeros();
  void release(Content content);
  // `memory` and what was kept change places.
  void exchange(Content& kept, std::uint8_t* memory);
  std::uint64_t pages() const { return pages_; }

 private:
  Content take();
  static constexpr std::size_t kPagesPerChunk = 512;  // a huge page of the host's
  struct Free {
    void operator()(std::uint8_t* chunk) const { std::free(chunk); }
  };
  std::vector<std::unique_ptr<std::uint8_t[], Free>> chunks_;
  std::vector<Content> free_;
  std::uint64_t pages_ = 0;  // kept, with those of zeros
};

}  // namespace ringside::time

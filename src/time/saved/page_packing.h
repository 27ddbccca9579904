// Packs all of a guest's memory on two threads: the caller's, a slice at a time, and one of its
// own. What comes out is in the order of addresses, whoever packed it.
//
// Made, used and destroyed on one thread, while nobody changes the memory.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "platform/guest_ram.h"
#include "time/saved/saved_pages.h"

namespace ringside::time {

class PagePacking {
 public:
  explicit PagePacking(const hypervisor::GuestRam& ram);
  ~PagePacking();
  PagePacking(const PagePacking&) = delete;
  PagePacking& operator=(const PagePacking&) = delete;

  // The next chunk, which may have no pages; nothing after the last. Packs it if nobody has.
  std::optional<PackedChunk> next();
  std::uint64_t total() const { return total_; }  // bytes of memory
  std::uint64_t done() const { return done_; }    // of those that next() has given

 private:
  // How far the other thread may be ahead: a bound on what it holds.
  static constexpr std::size_t kAhead = 64;

  struct Piece {
    Gpa base;
    std::uint64_t size;
  };
  std::optional<std::size_t> claim();  // with the lock held
  void pack_ahead();

  const hypervisor::GuestRam& ram_;
  std::vector<Piece> pieces_;
  std::uint64_t total_ = 0, done_ = 0;
  PagePacker packer_;

  std::mutex lock_;
  std::condition_variable changed_;
  std::size_t claimed_ = 0, given_ = 0;  // pieces
  std::array<std::optional<PackedChunk>, kAhead> packed_;
  bool stop_ = false;
  std::thread helper_;
};

}  // namespace ringside::time

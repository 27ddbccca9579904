// A figure of all of a machine's RAM that costs only what has changed since it was last asked for,
// and that tells which page it is if two of them differ in one.
//
// Each page has a figure of its content. The sums go over the differences between the
// figures of now and those of the beginning: what was told of and did not change counts nothing, so
// that the sums depend on the content alone. RAM is divided into a few equal parts, each with two
// sums: a plain one, and one in which each page counts as often as its number says. Where one page
// differs, the one's difference divided by the other's is its number. They are numbers modulo a
// prime, so that there is always such a quotient.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "platform/guest_ram.h"
#include "platform/rewindable.h"
#include "ringside/types.h"

namespace ringside::time {

struct PageSum {
  static constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;
  std::uint64_t plain = 0, weighted = 0;  // below kPrime
  friend bool operator==(const PageSum&, const PageSum&) = default;

  // The figure of this page was another one.
  void change(std::uint64_t page, std::uint64_t from, std::uint64_t to);
};

// The number of the page in which two sums differ, if it is one; of several it may also be the
// number of none.
std::uint64_t differing_page(const PageSum& one, const PageSum& other);

inline constexpr std::size_t kMemoryParts = 16;
using MemoryParts = std::array<PageSum, kMemoryParts>;

// How many pages a part has. The last ones may have none, and the very last has ROM, too.
std::uint64_t pages_in_part(const hypervisor::GuestRam& ram);

// Belongs to one engine's thread. It is told of pages while a slice runs.
class MemorySums final : public hypervisor::PageKeeper {
 public:
  MemorySums(hypervisor::Rewindable& engine, const hypervisor::GuestRam& ram);
  ~MemorySums() override;
  MemorySums(const MemorySums&) = delete;
  MemorySums& operator=(const MemorySums&) = delete;

  // Of the present content. What has changed in between and was undone, as on a journey into the
  // past, leaves no trace.
  const MemoryParts& take();
  // RAM is about to change, by who does not tell of it.
  void forget_content();

  void keep(Gpa page, const std::uint8_t* content) override;

 private:
  // Figures by page number; zero is none. Those of pages that never change take no memory.
  static constexpr std::uint64_t kChunk = 512;
  using Chunk = std::array<std::uint64_t, kChunk>;
  static constexpr std::uint64_t kBlock = 64;  // pages
  std::uint64_t& figure_of(std::uint64_t page);
  void find_untouched();
  void take_changes();

  hypervisor::Rewindable& engine_;
  const hypervisor::GuestRam& ram_;
  const std::uint64_t pages_in_part_;
  std::vector<std::unique_ptr<Chunk>> figures_;
  std::vector<bool> untouched_;         // blocks that are zero, and have been since the beginning
  std::vector<std::uint64_t> changed_;  // in this interval
  MemoryParts parts_;
};

}  // namespace ringside::time

// Where a boot loader puts things in guest RAM: loads at given addresses, finds room elsewhere, and
// keeps what was placed apart. Lives for one boot().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "machine/boot/boot.h"
#include "machine/boot/boot_image.h"
#include "platform/guest_ram.h"

namespace ringside::machine {

struct MemoryRange {
  enum class Kind : std::uint32_t { Usable = 1, Reserved = 2 };  // the numbers of E820
  Gpa base;
  std::uint64_t size = 0;
  Kind kind = Kind::Usable;
};

// What firmware would tell: conventional memory, the legacy hole, memory to 3 GiB, the
// configuration space of PCI, and memory from 4 GiB.
std::vector<MemoryRange> memory_map(const hypervisor::GuestRam& ram);

class BootMemory {
 public:
  explicit BootMemory(hypervisor::GuestRam& ram, Meanwhile meanwhile = {});
  std::uint64_t size() const { return ram_.size(); }  // of RAM

  const std::vector<MemoryRange>& map() const { return map_; }
  // One past the highest byte used so far below 4 GiB.
  Gpa end() const { return end_; }

  // Content at a fixed address, zeros up to `memory_size`. Parts of one kernel may overlap.
  Result<void> load(Gpa base, Bytes content, std::uint64_t memory_size, std::string_view what);
  // Whether there is such memory.
  Result<void> check(Gpa base, std::uint64_t size, std::string_view what) const;
  // Keeps a range free of what is placed later; its bytes stay as they are.
  Result<void> reserve(Gpa base, std::uint64_t size, std::string_view what);
  // Room for something: `size` bytes of usable memory between `from` and `limit`, from a multiple
  // of `alignment` on.
  struct Room {
    std::uint64_t size = 0;
    Gpa from;
    Gpa limit{std::uint64_t{1} << 32};
    std::uint64_t alignment = kPageSize;
  };
  // The lowest and the highest place for it where nothing is yet.
  std::optional<Gpa> lowest(const Room& room) const;
  std::optional<Gpa> highest(const Room& room) const;
  // The lowest free place of whole pages at `from` or above, zeroed; always below 4 GiB.
  Result<Gpa> place_low(std::uint64_t size, Gpa from, std::string_view what);
  // The highest free place that ends at or below `limit`.
  Result<Gpa> place_high(std::uint64_t size, Gpa limit, std::string_view what);
  // What is there; of memory that there is.
  Bytes read(Gpa address, std::uint64_t size) const;
  // Fills part of a range that load or place returned.
  void write(Gpa address, Bytes content);

 private:
  // What is in use, apart from each other: the end of each range by its beginning. A kernel may
  // have 65,535 segments.
  using Used = std::map<std::uint64_t, std::uint64_t>;
  void use(std::uint64_t begin, std::uint64_t end);
  // The lowest that overlaps, or the end.
  Used::const_iterator overlap(std::uint64_t begin, std::uint64_t end) const;
  Error no_room(std::uint64_t size, std::string_view what) const;

  Result<void> fill(Gpa base, Bytes content, std::uint64_t size);

  hypervisor::GuestRam& ram_;
  Meanwhile meanwhile_;
  std::vector<MemoryRange> map_;
  Used used_;
  Gpa end_;
};

}  // namespace ringside::machine

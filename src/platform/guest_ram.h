// The guest's RAM and ROM as slots of host memory. Created before the engine and the machine,
// shared by both, and outlives them. The layout never changes while the guest runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "platform/untouched_pages.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

struct RamSlot {
  Gpa base;
  std::uint64_t size = 0;  // bytes, a multiple of the page size
  std::uint8_t* host = nullptr;
  bool read_only = false;  // ROM: the guest's writes go to MMIO dispatch (and are dropped there)
};

// The text memory of a VGA card.
inline constexpr Gpa kTextMemory{0xb8000};
inline constexpr std::uint64_t kTextMemorySize = 0x8000;

class GuestRam {
 public:
  // How much of the first 4 GiB is RAM at most. Firmware for a Q35 may put PCI's configuration
  // space at 2816 MiB: of more RAM than that, it expects 2 GiB to be there and the rest above 4
  // GiB.
  enum class Layout : std::uint8_t { UpTo3GiB, AsFirmwareExpects };
  // RAM of `size` bytes in PC layout: 0..640 KiB, 768 KiB..low_end(), the rest from 4 GiB.
  static Result<GuestRam> create(std::uint64_t size, Layout layout = Layout::UpTo3GiB);
  GuestRam(GuestRam&& other) noexcept;
  GuestRam& operator=(GuestRam&&) = delete;
  ~GuestRam();

  // Maps `image` read-only at `base` (page-aligned; the size is rounded up, padded with zeros).
  Result<void> add_rom(Gpa base, std::span<const std::byte> image);

  // Makes the text memory of a VGA card RAM, too. Once, before anybody uses it.
  // It is RAM of the card's, and counts in no size.
  void add_text_memory();

  // A second place where the host sees [base, base + size), which are whole pages of one slot: the
  // guest's memory may be reached through it with other rights than through the first, which stays
  // as it is. Once for each page, and while nobody else uses them.
  Result<std::uint8_t*> map_again(Gpa base, std::uint64_t size);

  std::uint64_t size() const { return size_; }  // RAM alone, as asked
  Gpa low_end() const { return low_end_; }      // of RAM below 4 GiB
  std::span<const RamSlot> slots() const { return slots_; }
  // The slot that holds all of [address, address + size), or null.
  const RamSlot* find(Gpa address, std::uint64_t size) const {
    for (const RamSlot& slot : slots_) {
      const std::uint64_t offset = address.value - slot.base.value;
      if (offset < slot.size && size <= slot.size - offset) return &slot;
    }
    return nullptr;
  }
  // Host address of RAM or ROM, or null. `size` must not cross a slot.
  std::uint8_t* host(Gpa address, std::uint64_t size) const {
    const RamSlot* slot = find(address, size);
    return slot == nullptr ? nullptr : slot->host + (address.value - slot->base.value);
  }

  // What a reader finds from `address` on: at most `size` bytes, and fewer at a slot's end. Of RAM
  // that nobody has touched yet it shows zeros that lie elsewhere, because to read it would cost
  // the host a fault, and page tables, for every page.
  std::span<const std::byte> view(Gpa address, std::uint64_t size) const;

 private:
  GuestRam() = default;
  struct Mapping {
    void* address;
    std::size_t size;
  };
  std::uint64_t size_ = 0;
  Gpa low_end_;
  std::vector<RamSlot> slots_;
  std::vector<Mapping> mappings_;
  std::vector<std::span<const std::byte>> twice_;  // what has a second place, at its first
  UntouchedPages untouched_;
};

}  // namespace ringside::hypervisor

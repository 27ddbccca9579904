#include "machine/boot/boot_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "machine/boot/bios_remains.h"
#include "machine/bus/platform_map.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kLegacyHole = 0xa0000, kBiosArea = 0xe0000, kOneMegabyte = 0x100000,
                        kFourGigabytes = 1ull << 32;

std::uint64_t page_up(std::uint64_t value) { return (value + kPageSize - 1) & kPageMask; }

}  // namespace

std::string megabytes(std::uint64_t bytes) {
  if (bytes % (1u << 20) == 0) return fmt::format("{}M", bytes >> 20);
  return fmt::format("{}K", (bytes >> 10) + (bytes % 1024 != 0 ? 1 : 0));
}

std::optional<std::uint64_t> find_bytes(Bytes image, Bytes wanted) {
  const auto found = std::search(image.begin(), image.end(), wanted.begin(), wanted.end());
  if (found == image.end()) return std::nullopt;
  return static_cast<std::uint64_t>(found - image.begin());
}

std::vector<MemoryRange> memory_map(const hypervisor::GuestRam& ram) {
  using Kind = MemoryRange::Kind;
  std::vector<MemoryRange> map = {
      {{0}, kExtendedBios.value, Kind::Usable},
      {kExtendedBios, kLegacyHole - kExtendedBios.value, Kind::Reserved},
      {{kBiosArea}, kOneMegabyte - kBiosArea, Kind::Reserved},
  };
  std::vector<MemoryRange> high = {{kPciEcamBase, kPciEcamSize, Kind::Reserved}};
  for (const hypervisor::RamSlot& slot : ram.slots()) {
    if (slot.read_only || slot.base.value + slot.size <= kOneMegabyte) continue;
    const std::uint64_t begin = std::max(slot.base.value, kOneMegabyte);
    high.push_back({{begin}, slot.base.value + slot.size - begin, Kind::Usable});
  }
  std::sort(high.begin(), high.end(),
            [](const MemoryRange& a, const MemoryRange& b) { return a.base < b.base; });
  map.insert(map.end(), high.begin(), high.end());
  return map;
}

BootMemory::BootMemory(hypervisor::GuestRam& ram, Meanwhile meanwhile)
    : ram_(ram), meanwhile_(std::move(meanwhile)), map_(memory_map(ram)) {}

void BootMemory::use(std::uint64_t begin, std::uint64_t end) {
  if (end <= kFourGigabytes) end_.value = std::max(end_.value, end);
  for (auto used = overlap(begin, end); used != used_.end(); used = overlap(begin, end)) {
    begin = std::min(begin, used->first);
    end = std::max(end, used->second);
    used_.erase(used);
  }
  used_.emplace(begin, end);
}

BootMemory::Used::const_iterator BootMemory::overlap(std::uint64_t begin, std::uint64_t end) const {
  auto used = used_.upper_bound(begin);
  if (used != used_.begin() && std::prev(used)->second > begin) --used;
  return used != used_.end() && used->first < end ? used : used_.end();
}

Error BootMemory::no_room(std::uint64_t size, std::string_view what) const {
  return Error(ErrorCode::BadRequest,
               fmt::format("no room for {} ({}) in the guest's {} of memory; give it more with -m",
                           what, megabytes(size), megabytes(ram_.size())));
}

Result<void> BootMemory::check(Gpa base, std::uint64_t size, std::string_view what) const {
  if (size != 0 && ram_.host(base, size) == nullptr) {
    return fail(ErrorCode::BadRequest,
                fmt::format("{} wants {} at {:#x}, which is not in the guest's {} of memory", what,
                            megabytes(size), base.value, megabytes(ram_.size())));
  }
  return {};
}

Result<void> BootMemory::reserve(Gpa base, std::uint64_t size, std::string_view what) {
  TRY(check(base, size, what));
  if (size != 0) use(base.value, base.value + size);
  return {};
}

Result<void> BootMemory::load(Gpa base, Bytes content, std::uint64_t memory_size,
                              std::string_view what) {
  TRY(reserve(base, memory_size, what));
  if (memory_size == 0) return {};
  return fill(base, content.first(std::min<std::uint64_t>(content.size(), memory_size)),
              memory_size);
}

// The content, and zeros behind it.
Result<void> BootMemory::fill(Gpa base, Bytes content, std::uint64_t size) {
  constexpr std::uint64_t kPiece = 16u << 20;
  std::uint8_t* const host = ram_.host(base, size);
  for (std::uint64_t at = 0; at < size; at += kPiece) {
    const std::uint64_t piece = std::min(kPiece, size - at);
    const std::uint64_t copied = at < content.size() ? std::min(piece, content.size() - at) : 0;
    if (copied != 0) std::memcpy(host + at, content.data() + at, copied);
    std::memset(host + at + copied, 0, piece - copied);
    if (meanwhile_) TRY(meanwhile_({"filling memory", at + piece, size}));
  }
  return {};
}

std::optional<Gpa> BootMemory::lowest(const Room& room) const {
  const auto align = [&](std::uint64_t value) {
    return (value + room.alignment - 1) / room.alignment * room.alignment;
  };
  for (const MemoryRange& range : map_) {
    if (range.kind != MemoryRange::Kind::Usable) continue;
    const std::uint64_t end = std::min(range.base.value + range.size, room.limit.value);
    std::uint64_t begin = align(std::max(range.base.value, room.from.value));
    while (begin < end && room.size <= end - begin) {
      const auto used = overlap(begin, begin + room.size);
      if (used == used_.end()) return Gpa{begin};
      begin = align(used->second);
    }
  }
  return std::nullopt;
}

std::optional<Gpa> BootMemory::highest(const Room& room) const {
  for (auto range = map_.rbegin(); range != map_.rend(); ++range) {
    if (range->kind != MemoryRange::Kind::Usable) continue;
    const std::uint64_t from = std::max(range->base.value, room.from.value);
    std::uint64_t end = std::min(range->base.value + range->size, room.limit.value);
    while (end > from && room.size <= end - from) {
      const std::uint64_t begin = (end - room.size) / room.alignment * room.alignment;
      if (begin < from) break;
      const auto used = overlap(begin, begin + room.size);
      if (used == used_.end()) return Gpa{begin};
      end = used->first;
    }
  }
  return std::nullopt;
}

Result<Gpa> BootMemory::place_low(std::uint64_t size, Gpa from, std::string_view what) {
  size = page_up(size);
  const std::optional<Gpa> place = lowest({.size = size, .from = from});
  if (!place) return fail(no_room(size, what));
  use(place->value, place->value + size);
  TRY(fill(*place, {}, size));
  return *place;
}

Result<Gpa> BootMemory::place_high(std::uint64_t size, Gpa limit, std::string_view what) {
  size = page_up(size);
  const std::optional<Gpa> place = highest({.size = size, .from = {0}, .limit = limit});
  if (!place) return fail(no_room(size, what));
  use(place->value, place->value + size);
  return *place;
}

Bytes BootMemory::read(Gpa address, std::uint64_t size) const {
  return std::as_bytes(std::span(ram_.host(address, size), size));
}

void BootMemory::write(Gpa address, Bytes content) {
  if (content.empty()) return;
  std::memcpy(ram_.host(address, content.size()), content.data(), content.size());
}

}  // namespace ringside::machine

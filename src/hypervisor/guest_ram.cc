#include "hypervisor/guest_ram.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace ringside::hypervisor {
namespace {

constexpr std::uint64_t kLegacyHole = 0xa0000, kLegacyHoleEnd = 0xc0000;
constexpr std::uint64_t kLowEnd = 3ull << 30, kHighStart = 4ull << 30;

Result<std::uint8_t*> map_zeroed(std::uint64_t size) {
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return fail(Error::from_errno(fmt::format("cannot map {} bytes of guest memory", size), errno));
  }
  return static_cast<std::uint8_t*>(address);
}

}  // namespace

Result<GuestRam> GuestRam::create(std::uint64_t size) {
  if (size % kPageSize != 0 || size < (1u << 20)) {
    return fail(ErrorCode::BadRequest, "guest memory must be at least 1M and whole 4 KiB pages");
  }
  GuestRam ram;
  ram.size_ = size;
  std::uint8_t* host = TRY(map_zeroed(size));
  ram.mappings_.push_back({host, size});
  const std::uint64_t low_end = std::min(size, kLowEnd);
  // The largest slot comes first because find() meets it first.
  ram.slots_.push_back({{kLegacyHoleEnd}, low_end - kLegacyHoleEnd, host + kLegacyHoleEnd, false});
  ram.slots_.push_back({{0}, kLegacyHole, host, false});
  if (size > kLowEnd) ram.slots_.push_back({{kHighStart}, size - kLowEnd, host + kLowEnd, false});
  return ram;
}

GuestRam::GuestRam(GuestRam&& other) noexcept
    : size_(other.size_), slots_(std::move(other.slots_)), mappings_(std::move(other.mappings_)),
      untouched_(std::move(other.untouched_)) {
  other.mappings_.clear();
}

GuestRam::~GuestRam() {
  for (const Mapping& mapping : mappings_) ::munmap(mapping.address, mapping.size);
}

std::span<const std::byte> GuestRam::view(Gpa address, std::uint64_t size) const {
  const RamSlot* slot = find(address, 1);
  if (slot == nullptr) return {};
  const std::uint64_t offset = address.value - slot->base.value;
  const std::span memory(reinterpret_cast<const std::byte*>(slot->host) + offset,
                         std::min(size, slot->size - offset));
  // Below this a fault costs less than to ask.
  constexpr std::size_t kWorthAsking = 16 * kPageSize;
  if (memory.size() < kWorthAsking) return memory;
  // Small enough to stay in the processor's cache.
  static constexpr std::array<std::byte, 64 * kPageSize> kZeros{};
  if (address.value % kPageSize != 0) return memory.first(kPageSize - address.value % kPageSize);
  const std::size_t untouched = untouched_.prefix(memory);
  if (untouched != 0) return std::span(kZeros).first(std::min(untouched, kZeros.size()));
  return memory.first(std::min(memory.size(), UntouchedPages::kMost));
}

Result<void> GuestRam::add_rom(Gpa base, std::span<const std::byte> image) {
  if (base.value % kPageSize != 0) return fail(ErrorCode::BadRequest, "ROM must start on a page");
  const std::uint64_t size = (image.size() + kPageSize - 1) & kPageMask;
  std::uint8_t* host = TRY(map_zeroed(size));
  std::memcpy(host, image.data(), image.size());
  mappings_.push_back({host, size});
  slots_.push_back({base, size, host, true});
  return {};
}

}  // namespace ringside::hypervisor

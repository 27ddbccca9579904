#include "platform/guest_ram.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/memory_file.h"

namespace ringside::hypervisor {
namespace {

constexpr std::uint64_t kLegacyHole = 0xa0000, kLegacyHoleEnd = 0xc0000;
constexpr std::uint64_t kHighStart = 4ull << 30;

std::uint64_t low_end_of(std::uint64_t size, GuestRam::Layout layout) {
  constexpr std::uint64_t kUsual = 3ull << 30, kMostForFirmware = 2816u << 20, kThen = 2ull << 30;
  if (layout == GuestRam::Layout::UpTo3GiB) return std::min(size, kUsual);
  return size <= kMostForFirmware ? size : kThen;
}

Result<std::uint8_t*> map_zeroed(std::uint64_t size) {
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return fail(
        Error::from_errno(fmt::format("cannot map {} MiB of guest memory", size >> 20), errno));
  }
  return static_cast<std::uint8_t*>(address);
}

}  // namespace

Result<GuestRam> GuestRam::create(std::uint64_t size, Layout layout) {
  if (size % kPageSize != 0 || size < (1u << 20)) {
    return fail(ErrorCode::BadRequest, "guest memory must be at least 1M and whole 4 KiB pages");
  }
  GuestRam ram;
  ram.size_ = size;
  std::uint8_t* host = TRY(map_zeroed(size));
  ram.mappings_.push_back({host, size});
  // A guest fills its memory sooner or later, and the host has a fault for each page of its own.
  // Where there are no large pages it gets small ones.
  (void)::madvise(host, size, MADV_HUGEPAGE);
  const std::uint64_t low_end = low_end_of(size, layout);
  ram.low_end_ = {low_end};
  // The largest slot comes first because find() meets it first.
  ram.slots_.push_back({{kLegacyHoleEnd}, low_end - kLegacyHoleEnd, host + kLegacyHoleEnd, false});
  ram.slots_.push_back({{0}, kLegacyHole, host, false});
  if (size > low_end) ram.slots_.push_back({{kHighStart}, size - low_end, host + low_end, false});
  return ram;
}

GuestRam::GuestRam(GuestRam&& other) noexcept
    : size_(other.size_),
      low_end_(other.low_end_),
      slots_(std::move(other.slots_)),
      mappings_(std::move(other.mappings_)),
      twice_(std::move(other.twice_)),
      untouched_(std::move(other.untouched_)) {
  other.mappings_.clear();
}

GuestRam::~GuestRam() {
  for (const Mapping& mapping : mappings_)
    ::munmap(mapping.address, mapping.size);
}

std::span<const std::byte> GuestRam::view(Gpa address, std::uint64_t size) const {
  const RamSlot* slot = find(address, 1);
  if (slot == nullptr) return {};
  const std::uint64_t offset = address.value - slot->base.value;
  std::span memory(reinterpret_cast<const std::byte*>(slot->host) + offset,
                   std::min(size, slot->size - offset));
  // Whether a page has been touched shows only where it has one place.
  for (const std::span<const std::byte> twice : twice_) {
    const std::byte* const end = twice.data() + twice.size();
    if (memory.data() >= twice.data() && memory.data() < end)
      return memory.first(std::min<std::size_t>(memory.size(), end - memory.data()));
    if (twice.data() > memory.data() && twice.data() < memory.data() + memory.size())
      memory = memory.first(static_cast<std::size_t>(twice.data() - memory.data()));
  }
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

Result<std::uint8_t*> GuestRam::map_again(Gpa base, std::uint64_t size) {
  std::uint8_t* first = host(base, size);
  if (first == nullptr || base.value % kPageSize != 0 || size % kPageSize != 0)
    return fail(ErrorCode::BadAddress, "there is no memory to map again");
  const Result<Fd> memory = create_memory_file("guest memory", size);
  if (!memory) {
    return fail(memory.error().code(),
                "cannot make memory that is mapped twice: " + memory.error().text());
  }
  constexpr int kRights = PROT_READ | PROT_WRITE;
  void* again = ::mmap(nullptr, size, kRights, MAP_SHARED | MAP_NORESERVE, memory->get(), 0);
  if (again == MAP_FAILED) return fail(Error::from_errno("cannot map memory twice", errno));
  mappings_.push_back({again, size});
  auto* second = static_cast<std::uint8_t*>(again);
  static constexpr std::array<std::uint8_t, kPageSize> kZeros{};
  for (std::uint64_t at = 0; at < size; at += kPageSize) {
    if (std::memcmp(first + at, kZeros.data(), kPageSize) != 0)
      std::memcpy(second + at, first + at, kPageSize);
  }
  if (::mmap(first, size, kRights, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, memory->get(), 0) ==
      MAP_FAILED)
    return fail(Error::from_errno("cannot map memory twice", errno));
  twice_.push_back({reinterpret_cast<const std::byte*>(first), size});
  return second;
}

// RAM of up to 3 GiB is mapped in one piece with the hole in it.
void GuestRam::add_text_memory() {
  std::uint8_t* const start = host({0}, 1);
  slots_.push_back({kTextMemory, kTextMemorySize, start + kTextMemory.value, false});
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

#include "time/record/memory_sums.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "base/int128.h"
#include "base/state_hash.h"

namespace ringside::time {
namespace {

constexpr std::uint64_t kPrime = PageSum::kPrime;

std::uint64_t difference(std::uint64_t a, std::uint64_t b) {
  return a >= b ? a - b : a + kPrime - b;
}

std::uint64_t sum(std::uint64_t a, std::uint64_t b) { return difference(a, kPrime - b); }

std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  const Unsigned128 wide = static_cast<Unsigned128>(a) * b;
  const std::uint64_t folded =
      static_cast<std::uint64_t>(wide & kPrime) + static_cast<std::uint64_t>(wide >> 61);
  return folded >= kPrime ? folded - kPrime : folded;
}

// By Fermat: a number to the power of the prime less two.
std::uint64_t inverse(std::uint64_t value) {
  std::uint64_t result = 1;
  for (std::uint64_t exponent = kPrime - 2; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = product(result, value);
    value = product(value, value);
  }
  return result;
}

// From 1 to kPrime - 1. Memory is the limit: what is hashed next is fetched meanwhile. A
// multiplication for 16 bytes, because with StateHasher's two for eight a recorded boot took half a
// percent longer. The rotation makes each of the 64 places in a lane count otherwise than the
// others.
std::uint64_t figure_of_content(const std::uint8_t* content, const std::uint8_t* next) {
  constexpr std::size_t kLanes = 4;
  constexpr std::array<std::uint64_t, 2 * kLanes> kKeys{
      0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
      0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53, 0xaef17502108ef2d9, 0xe7037ed1a0b428db};
  std::array<std::uint64_t, kLanes> lanes{};
  for (std::size_t at = 0; at < kPageSize; at += 2 * sizeof(std::uint64_t) * kLanes) {
    std::array<std::uint64_t, 2 * kLanes> words;
    std::memcpy(words.data(), content + at, sizeof words);
    __builtin_prefetch(next + at);
    for (std::size_t i = 0; i < kLanes; ++i) {
      const Unsigned128 product = static_cast<Unsigned128>(words[2 * i] ^ kKeys[2 * i]) *
                                  (words[2 * i + 1] ^ kKeys[2 * i + 1]);
      lanes[i] = std::rotl(lanes[i], 27) +
                 (static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64));
    }
  }
  StateHasher hasher;
  hasher.field(lanes);
  return 1 + hasher.value() % (kPrime - 1);
}

std::uint64_t figure_of_zeros() {
  static const std::uint64_t figure =
      figure_of_content(std::array<std::uint8_t, kPageSize>{}.data(), nullptr);
  return figure;
}

enum class Of : std::uint8_t { Ram, All };
std::uint64_t end_of(const hypervisor::GuestRam& ram, Of what) {
  std::uint64_t end = 0;
  for (const hypervisor::RamSlot& slot : ram.slots()) {
    if (what == Of::All || !slot.read_only) end = std::max(end, slot.base.value + slot.size);
  }
  return end / kPageSize;
}

}  // namespace

void PageSum::change(std::uint64_t page, std::uint64_t from, std::uint64_t to) {
  const std::uint64_t by = difference(to, from);
  plain = sum(plain, by);
  weighted = sum(weighted, product(by, page));
}

std::uint64_t differing_page(const PageSum& one, const PageSum& other) {
  return product(difference(one.weighted, other.weighted),
                 inverse(difference(one.plain, other.plain)));
}

std::uint64_t pages_in_part(const hypervisor::GuestRam& ram) {
  return (end_of(ram, Of::Ram) + kMemoryParts - 1) / kMemoryParts;
}

MemorySums::MemorySums(hypervisor::Rewindable& engine, const hypervisor::GuestRam& ram)
    : engine_(engine),
      ram_(ram),
      pages_in_part_(pages_in_part(ram)),
      figures_((end_of(ram, Of::All) + kChunk - 1) / kChunk) {
  find_untouched();
  engine_.keep_pages(*this);
}

// To read what nobody has touched would cost the host a fault for each page.
void MemorySums::find_untouched() {
  untouched_.resize(figures_.size() * kChunk / kBlock);
  for (const hypervisor::RamSlot& slot : ram_.slots()) {
    for (std::uint64_t offset = 0; offset < slot.size; offset += kBlock * kPageSize) {
      const Gpa at = slot.base + offset;
      const auto* in_place = reinterpret_cast<const std::byte*>(slot.host) + offset;
      const std::span<const std::byte> seen = ram_.view(at, kBlock * kPageSize);
      untouched_[at.value / kPageSize / kBlock] = at.value / kPageSize % kBlock == 0 &&
                                                  seen.size() == kBlock * kPageSize &&
                                                  seen.data() != in_place;
    }
  }
}

MemorySums::~MemorySums() { engine_.forget_keeper(*this); }

std::uint64_t& MemorySums::figure_of(std::uint64_t page) {
  std::unique_ptr<Chunk>& chunk = figures_[page / kChunk];
  if (chunk == nullptr) chunk = std::make_unique<Chunk>();
  return (*chunk)[page % kChunk];
}

void MemorySums::keep(Gpa page, const std::uint8_t* content) {
  const std::uint64_t number = page.value / kPageSize;
  std::uint64_t& figure = figure_of(number);
  if (figure == 0)
    figure = untouched_[number / kBlock] ? figure_of_zeros() : figure_of_content(content, content);
  changed_.push_back(number);
}

// A page may be told of twice, and then its second change is none.
void MemorySums::take_changes() {
  const auto content = [&](std::size_t i) {
    const std::size_t which = std::min(i, changed_.size() - 1);
    return ram_.host(Gpa{changed_[which] * kPageSize}, kPageSize);
  };
  for (std::size_t i = 0; i < changed_.size(); ++i) {
    const std::uint64_t number = changed_[i];
    std::uint64_t& figure = figure_of(number);
    const std::uint64_t now = figure_of_content(content(i), content(i + 1));
    const std::size_t part = std::min<std::size_t>(number / pages_in_part_, kMemoryParts - 1);
    parts_[part].change(number, figure, now);
    figure = now;
  }
  changed_.clear();
}

const MemoryParts& MemorySums::take() {
  take_changes();
  engine_.begin_interval(*this);
  return parts_;
}

void MemorySums::forget_content() {
  take_changes();
  std::fill(figures_.begin(), figures_.end(), nullptr);
  std::fill(untouched_.begin(), untouched_.end(), false);
  engine_.begin_interval(*this);
}

}  // namespace ringside::time

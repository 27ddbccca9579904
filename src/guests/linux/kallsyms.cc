// scripts/kallsyms.c of Linux writes the tables. Since 4.6 they are, each aligned to a word,
//   before 6.4: offsets, relative_base, num_syms, names, markers, token_table, token_index
//   since  6.4: num_syms, names, markers, token_table, token_index, offsets, relative_base
#include "guests/linux/kallsyms.h"

#include <algorithm>
#include <cstring>

#include "guests/linux/kernel_memory.h"

namespace ringside::guests {
namespace {

constexpr std::size_t kTokens = 256, kMarked = 256;
// The tokens of digits are the digits themselves, because many names have them.
constexpr std::string_view kDigits("0\0001\0002\0003\0004\0005\0006\0007\0008\0009\0", 20);
// A table with its index has no more.
constexpr std::size_t kLargestTokens = 16 << 10;

template <typename T>
std::optional<T> value_at(std::span<const std::byte> image, std::size_t at) {
  T value;
  if (at > image.size() || image.size() - at < sizeof value) return std::nullopt;
  std::memcpy(&value, image.data() + at, sizeof value);
  return value;
}

}  // namespace

Result<Kallsyms> Kallsyms::find(std::span<const std::byte> image, Gva base,
                                const KernelSpace& space) {
  Kallsyms found(space);
  // Real tables take less than a tenth of it.
  found.budget_ = 1'000'000 + image.size() / 4;
  const std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
  for (std::size_t at = text.find(kDigits); at != text.npos; at = text.find(kDigits, at + 1)) {
    // Before the token of '0' are 48 others, each with a NUL at its end.
    std::size_t first = at, ends = 0;
    const std::size_t bound = at - std::min(at, kLargestTokens);
    while (first > bound && (text[first - 1] != '\0' || ends++ < '0'))
      --first;
    // The table begins at the first multiple of a word after what comes before it, which may end
    // with zeros.
    for (std::size_t from = found.aligned(first); from <= at && from < first + kLongestName;
         from += found.alignment()) {
      const auto end = found.take_tokens(image, from);
      if (!end || !found.take_names(image, from, *end)) continue;
      found.tokens_at_ = base + from;
      return found;
    }
  }
  return fail(ErrorCode::NotFound, "the kernel's image has no table of its symbols (kallsyms)");
}

std::optional<std::uint64_t> Kallsyms::word_at(std::span<const std::byte> image,
                                               std::size_t at) const {
  if (space_.word == Word::Bits32) return value_at<std::uint32_t>(image, at);
  return value_at<std::uint64_t>(image, at);
}

bool Kallsyms::spend(std::size_t steps) {
  budget_ -= std::min(budget_, steps);
  return budget_ != 0;
}

// The end of tokens and index; nothing where there are none.
std::optional<std::size_t> Kallsyms::take_tokens(std::span<const std::byte> image, std::size_t at) {
  const std::string_view text(reinterpret_cast<const char*>(image.data()),
                              std::min(image.size(), at + kLargestTokens));
  std::uint16_t starts[kTokens];
  std::size_t end = at;
  if (!spend(kTokens)) return std::nullopt;
  for (std::uint16_t& start : starts) {
    start = static_cast<std::uint16_t>(end - at);
    const std::size_t stop = text.find('\0', end);
    if (stop == text.npos) return std::nullopt;
    end = stop + 1;
  }
  const std::size_t index = aligned(end);
  if (index > image.size() || image.size() - index < sizeof starts) return std::nullopt;
  if (std::memcmp(image.data() + index, starts, sizeof starts) != 0) return std::nullopt;
  tokens_.assign(image.begin() + static_cast<std::ptrdiff_t>(at),
                 image.begin() + static_cast<std::ptrdiff_t>(index + sizeof starts));
  words_.assign(std::begin(starts), std::end(starts));
  return index + sizeof starts;
}

// Names are found from their markers, which rise from 0 and end before the tokens, or before a
// table that 6.2 and 6.3 have between.
bool Kallsyms::take_names(std::span<const std::byte> image, std::size_t tokens,
                          std::size_t token_end) {
  constexpr std::size_t kMostBefore = kMostSymbols / kMarked * 4 + std::size_t{3} * kMostSymbols;
  constexpr std::size_t kMostTries = 64;
  const std::size_t bound = tokens - std::min(tokens, kMostBefore);
  std::size_t tries = 0;
  for (std::size_t at = tokens & ~std::size_t{3}; at >= bound + 4 && tries < kMostTries;) {
    at -= 4;
    if (!spend(1)) return false;
    if (at % alignment() != 0 || *value_at<std::uint32_t>(image, at) != 0) continue;
    std::vector<std::uint32_t> markers = {0};
    while (at + 4 * markers.size() + 4 <= tokens) {
      const std::uint32_t next = *value_at<std::uint32_t>(image, at + 4 * markers.size());
      if (next <= markers.back() || next - markers.back() > kMarked * (kLongestName + 2)) break;
      markers.push_back(next);
    }
    if (!spend(markers.size())) return false;
    if (markers.size() < 2) continue;
    ++tries;
    // What follows the markers may look like more of them.
    for (int spare = 0; spare < 3 && markers.size() >= 2; ++spare, markers.pop_back()) {
      if (take_names_before(image, at, markers, token_end)) return true;
    }
  }
  return false;
}

bool Kallsyms::take_names_before(std::span<const std::byte> image, std::size_t marks,
                                 const std::vector<std::uint32_t>& markers, std::size_t token_end) {
  const std::size_t last = markers.back();
  if (marks < last + 2 * alignment()) return false;
  // After the last marker are 1 to 256 names more.
  std::size_t at = (marks - last) & ~(alignment() - 1);
  const std::size_t bound = at - std::min(at, kMarked * (kLongestName + 2));
  for (; at >= std::max(bound, 2 * alignment()); at -= alignment()) {
    if (!spend(1)) return false;
    const auto count = word_at(image, at - alignment());
    if (!count || *count == 0 || *count > kMostSymbols) continue;
    if ((*count + kMarked - 1) / kMarked != markers.size()) continue;
    // To copy the names, and to compare the addresses.
    if (!spend((marks - at) / alignment() + *count)) return false;
    count_ = static_cast<std::uint32_t>(*count);
    names_.assign(image.begin() + static_cast<std::ptrdiff_t>(at),
                  image.begin() + static_cast<std::ptrdiff_t>(marks));
    markers_ = markers;
    if (names_are_marked() && take_addresses(image, at, token_end)) return true;
  }
  return false;
}

bool Kallsyms::names_are_marked() {
  std::size_t at = 0;
  for (std::uint32_t index = 0; index < count_; ++index) {
    if (index % kMarked == 0 && at != markers_[index / kMarked]) return false;
    const auto next = next_name(at, nullptr);
    if (!next || !spend(1)) return false;
    at = *next;
  }
  return true;
}

bool Kallsyms::take_addresses(std::span<const std::byte> image, std::size_t names,
                              std::size_t token_end) {
  const std::size_t size = std::size_t{4} * count_;
  const std::size_t after = aligned(token_end);
  if (take_offsets(image, after, aligned(after + size))) return true;
  const std::size_t before = aligned(size) + 2 * alignment();
  return names >= before && take_offsets(image, names - before, names - 2 * alignment());
}

bool Kallsyms::take_offsets(std::span<const std::byte> image, std::size_t at, std::size_t base_at) {
  const auto base = word_at(image, base_at);
  if (!base || *base < space_.image_map.value) return false;
  offsets_.resize(count_);
  std::memcpy(offsets_.data(), image.data() + at, std::size_t{4} * count_);
  relative_base_ = *base;
  const auto negative =
      std::count_if(offsets_.begin(), offsets_.end(), [](auto o) { return o < 0; });
  // Only 64-bit kernels have addresses of each CPU's own memory there, which begins at zero.
  has_absolute_ =
      space_.word == Word::Bits64 && static_cast<std::size_t>(negative) > offsets_.size() / 2;
  // They are in the order of addresses.
  for (std::uint32_t index = 1; index < count_; ++index)
    if (value_of(index) < value_of(index - 1)) return false;
  return true;
}

// The index of the next name; nothing where this one has no end.
std::optional<std::size_t> Kallsyms::next_name(std::size_t at, std::string* name) const {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(names_[i]); };
  if (at >= names_.size()) return std::nullopt;
  std::size_t length = byte(at++);
  if ((length & 0x80) != 0) {
    if (at >= names_.size()) return std::nullopt;
    length = (length & 0x7f) | byte(at++) << 7;
  }
  if (length == 0 || names_.size() - at < length) return std::nullopt;
  const std::size_t end = at + length;
  if (name == nullptr) return end;
  name->clear();
  for (; at < end && name->size() < kLongestName; ++at)
    *name += reinterpret_cast<const char*>(tokens_.data()) + words_[byte(at)];
  // Its first character is the symbol's type.
  if (!name->empty()) name->erase(0, 1);
  return end;
}

std::uint64_t Kallsyms::value_of(std::uint32_t index) const {
  const std::int32_t offset = offsets_[index];
  if (!has_absolute_) return relative_base_ + static_cast<std::uint32_t>(offset);
  if (offset >= 0) return static_cast<std::uint64_t>(offset);
  return relative_base_ - 1 - static_cast<std::uint64_t>(static_cast<std::int64_t>(offset));
}

std::vector<std::optional<Gva>> Kallsyms::addresses(std::span<const std::string_view> names) const {
  std::vector<std::optional<Gva>> result(names.size());
  std::size_t at = 0, missing = names.size();
  std::string name;
  for (std::uint32_t index = 0; index < count_ && missing != 0; ++index) {
    at = next_name(at, &name).value_or(names_.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (result[i] || names[i] != name) continue;
      result[i] = Gva{value_of(index)};
      --missing;
    }
  }
  return result;
}

std::optional<Gva> Kallsyms::address(std::string_view name) const {
  return addresses(std::span(&name, 1)).front();
}

std::optional<Kallsyms::Place> Kallsyms::place_of(Gva address) const {
  // The first symbol for which that is so; they are in the order of addresses.
  const auto first = [this](auto&& is_past) {
    std::uint32_t low = 0, high = count_;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (is_past(value_of(middle))) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  };
  const std::uint32_t after = first([&](std::uint64_t value) { return value > address.value; });
  if (after == 0) return std::nullopt;
  const std::uint64_t here = value_of(after - 1);
  if (here < space_.image_map.value) return std::nullopt;
  // Of several at an address the first: the others are other names for it.
  const std::uint32_t best = first([&](std::uint64_t value) { return value >= here; });
  std::size_t at = markers_[best / kMarked];
  Place place;
  for (std::uint32_t index = best & ~std::uint32_t{kMarked - 1}; index <= best; ++index)
    at = next_name(at, &place.name).value_or(names_.size());
  place.name = printable(place.name);
  place.offset = address.value - here;
  return place;
}

}  // namespace ringside::guests

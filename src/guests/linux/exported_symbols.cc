// include/linux/export.h: struct kernel_symbol is three words of 32 bits, for value, name and
// namespace: distances from each word itself (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS), or addresses as
// 32-bit kernels had them before.
#include "guests/linux/exported_symbols.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

namespace ringside::guests {
namespace {

using Symbols = std::map<std::string, Gva, std::less<>>;

constexpr std::size_t kEntry = 12, kNameAt = 4, kMostEntries = 65'536, kLongestName = 128;
// Fewer are no table.
constexpr std::size_t kFewestEntries = 4;
// Linkers let a name be the end of another's.
constexpr std::string_view kAnchor("init_task\0", 10);
// The anchor's text may be there several times, and each is searched for by all of the image.
constexpr unsigned kMostAnchors = 8;

enum class Form { Distances, Addresses };

class Table {
 public:
  Table(std::span<const std::byte> image, Gva base, Word word, Form form)
      : image_(image), base_(base), word_(word), form_(form) {}

  // What the word at this place of the image leads to.
  std::uint64_t target(std::size_t at) const {
    std::int32_t value = 0;
    std::memcpy(&value, image_.data() + at, sizeof value);
    const std::uint64_t from = form_ == Form::Distances ? base_.value + at : 0;
    const std::uint64_t target = from + static_cast<std::uint64_t>(std::int64_t{value});
    return word_ == Word::Bits64 ? target : target & 0xffffffff;
  }
  // Of the entry at this place; empty where none can be.
  std::string_view name(std::size_t at) const {
    if (at > image_.size() || image_.size() - at < kEntry) return {};
    const std::uint64_t where = target(at + kNameAt) - base_.value;
    if (where >= image_.size()) return {};
    const std::string_view text(reinterpret_cast<const char*>(image_.data()) + where,
                                std::min<std::size_t>(kLongestName, image_.size() - where));
    const std::size_t end = text.find('\0');
    return end == text.npos ? std::string_view() : text.substr(0, end);
  }

 private:
  std::span<const std::byte> image_;
  Gva base_;
  Word word_;
  Form form_;
};

Symbols entries_around(const Table& table, std::size_t at) {
  Symbols found;
  const auto take = [&](std::size_t place) {
    found.emplace(table.name(place), Gva{table.target(place)});
  };
  take(at);
  // Linkers put them in the order of their names.
  std::size_t first = at, last = at;
  while (first >= kEntry && found.size() < kMostEntries) {
    const std::string_view before = table.name(first - kEntry);
    if (before.empty() || before >= table.name(first)) break;
    take(first -= kEntry);
  }
  while (found.size() < kMostEntries && table.name(last + kEntry) > table.name(last))
    take(last += kEntry);
  return found;
}

Symbols find_table(std::span<const std::byte> image, const Table& table, std::uint64_t name) {
  for (std::size_t entry = 0; entry + kEntry <= image.size(); entry += 4) {
    if (table.target(entry + kNameAt) != name) continue;
    Symbols found = entries_around(table, entry);
    if (found.size() >= kFewestEntries) return found;
  }
  return {};
}

}  // namespace

Symbols exported_symbols(std::span<const std::byte> image, Gva base, Word word) {
  const std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
  unsigned tries = 0;
  for (std::size_t at = text.find(kAnchor); at != text.npos && tries++ < kMostAnchors;
       at = text.find(kAnchor, at + 1)) {
    for (const Form form : {Form::Distances, Form::Addresses}) {
      if (form == Form::Addresses && word == Word::Bits64) continue;
      const Table table(image, base, word, form);
      Symbols found = find_table(image, table, base.value + at);
      if (!found.empty()) return found;
    }
  }
  return {};
}

}  // namespace ringside::guests

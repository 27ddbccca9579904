// The table of all symbols that a Linux kernel keeps of itself for its backtraces (kallsyms):
// names, compressed by a table of 256 tokens, and addresses. It is found in the kernel's image by
// its shape, without symbols and without the kernel's help.
//
// Guests lie: every size and every offset is checked against the bytes that there are, and a name
// has an end. Values; made once and not changed afterwards, so that any thread may look.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guests/linux/kernel_image.h"
#include "ringside/types.h"

namespace ringside::guests {

class Kallsyms {
 public:
  // `image`: the kernel's image as it lies in memory, which begins at this address.
  static Result<Kallsyms> find(std::span<const std::byte> image, Gva base,
                               const KernelSpace& space);

  std::uint32_t count() const { return count_; }
  // The first symbol of each of these names, in their order; one pass over all names. Symbols of
  // memory that each CPU has its own of are offsets into that.
  std::vector<std::optional<Gva>> addresses(std::span<const std::string_view> names) const;
  std::optional<Gva> address(std::string_view name) const;
  // The address of the last one.
  Gva last() const { return Gva{value_of(count_ - 1)}; }
  // The last symbol at or before an address.
  struct Place {
    std::string name;
    std::uint64_t offset = 0;
  };
  std::optional<Place> place_of(Gva address) const;

  // Where the tables lie in memory, and what they say of themselves: the same bytes there mean that
  // it is still the same kernel.
  Gva tokens_at() const { return tokens_at_; }
  std::span<const std::byte> tokens() const { return tokens_; }

 private:
  // Longer names than Linux allows are no names (KSYM_NAME_LEN).
  static constexpr std::size_t kLongestName = 512;
  static constexpr std::uint32_t kMostSymbols = 4'000'000;

  explicit Kallsyms(const KernelSpace& space) : space_(space) {}
  std::size_t alignment() const { return size_of(space_.word); }
  std::size_t aligned(std::size_t at) const { return (at + alignment() - 1) & ~(alignment() - 1); }
  std::optional<std::uint64_t> word_at(std::span<const std::byte> image, std::size_t at) const;
  bool spend(std::size_t steps);
  std::optional<std::size_t> take_tokens(std::span<const std::byte> image, std::size_t at);
  bool take_names(std::span<const std::byte> image, std::size_t tokens, std::size_t token_end);
  bool take_names_before(std::span<const std::byte> image, std::size_t marks,
                         const std::vector<std::uint32_t>& markers, std::size_t token_end);
  bool names_are_marked();
  bool take_addresses(std::span<const std::byte> image, std::size_t names, std::size_t token_end);
  bool take_offsets(std::span<const std::byte> image, std::size_t at, std::size_t base_at);
  std::optional<std::size_t> next_name(std::size_t at, std::string* name) const;
  std::uint64_t value_of(std::uint32_t index) const;

  KernelSpace space_;
  Gva tokens_at_;
  std::vector<std::byte> tokens_;     // as they lie in memory, with their index
  std::vector<std::uint16_t> words_;  // where each of the 256 begins in tokens_
  std::vector<std::byte> names_;
  std::vector<std::uint32_t> markers_;  // of each 256th name
  std::vector<std::int32_t> offsets_;
  std::uint64_t relative_base_ = 0;
  bool has_absolute_ = false;  // offsets that are not negative are addresses themselves
  std::uint32_t count_ = 0;
  // What of the search's work is left: memory full of almost right tables is not gone through. The
  // search is one piece of somebody's request.
  std::size_t budget_ = 0;
};

}  // namespace ringside::guests

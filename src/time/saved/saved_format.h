// The file of a saved machine, byte for byte:
//
//   header        magic, version of the format, the description's size and hash
//   description   SavedOptions
//   chunks        guest memory (saved_pages.h), in the order of addresses, one after the other
//   state         CPUs and devices as their visitors show them
//   index         an entry for each chunk
//   trailer       where state and index are, their hashes, one of header and trailer, and magic
//
// Numbers are little-endian. Every byte counts for a hash, so that a file that was cut or has
// changed is noticed. The hashes are not cryptographic: a file that somebody has made up can have
// them right, and so nothing in it is believed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/file_kind.h"
#include "base/state_hash.h"
#include "time/saved/saved_pages.h"

namespace ringside::time {

// Another one also where what the visitors show is another.
inline constexpr std::uint32_t kSavedVersion = 11;
inline constexpr std::array<char, 16> kSavedMagic = [] {
  std::array<char, 16> magic{};
  constexpr std::string_view kBeginning = beginning_of(FileKind::SavedMachine);
  static_assert(kBeginning.size() == magic.size());
  std::copy(kBeginning.begin(), kBeginning.end(), magic.begin());
  return magic;
}();

struct SavedHeader {
  std::array<char, 16> magic = kSavedMagic;
  std::uint32_t version = kSavedVersion;
  std::uint32_t description_size = 0;
  std::uint64_t description_hash = 0;
};
static_assert(std::has_unique_object_representations_v<SavedHeader>);

struct SavedTrailer {
  std::uint64_t state_at = 0, state_size = 0, state_hash = 0;
  std::uint64_t chunks = 0, index_hash = 0;
  std::uint64_t hash = 0;  // of the header and of what stands before this one
  std::array<char, 16> magic = kSavedMagic;
};
static_assert(std::has_unique_object_representations_v<SavedTrailer>);

inline std::uint64_t saved_hash(std::span<const std::byte> bytes) {
  StateHasher hasher;
  hasher.add(bytes);
  return hasher.value();
}

inline std::uint64_t hash_of_frame(const SavedHeader& header, const SavedTrailer& trailer) {
  StateHasher hasher;
  hasher.add(std::as_bytes(std::span(&header, 1)));
  hasher.add(std::as_bytes(std::span(&trailer, 1)).first(offsetof(SavedTrailer, hash)));
  return hasher.value();
}

}  // namespace ringside::time

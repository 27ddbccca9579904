#include "share/qid.h"

#include <dirent.h>

namespace ringside::share {
namespace {

constexpr unsigned kPrefixBits = 16;
constexpr unsigned kInodeBits = 64 - kPrefixBits;
constexpr std::uint64_t kMostPrefixes = std::uint64_t{1} << kPrefixBits;

std::uint8_t type_of(mode_t mode) {
  if (S_ISDIR(mode)) return Qid::kDirectory;
  return S_ISLNK(mode) ? Qid::kSymbolicLink : Qid::kFile;
}

std::uint32_t version_of(const timespec& changed) {
  constexpr std::uint64_t kNanoseconds = 1'000'000'000;
  const std::uint64_t time = static_cast<std::uint64_t>(changed.tv_sec) * kNanoseconds +
                             static_cast<std::uint64_t>(changed.tv_nsec);
  return static_cast<std::uint32_t>(time ^ time >> 32);
}

}  // namespace

Outcome<std::uint64_t> QidNumbers::number(dev_t device, ino_t inode) {
  const std::pair<dev_t, std::uint64_t> key{device, inode >> kInodeBits};
  auto found = prefixes_.find(key);
  if (found == prefixes_.end()) {
    if (prefixes_.size() >= kMostPrefixes) return refuse(ENFILE);
    found = prefixes_.emplace(key, prefixes_.size()).first;
  }
  constexpr std::uint64_t kInode = (std::uint64_t{1} << kInodeBits) - 1;
  return found->second << kInodeBits | (inode & kInode);
}

Outcome<Qid> QidNumbers::of(const struct stat& status) {
  return Qid{type_of(status.st_mode), version_of(status.st_mtim),
             ATTEMPT(number(status.st_dev, status.st_ino))};
}

Outcome<Qid> QidNumbers::of_entry(dev_t device, ino_t inode, unsigned char entry_type) {
  return Qid{type_of(DTTOIF(entry_type)), 0, ATTEMPT(number(device, inode))};
}

}  // namespace ringside::share

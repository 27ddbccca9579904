// What the protocol knows a file by: its kind, a version that changes with what is in it, and a
// number that no other file of the share has.
//
// The number is the inode's where the file is in the file system of the shared folder itself, so
// that `ls -i` says the same on both sides. A folder may have others mounted in it, and their
// inodes have the same numbers: so the upper 16 bits stand for the device together with the upper
// 16 bits of the inode, which few file systems use.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <utility>

#include "share/outcome.h"

namespace ringside::share {

struct Qid {
  static constexpr std::uint8_t kDirectory = 0x80, kSymbolicLink = 0x02, kFile = 0;

  std::uint8_t type = kFile;
  std::uint32_t version = 0;
  std::uint64_t path = 0;
};

class QidNumbers {
 public:
  // `root`: the device of the shared folder.
  explicit QidNumbers(dev_t root) : prefixes_{{{root, 0}, 0}} {}

  // ENFILE: there are more devices than numbers for them.
  Outcome<std::uint64_t> number(dev_t device, ino_t inode);
  Outcome<Qid> of(const struct stat& status);
  // What is known of an entry of a directory: no time, so no version.
  Outcome<Qid> of_entry(dev_t device, ino_t inode, unsigned char entry_type);

 private:
  std::map<std::pair<dev_t, std::uint64_t>, std::uint64_t> prefixes_;
};

}  // namespace ringside::share

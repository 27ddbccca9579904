// A file that appears under its name when all of it is written, or never: it is written under
// another name in the same directory, and renamed. Owned by one holder, used on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace ringside {

class WholeFile {
 public:
  // `directory` is open and outlives it; `name` has no `/`. The file is its owner's alone (mode
  // 0600). Errors name `shown`.
  static Result<WholeFile> create(int directory, std::string name, std::string shown);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile();  // what is not finished goes

  Result<void> write(std::span<const std::byte> bytes);
  // At that offset, whatever was written before. Between what is written are zeros, which take no
  // room where the file system has files with holes.
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  Result<void> set_size(std::uint64_t size);
  // It takes its name, and replaces what had it. Not forced to the disk.
  Result<void> finish();

 private:
  WholeFile(int directory, std::string name, std::string shown)
      : directory_(directory), name_(std::move(name)), shown_(std::move(shown)) {}
  Error failed(int errno_value) const;

  int directory_;
  std::string name_, shown_;
  std::string temporary_;  // empty: there is none
  Fd fd_;
};

}  // namespace ringside

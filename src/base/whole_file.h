// A file that appears under its name when all of it is written, or never: it is written under
// another name in the same directory, and renamed. Owned by one holder, used on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/folder.h"
#include "base/result.h"

namespace ringside {

class WholeFile {
 public:
  // The folder outlives it, and says whether such a file may have that name.
  static Result<WholeFile> create(Folder& folder, std::string name, FileKind kind);
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
  WholeFile(Folder& folder, std::string name, Folder::NewFile file)
      : folder_(folder), name_(std::move(name)), file_(std::move(file)) {}

  Folder& folder_;
  std::string name_;
  Folder::NewFile file_;  // of number 0 once it is finished, or another's
};

}  // namespace ringside

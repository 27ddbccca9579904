// Files named on the command line. They are read in parts, and no further than somebody wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/stage.h"

namespace ringside::cli {

// The content of a file. What a file does not have (a hole in a sparse one) takes no memory.
class FileContent {
 public:
  FileContent() = default;
  // Zeros.
  static Result<FileContent> create(std::size_t size);
  explicit FileContent(std::vector<std::byte> bytes);
  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<std::byte> bytes() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  void cut(std::size_t size) { bytes_ = bytes_.first(size); }

 private:
  std::shared_ptr<void> owner_;
  std::span<std::byte> bytes_;
};

struct Reading {
  static constexpr std::uint64_t kMost = std::uint64_t{4} << 30;
  std::uint64_t most = kMost;                   // bytes
  std::string beyond = "it is larger than 4G";  // what is said of a file that has more
  // Called now and then, also while a pipe has nothing. An error gives it up.
  Meanwhile meanwhile = {};
  // Is shown the first `begins_with` bytes, or all of a shorter file. An error gives it up.
  std::size_t begins_with = 0;
  std::function<Result<void>(std::span<const std::byte>)> check_beginning = {};
};

// Without waiting; else the errno.
tl::expected<Fd, int> open_file(const std::string& path);
// The whole file. The error names `what` and the file.
Result<FileContent> read_file(const std::string& path, std::string_view what,
                              const Reading& reading = {});
// The same of one that somebody has opened without waiting, or could not for that errno.
Result<FileContent> read_open_file(tl::expected<Fd, int> file, const std::string& path,
                                   std::string_view what, const Reading& reading);

}  // namespace ringside::cli

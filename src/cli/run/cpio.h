// An archive in cpio's "newc" format, as Linux unpacks one for its first root (cpio(5); the
// kernel's driver-api/early-userspace/buffer-format). The same calls give the same bytes: every
// entry belongs to root and is of the first second of 1970.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ringside::cli {

class CpioArchive {
 public:
  // What is added; its permissions are the lower 12 bits of `mode`. Names are relative to the root,
  // and a directory comes before what is in it.
  void add_directory(std::string_view name, std::uint32_t mode = 0755);
  void add_link(std::string_view name, std::string_view target);
  // Of a device: its kind is in `mode` (S_IFCHR, S_IFBLK, S_IFIFO).
  void add_node(std::string_view name, std::uint32_t mode, std::uint32_t major,
                std::uint32_t minor);
  // A name or a content that is too long for the format is an error.
  Result<void> add_file(std::string_view name, std::uint32_t mode,
                        std::span<const std::byte> content);
  Result<void> add_file(std::string_view name, std::uint32_t mode, std::string_view content);

  std::size_t size() const { return bytes_.size(); }
  // Once, at the end.
  std::vector<std::byte> finish() &&;

 private:
  struct Device {
    std::uint32_t major = 0, minor = 0;
  };
  void add(std::string_view name, std::uint32_t mode, std::span<const std::byte> content,
           Device device);
  void append(std::string_view text);
  void align();

  std::vector<std::byte> bytes_;
  std::uint32_t inode_ = 0;  // of the last entry; each is a file of its own
};

}  // namespace ringside::cli

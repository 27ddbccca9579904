#include "cli/run/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <utility>

namespace ringside::cli {
namespace {

constexpr std::uint32_t kPermissions = 07777;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

void CpioArchive::append(std::string_view text) {
  const std::span<const std::byte> bytes = bytes_of(text);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void CpioArchive::align() { bytes_.resize((bytes_.size() + 3) & ~std::size_t{3}); }

// The magic and thirteen numbers of eight digits, the name with a zero behind it, and the content,
// each from a multiple of four on.
void CpioArchive::add(std::string_view name, std::uint32_t mode, std::span<const std::byte> content,
                      Device device) {
  constexpr std::size_t kNothing = 0;
  const std::array<std::size_t, 13> numbers = {inode_,
                                               mode,
                                               kNothing,  // user
                                               kNothing,  // group
                                               1,         // names of it
                                               kNothing,  // time
                                               content.size(),
                                               kNothing,  // the archive's device
                                               kNothing,
                                               device.major,
                                               device.minor,
                                               name.size() + 1,
                                               kNothing};  // no sum
  append("070701");
  for (const std::size_t number : numbers)
    append(fmt::format("{:08x}", number));
  append(name);
  bytes_.push_back({});
  align();
  bytes_.insert(bytes_.end(), content.begin(), content.end());
  align();
}

void CpioArchive::add_directory(std::string_view name, std::uint32_t mode) {
  ++inode_;
  add(name, S_IFDIR | (mode & kPermissions), {}, {});
}

void CpioArchive::add_link(std::string_view name, std::string_view target) {
  ++inode_;
  add(name, S_IFLNK | 0777, bytes_of(target), {});
}

void CpioArchive::add_node(std::string_view name, std::uint32_t mode, std::uint32_t major,
                           std::uint32_t minor) {
  ++inode_;
  add(name, mode, {}, {major, minor});
}

Result<void> CpioArchive::add_file(std::string_view name, std::uint32_t mode,
                                   std::span<const std::byte> content) {
  constexpr std::size_t kLongest = 0xffffffff;
  if (content.size() > kLongest) {
    return fail(ErrorCode::BadRequest,
                fmt::format("'{}' has 4 GiB or more, which an initramfs cannot hold", name));
  }
  ++inode_;
  add(name, S_IFREG | (mode & kPermissions), content, {});
  return {};
}

Result<void> CpioArchive::add_file(std::string_view name, std::uint32_t mode,
                                   std::string_view content) {
  return add_file(name, mode, bytes_of(content));
}

std::vector<std::byte> CpioArchive::finish() && {
  inode_ = 0;
  add("TRAILER!!!", 0, {}, {});
  return std::move(bytes_);
}

}  // namespace ringside::cli

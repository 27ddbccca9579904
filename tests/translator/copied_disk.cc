#include "translator/copied_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"

namespace ringside::testing {

Result<std::shared_ptr<CopiedDisk>> CopiedDisk::open(const std::string& path, bool read_only) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || status.st_size == 0)
    return fail(Error::from_errno(fmt::format("cannot read disk '{}'", path), errno));
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const content = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0);
  if (content == MAP_FAILED)
    return fail(Error::from_errno(fmt::format("cannot map disk '{}'", path), errno));
  return std::shared_ptr<CopiedDisk>(
      new CopiedDisk({static_cast<std::byte*>(content), size}, read_only));
}

CopiedDisk::~CopiedDisk() { ::munmap(content_.data(), content_.size()); }

machine::BlockBackend::Outcome CopiedDisk::read(std::uint64_t offset, std::span<std::byte> out) {
  std::memcpy(out.data(), content_.data() + offset, out.size());
  return Outcome::Done;
}

machine::BlockBackend::Outcome CopiedDisk::write(std::uint64_t offset,
                                                 std::span<const std::byte> data) {
  std::memcpy(content_.data() + offset, data.data(), data.size());
  writes_.field(offset);
  writes_.add(data);
  return Outcome::Done;
}

}  // namespace ringside::testing

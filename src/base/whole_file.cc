#include "base/whole_file.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file_at.h"
#include "base/write_all.h"

namespace ringside {

Result<WholeFile> WholeFile::create(Folder& folder, std::string name, FileKind kind) {
  Folder::NewFile file = TRY(folder.create(name, kind));
  return WholeFile(folder, std::move(name), std::move(file));
}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : folder_(other.folder_),
      name_(std::move(other.name_)),
      file_{std::move(other.file_.fd), std::exchange(other.file_.number, 0)} {}

WholeFile::~WholeFile() {
  if (file_.number != 0) folder_.discard(file_.number);
}

Result<void> WholeFile::write(std::span<const std::byte> bytes) {
  if (write_all(file_.fd, bytes)) return {};
  return fail(cannot_write(name_, errno));
}

Result<void> WholeFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (ringside::write_at(file_.fd, offset, bytes)) return {};
  return fail(cannot_write(name_, errno));
}

Result<void> WholeFile::set_size(std::uint64_t size) {
  if (::ftruncate(file_.fd.get(), static_cast<off_t>(size)) != 0)
    return fail(cannot_write(name_, errno));
  return {};
}

Result<void> WholeFile::finish() {
  // Some file systems say only then that there was no room.
  if (::close(file_.fd.release()) != 0) return fail(cannot_write(name_, errno));
  return folder_.finish(std::exchange(file_.number, 0));
}

}  // namespace ringside

#include "cli/start/disks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "base/absolute_path.h"
#include "cli/start/rights.h"
#include "machine/boot/boot.h"
#include "machine/storage/snapshot_disk.h"
#include "nbd/address.h"
#include "nbd/disk.h"

namespace ringside::cli {
namespace {

// Where files are that nobody needs once the process has ended.
std::string directory_of_temporary_files() {
  const char* const named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

bool is_only_read(const DiskOption& disk, Access access) {
  return disk.read_only || disk.is_snapshot || access == Access::ReadOnly;
}

// `connected`: of a server; null: the path is that of a file.
Result<std::shared_ptr<machine::BlockBackend>> open_image(
    const DiskOption& disk, std::shared_ptr<machine::BlockBackend> connected, Access access,
    std::string_view what) {
  auto image = connected != nullptr
                   ? std::move(connected)
                   : TRY(machine::open_raw_disk(disk.path, is_only_read(disk, access), what));
  if (!disk.is_snapshot || access == Access::ReadOnly) return image;
  return machine::make_snapshot_disk(std::move(image), directory_of_temporary_files());
}

// The flash memory is one of whole blocks, and has room with the firmware below 4 GiB.
bool may_be_flash(std::uint64_t size) {
  return size != 0 && size % kPageSize == 0 && size < machine::kMostFirmware;
}

Result<std::shared_ptr<machine::BlockBackend>> open_vars(const DiskOption& file,
                                                         const std::string& firmware,
                                                         Access access) {
  const auto wrong_size = [&](std::uint64_t size) {
    return fail(ErrorCode::BadRequest,
                fmt::format("--firmware-vars: {} has {} bytes; it must be whole 4 KiB pages, less "
                            "than 16M of them, such as the template that came with the firmware",
                            file.path, size));
  };
  std::error_code unknown;  // then it is no file that can be looked at, and why is told below
  if (!firmware.empty() && std::filesystem::equivalent(file.path, firmware, unknown)) {
    return fail(ErrorCode::BadRequest,
                fmt::format("--firmware-vars: {} is the firmware itself, which the guest would "
                            "overwrite; name a copy of the template that came with it",
                            file.path));
  }
  const std::uint64_t bytes = std::filesystem::file_size(file.path, unknown);
  if (!unknown && !may_be_flash(bytes)) return wrong_size(bytes);
  auto image = open_image(file, nullptr, access, kFirmwareVars);
  if (!image && image.error().code() != ErrorCode::Busy) {
    return fail(
        image.error().code(),
        fmt::format("{}; give it a copy of the template that came with the firmware, or the "
                    "template itself with ,snapshot",
                    image.error().text()));
  }
  if (!image) return image;
  const std::uint64_t size = (*image)->size();  // also that of a block device
  if (!may_be_flash(size)) return wrong_size(size);
  return image;
}

// The same file may have been given before, under this name or another.
Error in_use(const Error& error, const std::vector<DiskOption>& all, std::size_t index,
             std::string_view what) {
  const DiskOption& image = all[index];
  for (std::size_t before = 0; before < index; ++before) {
    std::error_code ignored;
    if (!std::filesystem::equivalent(all[before].path, image.path, ignored)) continue;
    return Error(error.code(), fmt::format("{} {} is the same file as that of -d {}; each needs "
                                           "its own, unless both are ,ro or ,snapshot",
                                           what, image.path, all[before].path));
  }
  return error;
}

std::string export_of(const DiskOption& disk) {
  return nbd::uri_of(nbd::absolute(disk.path)).value_or(disk.path);
}

// Before anybody connects: a server may let the second client wait for the first one's end.
Result<void> refuse_shared_exports(const std::vector<DiskOption>& disks, Access access) {
  for (std::size_t second = 0; second < disks.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      const DiskOption &one = disks[first], &other = disks[second];
      if (!nbd::is_address(one.path) || export_of(one) != export_of(other)) continue;
      if (is_only_read(one, access) && is_only_read(other, access)) continue;
      return fail(ErrorCode::BadRequest,
                  fmt::format("disk {} is the same export as that of -d {}; each needs its own, "
                              "unless both are ,ro or ,snapshot",
                              other.path, one.path));
    }
  }
  return {};
}

}  // namespace

Result<Images> connect_disks(const Options& options, Access access) {
  const sandbox::Rights rights = rights_of(options);
  TRY(refuse_shared_exports(options.disks, access));
  Images connected;
  for (const DiskOption& disk : options.disks) {
    connected.push_back(nullptr);
    if (!nbd::is_address(disk.path)) continue;
    const bool is_read = is_only_read(disk, access);
    connected.back() = TRY(
        nbd::connect(disk.path, is_read ? nbd::Access::ReadOnly : nbd::Access::ReadWrite, rights));
  }
  return connected;
}

Result<Images> open_images(const Options& options, const Images& connected, Access access) {
  Images images;
  const std::vector<DiskOption> all = images_of(options);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool is_disk = i < options.disks.size();
    auto image = is_disk ? open_image(all[i], connected[i], access, kDiskImage)
                         : open_vars(all[i], options.bios, access);
    if (!image && image.error().code() == ErrorCode::Busy)
      return fail(in_use(image.error(), all, i, is_disk ? kDiskImage : kFirmwareVars));
    images.push_back(TRY(std::move(image)));
  }
  return images;
}

std::uint64_t size_of_variables(const Options& options, const Images& images) {
  return options.firmware_vars ? images.back()->size() : 0;
}

void give_images(machine::MachineOptions& machine, const Options& options, const Images& images) {
  const auto disks = static_cast<std::ptrdiff_t>(options.disks.size());
  machine.disks.assign(images.begin(), images.begin() + disks);
  if (options.firmware_vars) machine.firmware_vars = images.back();
}

Result<void> check_sizes(const Options& options, const Images& images,
                         const std::vector<time::SavedDisk>& saved) {
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if (!nbd::is_address(options.disks[i].path) || images[i]->size() == saved[i].size) continue;
    return fail(ErrorCode::BadRequest,
                fmt::format("--disk: disk {} of the saved machine has {} bytes, and '{}' has {}", i,
                            saved[i].size, options.disks[i].path, images[i]->size()));
  }
  return {};
}

Result<time::SavedDisk> look_at(const DiskOption& disk, std::string_view what) {
  if (nbd::is_address(disk.path))
    return time::SavedDisk{nbd::absolute(disk.path), 0, disk.read_only};
  struct stat status {};
  if (::stat(disk.path.c_str(), &status) != 0)
    return fail(Error::from_errno(fmt::format("{} {}", what, disk.path), errno));
  time::SavedDisk result;
  result.path = absolute_path(disk.path);
  result.size = static_cast<std::uint64_t>(status.st_size);
  result.read_only = disk.read_only;
  result.changed_seconds = status.st_mtim.tv_sec;
  result.changed_nanoseconds = status.st_mtim.tv_nsec;
  return result;
}

}  // namespace ringside::cli

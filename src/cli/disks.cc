#include "cli/disks.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "machine/boot/boot.h"
#include "machine/storage/snapshot_disk.h"

namespace ringside::cli {
namespace {

// Where files are that nobody needs once the process has ended.
std::string directory_of_temporary_files() {
  const char* const named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

Result<std::shared_ptr<machine::BlockBackend>> open_image(const DiskOption& disk, Access access,
                                                          std::string_view what) {
  const bool read_only = disk.read_only || disk.is_snapshot || access == Access::ReadOnly;
  auto image = TRY(machine::open_raw_disk(disk.path, read_only, what));
  if (!disk.is_snapshot || access == Access::ReadOnly) return image;
  return machine::make_snapshot_disk(std::move(image), directory_of_temporary_files());
}

// The flash memory is one of whole blocks, and has room with the firmware below 4 GiB.
Result<std::shared_ptr<machine::BlockBackend>> open_vars(const DiskOption& file, Access access) {
  auto image = open_image(file, access, "--firmware-vars:");
  if (!image && image.error().code() != ErrorCode::Busy) {
    return fail(
        image.error().code(),
        fmt::format("{}; give it a copy of the template that came with the firmware, or the "
                    "template itself with ,snapshot",
                    image.error().text()));
  }
  if (!image) return image;
  const std::uint64_t size = (*image)->size();
  if (size % kPageSize == 0 && size < machine::kMostFirmware) return image;
  return fail(
      ErrorCode::BadRequest,
      fmt::format("--firmware-vars: {} has {} bytes; it must be whole 4 KiB pages, less than "
                  "16M of them, such as the template that came with the firmware",
                  file.path, size));
}

}  // namespace

std::vector<DiskOption> images_of(const Options& options) {
  std::vector<DiskOption> images = options.disks;
  if (options.firmware_vars) images.push_back(*options.firmware_vars);
  return images;
}

Result<Images> open_images(const Options& options, Access access) {
  Images images;
  for (const DiskOption& disk : options.disks)
    images.push_back(TRY(open_image(disk, access, "disk image")));
  if (options.firmware_vars) images.push_back(TRY(open_vars(*options.firmware_vars, access)));
  return images;
}

void give_images(machine::MachineOptions& machine, const Options& options, const Images& images) {
  const auto disks = static_cast<std::ptrdiff_t>(options.disks.size());
  machine.disks.assign(images.begin(), images.begin() + disks);
  if (options.firmware_vars) machine.firmware_vars = images.back();
}

}  // namespace ringside::cli

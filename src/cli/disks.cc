#include "cli/disks.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "machine/storage/snapshot_disk.h"

namespace ringside::cli {
namespace {

// Where files are that nobody needs once the process has ended.
std::string directory_of_temporary_files() {
  const char* const named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

}  // namespace

Result<std::shared_ptr<machine::BlockBackend>> open_disk(const DiskOption& disk) {
  auto image = TRY(machine::open_raw_disk(disk.path, disk.read_only || disk.is_snapshot));
  if (!disk.is_snapshot) return image;
  return machine::make_snapshot_disk(std::move(image), directory_of_temporary_files());
}

}  // namespace ringside::cli

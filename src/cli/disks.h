// The images of --disk. They are opened before the process gives up its rights.
#pragma once

#include <memory>

#include "base/result.h"
#include "cli/options.h"
#include "machine/storage/block_backend.h"

namespace ringside::cli {

Result<std::shared_ptr<machine::BlockBackend>> open_disk(const DiskOption& disk);

}  // namespace ringside::cli

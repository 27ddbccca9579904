// A disk whose image stays as it is: what the guest writes goes to a file that has no name, and is
// gone when ringside ends. Owned as the image would be.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "machine/storage/block_backend.h"

namespace ringside::machine {

// The image may be read-only; the disk is not. The file is made in `directory`, and takes as much
// room there as the guest writes.
Result<std::shared_ptr<BlockBackend>> make_snapshot_disk(std::shared_ptr<BlockBackend> image,
                                                         const std::string& directory);

}  // namespace ringside::machine

// A disk that an NBD server has, a qcow2 image of qemu-nbd's for one. A process of its own talks
// with the server (serve.h); it is made before anything of a guest is read, and where there are no
// threads yet. Owned as other disks are.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "machine/storage/block_backend.h"
#include "nbd/serve.h"
#include "sandbox/rights.h"

namespace ringside::nbd {

// `address`: as the command line has it. Waits until the server has answered.
Result<std::shared_ptr<machine::BlockBackend>> connect(const std::string& address, Access access,
                                                       const sandbox::Rights& rights);

}  // namespace ringside::nbd

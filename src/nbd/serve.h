// The process that talks with an NBD server, by libnbd, for the one that runs the guest.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "sandbox/rights.h"

namespace ringside::nbd {

enum class Access : std::uint8_t { ReadOnly, ReadWrite };

// Until the other end of the socket closes, or the server is gone. `room` is memory that both
// processes have.
void serve(int socket, std::span<std::byte> room, const std::string& uri, Access access,
           const sandbox::Rights& rights);

}  // namespace ringside::nbd

// The process that connects to programs of the host for the guest's sockets. A filter of system
// calls does not see whom a socket is connected to, and a user's local sockets are worth as much as
// the user's rights. So the process that reads the guest's packets connects to nobody, and can ask
// this one for a port and nothing else.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "sandbox/rights.h"

namespace ringside::vsock {

// Where there are no threads yet. Its socket, for call(). It connects to `path`, '_' and the port.
Result<Fd> start_caller(const std::string& path, const sandbox::Rights& rights);

// A socket that is connected and does not block; none: nobody listens there.
Fd call(int caller, std::uint32_t port);

// What that process does, until the other end of the socket is closed.
void connect_for_others(int socket, const std::string& path);

}  // namespace ringside::vsock

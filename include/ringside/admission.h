// Who may connect to an endpoint that listens. Plain values.
//
// Whom the system names as the other end of a connection is asked before a byte of it is read: on a
// unix socket, and on TCP within this host (in the same network namespace). A client that may not
// connect is closed at once, with a line in the log.
#pragma once

#include <cstdint>
#include <string>

namespace ringside {

enum class Allow : std::uint8_t {
  SameUser,  // of this host: the user that runs this process, and root
  Any,       // everybody of this host, and where the address is no loopback one, other hosts too
};

struct Admission {
  Allow allow = Allow::SameUser;
  // What a debugger of another host has to say before anything else: `monitor auth TOKEN`. Empty:
  // one is drawn from the system's random numbers; DebugEndpoint::token() has it.
  std::string token = {};
  // How a user opens the endpoint, for the line in the log.
  std::string way_out = "Allow::Any";
};

}  // namespace ringside

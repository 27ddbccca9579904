// The guest's sockets as they are written on the command line: PATH[,cid=N] or none. Plain values;
// no file is touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "machine/vsock/packet.h"

namespace ringside::vsock {

struct VsockOptions {
  // Where programs of the host connect. Behind it, with '_' and a port, is where they listen.
  // Empty: nobody does either.
  std::string path;
  std::uint32_t cid = machine::kUsualGuestCid;
  bool cid_given = false;

  friend bool operator==(const VsockOptions&, const VsockOptions&) = default;
};

// Nothing: there are to be no such sockets. An error is one sentence, with the option's name.
Result<std::optional<VsockOptions>> parse_vsock(std::string_view text);

// Where a program of the host listens for what the guest connects to.
std::string path_of_port(const std::string& path, std::uint32_t port);

}  // namespace ringside::vsock

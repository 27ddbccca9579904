// Where to listen, as it is written on the command line: PORT, ADDRESS:PORT, [V6]:PORT, unix:PATH,
// stdio, fd:N. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace ringside::transport {

struct TcpEndpoint {
  std::string address = "127.0.0.1";  // a name or a number, without brackets
  std::uint16_t port = 0;             // 0: any free one

  friend bool operator==(const TcpEndpoint&, const TcpEndpoint&) = default;
};
struct UnixEndpoint {
  std::string path;

  friend bool operator==(const UnixEndpoint&, const UnixEndpoint&) = default;
};
struct StdioEndpoint {
  friend bool operator==(const StdioEndpoint&, const StdioEndpoint&) = default;
};

// A stream socket that the process has inherited: one that listens, or a client's.
struct FdEndpoint {
  int fd = -1;

  friend bool operator==(const FdEndpoint&, const FdEndpoint&) = default;
};

using Endpoint = std::variant<TcpEndpoint, UnixEndpoint, StdioEndpoint, FdEndpoint>;

Result<Endpoint> parse_endpoint(std::string_view text);

// As it would be written: 127.0.0.1:1234, [::1]:1234, unix:/tmp/gdb, stdio, fd:3.
std::string to_string(const Endpoint& endpoint);

}  // namespace ringside::transport

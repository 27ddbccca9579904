#include "transport/endpoint.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <charconv>

namespace ringside::transport {
namespace {

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc() || stop != end) {
    return fail(ErrorCode::BadRequest,
                fmt::format("'{}': the port '{}' is not a number from 0 to 65535", whole, text));
  }
  return port;
}

Result<Endpoint> parse_unix(std::string_view path, std::string_view whole) {
  if (path.empty()) return fail(ErrorCode::BadRequest, fmt::format("'{}' has no path", whole));
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(ErrorCode::BadRequest, fmt::format("'{}': the path is longer than {} bytes", whole,
                                                   sizeof(sockaddr_un::sun_path) - 1));
  }
  if (path.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::BadRequest, "the path of a unix socket holds a zero byte");
  }
  return UnixEndpoint{std::string(path)};
}

Result<Endpoint> parse_inherited(std::string_view number, std::string_view whole) {
  int fd = -1;
  const char* const end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, fd);
  if (number.empty() || error != std::errc() || stop != end || fd < 0)
    return fail(ErrorCode::BadRequest, fmt::format("'{}' is not fd: and a number", whole));
  return FdEndpoint{fd};
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text == "stdio") return StdioEndpoint{};
  if (text.substr(0, kUnix.size()) == kUnix) return parse_unix(text.substr(kUnix.size()), text);

  if (text.starts_with("fd:")) return parse_inherited(text.substr(3), text);

  // As QEMU and GDB write them.
  const std::string_view port = text.substr(text.rfind(':') + 1);
  if (text.starts_with("tcp:") || (text.starts_with(':') && text.size() == port.size() + 1)) {
    TRY(parse_port(port, text));
    return fail(
        ErrorCode::BadRequest,
        fmt::format("'{0}' is not how a port is written here; type {1} for port {1} of this "
                    "host alone, ADDRESS:{1} for another address",
                    text, port));
  }

  // The last colon divides, so an IPv6 address may stand without brackets (::1:1234), as in
  // the model's later versions.
  TcpEndpoint endpoint;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    endpoint.port = TRY(parse_port(text, text));
    return endpoint;
  }
  std::string_view address = text.substr(0, colon);
  if (address.size() >= 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  if (address.empty() || address.find_first_of("[] \t\n") != std::string_view::npos ||
      address.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::BadRequest,
                fmt::format("'{}' has no valid address before the port", text));
  }
  endpoint.address = address;
  endpoint.port = TRY(parse_port(text.substr(colon + 1), text));
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  if (const auto* tcp = std::get_if<TcpEndpoint>(&endpoint)) {
    const bool v6 = tcp->address.find(':') != std::string::npos;
    if (v6) return fmt::format("[{}]:{}", tcp->address, tcp->port);
    return fmt::format("{}:{}", tcp->address, tcp->port);
  }
  if (const auto* local = std::get_if<UnixEndpoint>(&endpoint)) return "unix:" + local->path;
  if (const auto* inherited = std::get_if<FdEndpoint>(&endpoint))
    return fmt::format("fd:{}", inherited->fd);
  return "stdio";
}

}  // namespace ringside::transport

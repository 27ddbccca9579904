#include "vsock/options.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <charconv>
#include <limits>
#include <utility>

#include "base/before_comma.h"

namespace ringside::vsock {
namespace {

// What a socket's address takes, without the zero at its end, '_' and the longest port.
constexpr std::size_t kLongestPort = std::numeric_limits<std::uint32_t>::digits10 + 1;
constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 2 - kLongestPort;

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::BadRequest,
              "--vsock: " + fmt::format(format, std::forward<Args>(args)...));
}

Result<std::uint32_t> parse_cid(std::string_view text) {
  std::uint32_t cid = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, cid);
  constexpr std::uint32_t kAny = ~std::uint32_t{0};  // VMADDR_CID_ANY
  if (text.empty() || error != std::errc() || stop != end || cid < machine::kLeastGuestCid ||
      cid == kAny) {
    return bad("cid={} is not a number from {} to {}: those below it are not a guest's", text,
               machine::kLeastGuestCid, kAny - 1);
  }
  return cid;
}

}  // namespace

// A path may have commas in it.
Result<std::optional<VsockOptions>> parse_vsock(std::string_view text) {
  if (text == "none") return std::optional<VsockOptions>();
  constexpr std::string_view kCid = ",cid=";
  VsockOptions options;
  options.path = text;
  if (const std::size_t comma = text.rfind(',');
      comma != std::string_view::npos && text.substr(comma).starts_with(kCid)) {
    options.cid = TRY(parse_cid(text.substr(comma + kCid.size())));
    options.cid_given = true;
    options.path.resize(comma);
  }
  if (options.path.empty()) return bad("'{}' names no socket; type PATH[,cid=N]", text);
  if (options.path == "none" || options.path.find(kCid) != std::string::npos) {
    return bad("'{}' is not one PATH with one ,cid=N behind it, or none", text);
  }
  if (const auto part = name_before_comma(options.path)) {
    return bad("there is no '{}'; behind '{}' there can be ,cid=N", options.path, *part);
  }
  if (options.path.size() > kLongestPath || options.path.find('\0') != std::string::npos) {
    return bad(
        "the path of a socket has at most {} bytes here, so that '_' and a port fit behind "
        "it, and '{}...' has {}",
        kLongestPath, std::string_view(options.path).substr(0, 40), options.path.size());
  }
  return options;
}

std::string path_of_port(const std::string& path, std::uint32_t port) {
  return fmt::format("{}_{}", path, port);
}

}  // namespace ringside::vsock

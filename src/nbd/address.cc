#include "nbd/address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "base/absolute_path.h"

namespace ringside::nbd {
namespace {

constexpr std::string_view kTcp = "nbd://", kUnix = "nbd+unix://", kPath = "nbd+unix:";
// With TLS; QEMU's words; and what is no URI at all.
constexpr std::array<std::string_view, 5> kOthers = {
    "nbds://", "nbds+unix:", "nbd+vsock:", "nbds+vsock:", "nbd:"};

bool begins(const std::string& text, std::string_view with) { return text.starts_with(with); }

bool is_path(const std::string& text) { return begins(text, kPath) && !begins(text, kUnix); }

// Everything but what a URI has of itself (RFC 3986, 2.3).
std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", byte);
  }
  return encoded;
}

}  // namespace

bool is_address(const std::string& text) {
  return begins(text, kTcp) || begins(text, kPath) ||
         std::any_of(kOthers.begin(), kOthers.end(),
                     [&](std::string_view other) { return begins(text, other); });
}

Result<std::string> uri_of(const std::string& text) {
  if (is_path(text)) {
    const std::string path = text.substr(kPath.size());
    if (path.empty()) return fail(ErrorCode::BadRequest, fmt::format("'{}' names no socket", text));
    return fmt::format("nbd+unix:///?socket={}", percent_encoded(path));
  }
  if (begins(text, kTcp) || begins(text, kUnix)) return text;
  return fail(ErrorCode::BadRequest,
              fmt::format("'{}' cannot be reached; a server is named by nbd+unix:PATH, "
                          "nbd+unix:///EXPORT?socket=PATH or nbd://HOST:PORT/EXPORT, without TLS",
                          text));
}

std::string absolute(const std::string& text) {
  if (!is_path(text)) return text;
  return std::string(kPath) + absolute_path(text.substr(kPath.size()));
}

}  // namespace ringside::nbd

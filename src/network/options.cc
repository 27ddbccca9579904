#include "network/options.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace ringside::network {
namespace {

constexpr std::string_view kForward = "forward=";
constexpr std::string_view kExample = "forward=tcp:127.0.0.1:2222:22";

template <typename... Arguments>
tl::unexpected<Error> bad(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return fail(ErrorCode::BadRequest,
              "--net: " + fmt::format(format, std::forward<Arguments>(arguments)...));
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc() || stop != end || port == 0) return std::nullopt;
  return port;
}

// An address in the one way in which each can be written; nothing: the text is none.
std::optional<std::string> canonical(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address;
  std::array<char, INET6_ADDRSTRLEN> written;
  if (text.find('\0') != std::string::npos ||
      ::inet_pton(family, text.c_str(), address.data()) != 1)
    return std::nullopt;
  return ::inet_ntop(family, address.data(), written.data(), written.size());
}

// ADDR, and what follows its colon. Colons are of an IPv6 address as well, so it is in brackets.
struct AddressAndRest {
  std::string_view address, rest;
  bool in_brackets = false;
};
std::optional<AddressAndRest> split(std::string_view text) {
  const bool in_brackets = text.starts_with('[');
  const std::size_t end = in_brackets ? text.find("]:") : text.find(':');
  if (end == std::string_view::npos) return std::nullopt;
  if (in_brackets) return AddressAndRest{text.substr(1, end - 1), text.substr(end + 2), true};
  return AddressAndRest{text.substr(0, end), text.substr(end + 1), false};
}

Result<std::string> parse_address(const AddressAndRest& parts) {
  const std::optional<std::string> address =
      canonical(parts.in_brackets ? AF_INET6 : AF_INET, std::string(parts.address));
  if (address) return *address;
  if (parts.in_brackets)
    return bad("'[{}]' is not an IPv6 address as a number, such as [::1]", parts.address);
  return bad(
      "'{}' is not an address as a number: 127.0.0.1 or [::1] is for this host alone, 0.0.0.0 or "
      "[::] for whoever reaches it",
      parts.address);
}

Result<Forward> parse_forward(std::string_view text) {
  Forward forward;
  std::string_view rest = text;
  if (rest.starts_with("udp:")) {
    forward.protocol = Protocol::Udp;
  } else if (!rest.starts_with("tcp:")) {
    return bad("forward='{}' is neither tcp:ADDR:PORT:GUESTPORT nor udp:ADDR:PORT:GUESTPORT", text);
  }
  rest.remove_prefix(4);
  const std::optional<AddressAndRest> parts = split(rest);
  const std::size_t colon = parts ? parts->rest.find(':') : std::string_view::npos;
  if (colon == std::string_view::npos)
    return bad("forward='{}' has not the form {}:ADDR:PORT:GUESTPORT, as {} has it", text,
               text.substr(0, 3), kExample);
  forward.address = TRY(parse_address(*parts));
  for (const auto& [word, port] : {std::pair{parts->rest.substr(0, colon), &forward.port},
                                   std::pair{parts->rest.substr(colon + 1), &forward.guest_port}}) {
    const std::optional<std::uint16_t> number = port_number(word);
    if (!number)
      return bad("forward='{}': the port '{}' is not a number from 1 to 65535", text, word);
    *port = *number;
  }
  return forward;
}

}  // namespace

Result<std::optional<NetworkOptions>> parse_network(std::string_view text) {
  if (text == "none") return std::optional<NetworkOptions>();
  constexpr std::string_view kUser = "user";
  const std::string_view kind = text.substr(0, text.find(','));
  if (kind != kUser) return bad("'{}' is neither user[,{}] nor none", text, kExample);
  NetworkOptions options;
  std::string_view rest = text.substr(kUser.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(part.size());
    if (part.starts_with("hostfwd="))
      return bad(
          "QEMU's '{}' is written {} here: the host's address and port, and the guest's port", part,
          kExample);
    if (!part.starts_with(kForward))
      return bad(
          "'{}' after user is neither forward=tcp:ADDR:PORT:GUESTPORT nor "
          "forward=udp:ADDR:PORT:GUESTPORT",
          part);
    const Forward forward = TRY(parse_forward(part.substr(kForward.size())));
    const auto same_end = [&](const Forward& other) {
      return other.protocol == forward.protocol && other.address == forward.address &&
             other.port == forward.port;
    };
    if (std::any_of(options.forwards.begin(), options.forwards.end(), same_end))
      return bad("port {} of {} is forwarded twice; each may lead to one port of the guest",
                 forward.port, forward.address);
    if (options.forwards.size() == kMaxForwards)
      return bad("there can be no more than {} forwards", kMaxForwards);
    options.forwards.push_back(forward);
  }
  return options;
}

std::string to_string(const Forward& forward) {
  const bool v6 = forward.address.find(':') != std::string::npos;
  return fmt::format("{}{}:{}{}{}:{}:{}", kForward,
                     forward.protocol == Protocol::Tcp ? "tcp" : "udp", v6 ? "[" : "",
                     forward.address, v6 ? "]" : "", forward.port, forward.guest_port);
}

std::string to_string(const std::optional<NetworkOptions>& options) {
  if (!options) return "none";
  std::string text = "user";
  for (const Forward& forward : options->forwards)
    text += "," + to_string(forward);
  return text;
}

}  // namespace ringside::network

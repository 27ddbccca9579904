// The user-mode network as it is written on the command line:
// user[,forward=tcp:ADDR:PORT:GUESTPORT] or none. Plain values; no socket and no file is touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ringside::network {

enum class Protocol : std::uint8_t { Tcp, Udp };

// What reaches this port of the host goes to that port of the guest.
struct Forward {
  Protocol protocol = Protocol::Tcp;
  std::string address;  // of the host, as a number, without brackets
  std::uint16_t port = 0;
  std::uint16_t guest_port = 0;

  friend bool operator==(const Forward&, const Forward&) = default;
};

struct NetworkOptions {
  std::vector<Forward> forwards;

  friend bool operator==(const NetworkOptions&, const NetworkOptions&) = default;
};

inline constexpr std::size_t kMaxForwards = 64;

// Nothing: there is to be no network. An error is one sentence, with the option's name.
Result<std::optional<NetworkOptions>> parse_network(std::string_view text);

// As it would be written.
std::string to_string(const Forward& forward);
std::string to_string(const std::optional<NetworkOptions>& options);

}  // namespace ringside::network

// The header in front of each packet of virtio's sockets (virtio 1.2, 5.10.6), for the device and
// for whoever is at the other end of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringside::machine {

enum class VsockOperation : std::uint16_t {
  Invalid,
  Request,
  Response,
  Reset,
  Shutdown,
  Data,
  CreditUpdate,
  CreditRequest,
};

struct [[gnu::packed]] VsockHeader {
  std::uint64_t source_cid = 0;
  std::uint64_t destination_cid = 0;
  std::uint32_t source_port = 0;
  std::uint32_t destination_port = 0;
  std::uint32_t length = 0;  // of the data behind the header
  std::uint16_t type = 0;
  VsockOperation operation = VsockOperation::Invalid;
  std::uint32_t flags = 0;
  // Credit: how much the sender keeps for this connection, and how much of what came was taken.
  std::uint32_t room = 0;
  std::uint32_t taken = 0;
};
static_assert(sizeof(VsockHeader) == 44);

inline constexpr std::uint16_t kVsockStream = 1;  // the type
inline constexpr std::uint64_t kHostCid = 2;
inline constexpr std::uint32_t kLeastGuestCid = 3, kUsualGuestCid = 3;

// What the host's end keeps for a connection, and so no packet has more data.
inline constexpr std::uint32_t kVsockRoom = 128u << 10;

}  // namespace ringside::machine

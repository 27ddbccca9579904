// What is said between the devices' side of the line and the process that has the other ends of the
// guest's sockets, in the messages of transport/message_stream.h. In both directions each is a
// packet (machine/vsock/packet.h) or nothing (machine/vsock/virtio_vsock.h). What else there is has
// sizes that no packet has.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ringside::vsock {

// Where so many bytes wait for the other side, nothing more is taken of the guest, or of programs,
// that would have to go there. One more packet of any size always fits.
inline constexpr std::size_t kEnoughWaits = 256u << 10;

// From the devices' side, and the last that comes: the machine has ended in order. Where the line
// ends without it, ringside was killed.
inline constexpr std::array<std::byte, 1> kMachineHasEnded{};
inline bool says_that_machine_has_ended(std::span<const std::byte> message) {
  return message.size() == kMachineHasEnded.size();
}

// From the process, for who reads stderr.
struct Notice {
  enum class What : std::uint32_t {
    Refused,      // `user` may not connect, and has tried
    NobodyCalls,  // the process that connects is gone: what the guest connects to is refused
  } what = What::Refused;
  std::uint32_t user = 0;

  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(this, 1)); }
  // Nothing: the message is none.
  static std::optional<Notice> in(std::span<const std::byte> message) {
    if (message.size() != sizeof(Notice)) return std::nullopt;
    Notice notice;
    std::memcpy(&notice, message.data(), sizeof notice);
    return notice;
  }
};

}  // namespace ringside::vsock

// What is said between the devices' side of the line and the process that has the other ends of the
// guest's sockets, in the messages of transport/message_stream.h. In both directions each is a
// packet (machine/vsock/packet.h) or nothing (machine/vsock/virtio_vsock.h). What else there is has
// sizes that no packet has.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::vsock {

// From the devices' side, and the last that comes: the machine has ended in order. Where the line
// ends without it, ringside was killed.
inline constexpr std::array<std::byte, 1> kMachineHasEnded{};
inline bool says_that_machine_has_ended(std::span<const std::byte> message) {
  return message.size() == kMachineHasEnded.size();
}

// From the process: the number of a user who may not connect, and has tried.
inline constexpr std::size_t kRefusal = sizeof(std::uint32_t);

}  // namespace ringside::vsock

// Packets on their way to the guest. Whoever has one to send asks for room first, so that what the
// guest does not take costs no more than this.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "machine/vsock/packet.h"
#include "transport/message_stream.h"
#include "vsock/line.h"

namespace ringside::vsock {

class Outbox {
 public:
  // For one more packet of any size.
  bool has_room() const { return messages_.size() < kEnoughWaits; }
  void put(const machine::VsockHeader& header, std::span<const std::byte> data);
  // Other messages are short, and few.
  void put_message(std::span<const std::byte> message) { (void)messages_.add(message); }

  bool empty() const { return messages_.empty(); }
  // Sends what the socket takes now. False: the other side is gone.
  bool flush(int socket) { return messages_.flush(socket); }

 private:
  static constexpr std::size_t kRoom = 1u << 20;

  transport::MessageWriter messages_{kRoom};
  std::vector<std::byte> packet_;  // kept for its memory
};

}  // namespace ringside::vsock

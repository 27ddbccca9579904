#include "vsock/outbox.h"

#include <cstring>

namespace ringside::vsock {

void Outbox::put(const machine::VsockHeader& header, std::span<const std::byte> data) {
  packet_.resize(sizeof header + data.size());
  std::memcpy(packet_.data(), &header, sizeof header);
  if (!data.empty()) std::memcpy(packet_.data() + sizeof header, data.data(), data.size());
  (void)messages_.add(packet_);
}

}  // namespace ringside::vsock

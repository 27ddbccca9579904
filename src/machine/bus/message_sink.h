// A message-signalled interrupt: a device's write to an address that is no memory (SDM 3A 11.11).
// The interrupt controllers are behind it, or a fake in tests.
#pragma once

#include <cstdint>

namespace ringside::machine {

class MessageSink {
 public:
  virtual ~MessageSink() = default;
  virtual void send_message(std::uint64_t address, std::uint32_t data) = 0;
};

}  // namespace ringside::machine

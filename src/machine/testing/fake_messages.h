// Message-signalled interrupts that are remembered. For tests only.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "machine/bus/message_sink.h"

namespace ringside::machine::testing {

class FakeMessages final : public MessageSink {
 public:
  std::vector<std::pair<std::uint64_t, std::uint32_t>> sent;  // address and data

  void send_message(std::uint64_t address, std::uint32_t data) override {
    sent.emplace_back(address, data);
  }
};

}  // namespace ringside::machine::testing

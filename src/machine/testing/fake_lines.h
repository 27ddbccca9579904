// Interrupt lines that remember their level and count their rising edges. For tests only.
#pragma once

#include <array>

#include "machine/bus/interrupt_line.h"

namespace ringside::machine::testing {

class FakeLines final : public InterruptSink {
 public:
  std::array<bool, 32> level{};
  std::array<unsigned, 32> rises{};

  void set_line(unsigned line, bool asserted) override {
    if (asserted && !level[line]) ++rises[line];
    level[line] = asserted;
  }
};

}  // namespace ringside::machine::testing

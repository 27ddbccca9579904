// A small guest without a machine: memory, one processor's state to begin in, and when interrupts
// come. A plain value; the same scene always runs the same way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/processor.h"
#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::testing {

// What reaches the processor's pins at a moment of virtual time.
struct Alarm {
  enum class Kind : std::uint8_t { Interrupt, NonMaskable } kind = Kind::Interrupt;
  VirtualTime at;
  std::uint8_t vector = 0;  // of an interrupt
};

struct Scene {
  std::string name;                  // how to make it again
  std::vector<std::uint8_t> memory;  // from address 0: all of it
  x86::CpuState entry;
  hypervisor::Processor processor = hypervisor::Processor::V2;
  std::vector<Alarm> alarms;  // in their order
};

}  // namespace ringside::testing

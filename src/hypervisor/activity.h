// What a virtual CPU does when it is let: in the words of its debugger, and in both engines.
#pragma once

#include <cstdint>

namespace ringside::hypervisor {

// A part of the software CPU's saved state, by these numbers.
enum class VcpuActivity : std::uint8_t {
  Running,
  Halted,             // in HLT: wakes on an interrupt, NMI, INIT
  WaitingForStartUp,  // after INIT; an application processor before its start
  WaitingForDevice,   // in an access that a device cannot answer yet
  Dead,               // a triple fault, or an engine's error
};

}  // namespace ringside::hypervisor

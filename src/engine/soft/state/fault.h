// How a handler leaves when the guest faults: a private type thrown inside the engine only and
// caught in the run loop, which delivers the exception. Nothing above the engine ever sees it.
#pragma once

#include "ringside/x86/exception.h"

namespace ringside::soft {

struct GuestFault {
  x86::Exception exception;
};

[[noreturn]] void raise(x86::Vector vector);
[[noreturn]] void raise(x86::Vector vector, std::uint32_t error_code);
[[noreturn]] void raise_page_fault(std::uint64_t linear, std::uint32_t error_code);

// The instruction cannot complete yet (a device answered Access::Wait): undone, to be tried again.
struct InsnWaits {};

// The host cannot take what the instruction would put out: undone, and nothing of the machine runs
// until the next slice, so that the guest cannot tell.
struct InsnHeld {};

// The instruction raises an event that the debugger catches, before its delivery: undone. What the
// vCPU leaves the guest with is in Cpu::pending_exit.
struct InsnCaught {};

}  // namespace ringside::soft

// What waits to be delivered to a vCPU at its next instruction boundary, and what holds it off.
#pragma once

#include <cstdint>
#include <optional>

#include "ringside/x86/exception.h"

namespace ringside::hypervisor {

struct PendingEvents {
  // Queued for delivery before the next instruction.
  std::optional<x86::Exception> exception;
  // Single-step and data breakpoint traps (#DB) of the last instruction, as DR6 will have them.
  std::uint64_t debug_traps = 0;
  // The next instruction is executed first (SDM 3A 6.8.3): after STI no interrupt comes before it,
  // after MOV SS and POP SS no trap either.
  enum class Shadow : std::uint8_t { None, Sti, StackLoad };
  Shadow shadow = Shadow::None;
  bool nmi_pending = false;
  bool nmi_blocked = false;  // in the handler of one, until its IRET
  // An external interrupt that is above the task priority; its vector, where that is known.
  bool interrupt_waiting = false;
  std::optional<std::uint8_t> vector;
  bool interrupts_enabled = false;  // RFLAGS.IF
};

}  // namespace ringside::hypervisor

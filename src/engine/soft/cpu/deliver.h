// Delivery of exceptions and interrupts, one function per kind of mode; board.h has the entrance.
// Each changes registers only after its last access that can fault.
#pragma once

#include "engine/soft/cpu/board.h"

namespace ringside::soft {

// The EXT bit of error codes: the event is not a software interrupt (SDM 3A 6.13).
constexpr std::uint32_t external_bit(const Event& event) {
  return event.type == EventType::SoftwareInterrupt || event.type == EventType::SoftwareException
             ? 0
             : 1;
}
// Whether the gate's DPL must admit the CPL (SDM 3A 6.12.1.2). INT1 is exempt.
constexpr bool checks_gate_privilege(const Event& event) { return external_bit(event) == 0; }
// An error code that names an IDT entry.
constexpr std::uint32_t idt_error(const Event& event) {
  return event.vector * 8u + 2 + external_bit(event);
}
// RFLAGS as the frame shows them: RF is set for faults, so that the handler's return does not stop
// at an instruction breakpoint again (SDM 3B 17.3.1.1).
std::uint64_t frame_flags(const Cpu& cpu, const Event& event);
// TF, NT, RF and VM are clear in the handler, and IF if an interrupt gate says so.
void enter_handler_flags(Cpu& cpu, bool interrupt_gate);

void deliver_real(Cpu& cpu, const Event& event);
void deliver_legacy(Cpu& cpu, const Event& event);  // protected and virtual-8086 mode
void deliver_long(Cpu& cpu, const Event& event);

}  // namespace ringside::soft

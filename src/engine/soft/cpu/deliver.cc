#include "engine/soft/cpu/deliver.h"

#include <fmt/format.h>

#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/new_stack.h"
#include "engine/soft/state/fault.h"
#include "x86/linear_address.h"

namespace ringside::soft {
namespace {

using x86::FaultClass;
using x86::Vector;

// Faults push RIP of the instruction that is to run again; traps and aborts do not set RF. #DB here
// is always a trap or GD, whose handler must not skip breakpoints either (SDM 3A table 6-1).
bool is_restartable_fault(const Event& event) {
  if (event.type != EventType::Fault) return false;
  switch (static_cast<Vector>(event.vector)) {
    case Vector::Debug:
    case Vector::Breakpoint:
    case Vector::Overflow:
    case Vector::DoubleFault:
    case Vector::MachineCheck:
      return false;
    default:
      return true;
  }
}

// SDM 3A table 6-5.
bool makes_double_fault(FaultClass first, FaultClass second) {
  switch (first) {
    case FaultClass::Contributory:
      return second == FaultClass::Contributory;
    case FaultClass::PageFault:
      return second != FaultClass::Benign;
    default:
      return false;
  }
}

void shut_down(Cpu& cpu, const x86::Exception& last) {
  cpu.activity = Activity::Dead;
  cpu.leave_soon();
  if (!cpu.board().dead) return;
  cpu.board().dead(cpu, fmt::format("triple fault: vector {} while delivering a double fault, at "
                                    "RIP {:#x}",
                                    static_cast<unsigned>(last.vector), cpu.rip()));
}

}  // namespace

std::uint64_t frame_flags(const Cpu& cpu, const Event& event) {
  const std::uint64_t flags = cpu.flags.value();
  return is_restartable_fault(event) ? flags | x86::rflags::RF : flags;
}

void enter_handler_flags(Cpu& cpu, bool interrupt_gate) {
  using namespace x86::rflags;
  cpu.flags.set_system(TF | NT | RF | VM | (interrupt_gate ? IF : 0), false);
}

// SDM 3A 20.1.4: the table of far pointers; no privilege, no error codes.
void deliver_real(Cpu& cpu, const Event& event) {
  const std::uint64_t offset = event.vector * 4u;
  if (offset + 3 > cpu.idtr.limit) raise(Vector::GeneralProtection, idt_error(event));
  const auto target = cpu.load_system<std::uint32_t>(cpu.idtr.base + offset);
  NewStack stack(cpu, 0);
  stack.push(cpu.flags.value(), Width::Bits16);
  stack.push(cpu.seg(x86::SegmentName::Cs).selector, Width::Bits16);
  stack.push(cpu.rip(), Width::Bits16);
  cpu.set_rsp(stack.pointer(cpu.rsp()));
  load_real_segment(cpu, x86::SegmentName::Cs, static_cast<std::uint16_t>(target >> 16));
  cpu.rip() = target & 0xffff;
  using namespace x86::rflags;
  cpu.flags.set_system(IF | TF | AC | RF, false);
}

void deliver(Cpu& cpu, const Event& event) {
  // INT1 comes in the place of a trap that an SS load has held back; after INT n, INT3 and INTO
  // that trap is taken before the handler's first instruction (SDM 3C 26.7.3).
  if (event.type == EventType::PrivilegedSoftware) cpu.pending_debug = 0;
  hypervisor::FlowEvent flow;
  if (cpu.board().tells_flow()) {
    flow.kind = hypervisor::FlowEvent::Kind::Interrupt;
    flow.vector = event.vector;
    flow.cpl = static_cast<std::uint8_t>(cpu.cpl());
    flow.from = flow.next = x86::linear_pc(cpu.state());
    flow.stack = cpu.rsp();
  }
  if (!cpu.protected_mode()) {
    deliver_real(cpu, event);
  } else if (cpu.long_mode()) {
    deliver_long(cpu, event);
  } else {
    deliver_legacy(cpu, event);
  }
  cpu.update_mode();
  cpu.activity = Activity::Running;
  cpu.interrupt_shadow_until = cpu.debug_shadow_until = 0;
  cpu.event_delivered = true;
  cpu.events_passed.clear();
  cpu.leave_soon();
  if (cpu.board().tells_flow()) tell_flow(cpu, flow);
}

// It came where nothing can be undone any more.
void note_delivered(Cpu& cpu, const x86::Exception& exception) {
  hypervisor::exit::Caught event = caught_exception(exception);
  event.delivered = true;
  note_caught(cpu, event);
}

void deliver_exception(Cpu& cpu, x86::Exception exception, EventType type) {
  // Ends: every round either delivers, or shuts down, or moves towards #DF (SDM 3A 6.15).
  for (;;) {
    if (exception.vector == Vector::PageFault) cpu.cr2 = exception.fault_address;
    try {
      deliver(cpu, {type, static_cast<std::uint8_t>(exception.vector), exception.error_code});
      if (exception.vector == Vector::Debug) cpu.dr7 &= ~x86::dr7::GD;  // SDM 3B 17.2.4
      return;
    } catch (const GuestFault& fault) {
      const x86::Exception second = fault.exception;
      if (exception.vector == Vector::DoubleFault) {
        shut_down(cpu, second);
        return;
      }
      const FaultClass first_class =
          type == EventType::Fault ? x86::fault_class(exception.vector) : FaultClass::Benign;
      if (makes_double_fault(first_class, x86::fault_class(second.vector))) {
        if (second.vector == Vector::PageFault) cpu.cr2 = second.fault_address;
        exception = {Vector::DoubleFault, 0, 0};
      } else {
        exception = second;
      }
      cpu.switches_task = false;
      note_delivered(cpu, exception);
    }
    // What failed is the instruction that began here: a software exception had moved past it.
    type = EventType::Fault;
    cpu.rip() = cpu.insn_rip;
  }
}

}  // namespace ringside::soft

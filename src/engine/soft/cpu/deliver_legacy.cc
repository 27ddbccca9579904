// Interrupts and exceptions in protected and virtual-8086 mode outside IA-32e mode: 16 and 32-bit
// interrupt and trap gates, and task gates (SDM 3A 6.12, 3B 20.3).
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/deliver.h"
#include "engine/soft/cpu/new_stack.h"
#include "engine/soft/cpu/segments.h"
#include "engine/soft/cpu/tasks.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using x86::SegmentName;
using x86::Vector;

struct LegacyGate {
  unsigned type;
  std::uint16_t selector;
  std::uint32_t offset;
  Width width;
  bool interrupt;
};

LegacyGate read_gate(Cpu& cpu, const Event& event) {
  using namespace x86::system_type;
  const std::uint64_t at = event.vector * 8u;
  if (at + 7 > cpu.idtr.limit) raise(Vector::GeneralProtection, idt_error(event));
  Descriptor gate;
  gate.low = cpu.load_system<std::uint64_t>(x86::segmented_address(cpu.idtr.base, at));
  gate.segment = x86::segment_from_descriptor(0, gate.low);
  const unsigned type = gate.segment.is_code_or_data() ? 0 : gate.segment.type();
  const bool wide = type == kInterruptGate || type == kTrapGate;
  const bool narrow = type == kInterruptGate16 || type == kTrapGate16;
  if (!wide && !narrow && type != kTaskGate) raise(Vector::GeneralProtection, idt_error(event));
  if (checks_gate_privilege(event) && gate.segment.dpl() < cpu.cpl()) {
    raise(Vector::GeneralProtection, idt_error(event));
  }
  if (!gate.segment.present()) raise(Vector::SegmentNotPresent, idt_error(event));
  return {type, gate.gate_selector(), wide ? gate.gate_offset() : gate.gate_offset() & 0xffff,
          wide ? Width::Bits32 : Width::Bits16, type == kInterruptGate || type == kInterruptGate16};
}

void push_frame(Cpu& cpu, const Event& event, NewStack& stack, Width width) {
  stack.push(frame_flags(cpu, event), width);
  stack.push(cpu.seg(SegmentName::Cs).selector, width);
  stack.push(cpu.rip(), width);
  if (event.error_code) stack.push(*event.error_code, width);
}

}  // namespace

void deliver_legacy(Cpu& cpu, const Event& event) {
  const std::uint32_t external = external_bit(event);
  const LegacyGate gate = read_gate(cpu, event);
  if (gate.type == x86::system_type::kTaskGate) {
    switch_task(cpu, gate.selector, TaskSwitch::Event, event.error_code, external);
    return;
  }
  if (is_null(gate.selector)) raise(Vector::GeneralProtection, external);
  Descriptor code = read_descriptor(cpu, gate.selector, Vector::GeneralProtection, external);
  const std::uint32_t code_error = selector_error(gate.selector, external);
  if (!code.segment.is_code() || code.segment.dpl() > cpu.cpl()) {
    raise(Vector::GeneralProtection, code_error);
  }
  if (!code.segment.present()) raise(Vector::SegmentNotPresent, code_error);

  const unsigned cpl = code.segment.conforming() ? cpu.cpl() : code.segment.dpl();
  const bool from_8086 = cpu.virtual_8086();
  // Out of virtual-8086 mode only to ring 0 (SDM 3B 20.3.1.1).
  if (from_8086 && cpl != 0) raise(Vector::GeneralProtection, code_error);

  if (cpl < cpu.cpl()) {
    InnerStack inner = read_inner_stack(cpu, cpl, external);
    NewStack stack(cpu, inner.descriptor.segment, inner.pointer,
                   inner.descriptor.segment.big() ? Width::Bits32 : Width::Bits16, cpl,
                   selector_error(inner.descriptor.selector, external));
    if (from_8086) {
      for (const SegmentName name :
           {SegmentName::Gs, SegmentName::Fs, SegmentName::Ds, SegmentName::Es}) {
        stack.push(cpu.seg(name).selector, gate.width);
      }
    }
    stack.push(cpu.seg(SegmentName::Ss).selector, gate.width);
    stack.push(cpu.rsp(), gate.width);
    push_frame(cpu, event, stack, gate.width);
    if (gate.offset > code.segment.limit) raise(Vector::GeneralProtection, external);
    mark_accessed(cpu, inner.descriptor);
    mark_accessed(cpu, code);

    cpu.reg(x86::Gpr::Rsp) = stack.pointer(inner.pointer);
    cpu.seg(SegmentName::Ss) = inner.descriptor.segment;
    if (from_8086) {
      for (const SegmentName name :
           {SegmentName::Gs, SegmentName::Fs, SegmentName::Ds, SegmentName::Es}) {
        cpu.seg(name) = null_segment(0);
      }
    }
  } else {
    NewStack stack(cpu, external);
    push_frame(cpu, event, stack, gate.width);
    if (gate.offset > code.segment.limit) raise(Vector::GeneralProtection, external);
    mark_accessed(cpu, code);
    cpu.set_rsp(stack.pointer(cpu.rsp()));
  }
  cpu.seg(SegmentName::Cs) = code.segment;
  cpu.seg(SegmentName::Cs).selector = with_rpl(gate.selector, cpl);
  cpu.rip() = gate.offset;
  cpu.set_cpl(cpl);
  enter_handler_flags(cpu, gate.interrupt);
}

}  // namespace ringside::soft

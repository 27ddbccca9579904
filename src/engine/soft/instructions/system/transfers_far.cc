// Far JMP, CALL and RET in every mode, with call gates (SDM 2A CALL, JMP; 2B RET; 3A 5.8).
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/new_stack.h"
#include "engine/soft/cpu/tasks.h"
#include "engine/soft/instructions/system/transfers.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using x86::Segment;
using x86::SegmentName;
using x86::Vector;

struct FarPointer {
  std::uint16_t selector;
  std::uint64_t offset;
};

struct CallGate {
  std::uint16_t selector;
  std::uint64_t offset;
  Width width;  // of what a call pushes
  unsigned parameters;
};

// L and D together are reserved (SDM 3A 5.2.1).
void check_long_code(const Cpu& cpu, const Descriptor& code) {
  if (cpu.long_mode() && code.segment.long_mode() && code.segment.big()) {
    raise(Vector::GeneralProtection, selector_error(code.selector));
  }
}

// SDM 3A 5.8.1: without a gate, conforming code may be more privileged, other code must be alike.
void check_direct(const Cpu& cpu, const Descriptor& code) {
  const Segment& s = code.segment;
  const bool allowed = s.conforming() ? s.dpl() <= cpu.cpl()
                                      : rpl_of(code.selector) <= cpu.cpl() && s.dpl() == cpu.cpl();
  if (!allowed) raise(Vector::GeneralProtection, selector_error(code.selector));
  check_long_code(cpu, code);
  if (!s.present()) raise(Vector::SegmentNotPresent, selector_error(code.selector));
}

void check_gate(const Cpu& cpu, const Descriptor& gate) {
  const std::uint32_t error = selector_error(gate.selector);
  if (gate.segment.dpl() < cpu.cpl() || gate.segment.dpl() < rpl_of(gate.selector)) {
    raise(Vector::GeneralProtection, error);
  }
  if (!gate.segment.present()) raise(Vector::SegmentNotPresent, error);
}

bool is_call_gate(const Cpu& cpu, const Descriptor& d) {
  return d.is_system(x86::system_type::kCallGate) ||
         (!cpu.long_mode() && d.is_system(x86::system_type::kCallGate16));
}

CallGate read_call_gate(Cpu& cpu, const Descriptor& d) {
  check_gate(cpu, d);
  if (cpu.long_mode()) {
    const std::uint64_t high = read_descriptor_high(cpu, d);
    if ((high >> 40 & 31) != 0) raise(Vector::GeneralProtection, selector_error(d.selector));
    return {d.gate_selector(), d.gate_offset() | high << 32, Width::Bits64, 0};
  }
  const bool wide = d.is_system(x86::system_type::kCallGate);
  return {d.gate_selector(), wide ? d.gate_offset() : d.gate_offset() & 0xffff,
          wide ? Width::Bits32 : Width::Bits16, d.gate_parameters()};
}

// The code that a gate leads to (SDM 3A 5.8.4).
Descriptor read_gate_target(Cpu& cpu, const CallGate& gate) {
  if (is_null(gate.selector)) raise(Vector::GeneralProtection, 0);
  const Descriptor code = read_descriptor(cpu, gate.selector);
  const Segment& s = code.segment;
  const std::uint32_t error = selector_error(gate.selector);
  if (!s.is_code() || s.dpl() > cpu.cpl()) raise(Vector::GeneralProtection, error);
  if (cpu.long_mode() && (!s.long_mode() || s.big())) raise(Vector::GeneralProtection, error);
  if (!s.present()) raise(Vector::SegmentNotPresent, error);
  return code;
}

// Task gates and TSSs, as JMP and CALL meet them; anything else is #GP.
void switch_to(Cpu& cpu, const Descriptor& d, TaskSwitch source) {
  using namespace x86::system_type;
  const bool gate = d.is_system(kTaskGate);
  const bool tss = d.is_system(kTss) || d.is_system(kTss16);
  if (cpu.long_mode() || (!gate && !tss)) {
    raise(Vector::GeneralProtection, selector_error(d.selector));
  }
  check_gate(cpu, d);
  switch_task(cpu, gate ? d.gate_selector() : d.selector, source);
}

// ---- JMP

void far_jump(Cpu& cpu, FarPointer to) {
  if (cpu.real_addressing()) {
    if (to.offset > cpu.seg(SegmentName::Cs).limit) raise(Vector::GeneralProtection, 0);
    load_real_segment(cpu, SegmentName::Cs, to.selector);
    cpu.rip() = to.offset;
    cpu.update_mode();
    return;
  }
  if (is_null(to.selector)) raise(Vector::GeneralProtection, 0);
  Descriptor d = read_descriptor(cpu, to.selector);
  if (d.segment.is_code()) {
    check_direct(cpu, d);
  } else if (is_call_gate(cpu, d)) {
    const CallGate gate = read_call_gate(cpu, d);
    d = read_gate_target(cpu, gate);
    if (!d.segment.conforming() && d.segment.dpl() != cpu.cpl()) {
      raise(Vector::GeneralProtection, selector_error(gate.selector));
    }
    to.offset = gate.offset;
  } else {
    switch_to(cpu, d, TaskSwitch::Jump);
    return;
  }
  check_code_offset(cpu, d.segment, to.offset);
  enter_code(cpu, d, cpu.cpl());
  cpu.rip() = to.offset;
}

// ---- CALL

void push_return(Cpu& cpu, NewStack& stack, Width width) {
  stack.push(cpu.seg(SegmentName::Cs).selector, width);
  stack.push(cpu.rip(), width);
}

void call_inward_long(Cpu& cpu, Descriptor& code, const CallGate& gate) {
  const unsigned cpl = code.segment.dpl();
  const std::uint64_t slot = 4 + 8 * cpl;
  if (slot + 7 > cpu.tr.limit) raise(Vector::InvalidTss, selector_error(cpu.tr.selector));
  const auto pointer = cpu.load_system<std::uint64_t>(cpu.tr.base + slot);
  NewStack stack(cpu, {}, pointer, Width::Bits64, cpl, 0);
  stack.push(cpu.seg(SegmentName::Ss).selector, Width::Bits64);
  stack.push(cpu.rsp(), Width::Bits64);
  push_return(cpu, stack, Width::Bits64);
  check_code_offset(cpu, code.segment, gate.offset);
  cpu.seg(SegmentName::Ss) = null_segment(static_cast<std::uint16_t>(cpl), cpl);
  enter_code(cpu, code, cpl);
  cpu.reg(x86::Gpr::Rsp) = stack.pointer(0);
  cpu.rip() = gate.offset;
}

void call_inward(Cpu& cpu, Descriptor& code, const CallGate& gate) {
  const unsigned cpl = code.segment.dpl();
  InnerStack inner = read_inner_stack(cpu, cpl, 0);
  const Segment& ss = inner.descriptor.segment;
  NewStack stack(cpu, ss, inner.pointer, ss.big() ? Width::Bits32 : Width::Bits16, cpl,
                 selector_error(inner.descriptor.selector));
  stack.push(cpu.seg(SegmentName::Ss).selector, gate.width);
  stack.push(cpu.rsp(), gate.width);
  for (unsigned i = gate.parameters; i > 0; --i) {
    stack.push(peek(cpu, gate.width, (i - 1) * bytes_of(gate.width)), gate.width);
  }
  push_return(cpu, stack, gate.width);
  check_code_offset(cpu, code.segment, gate.offset);
  mark_accessed(cpu, inner.descriptor);
  mark_accessed(cpu, code);
  cpu.seg(SegmentName::Ss) = inner.descriptor.segment;
  enter_code(cpu, code, cpl);
  cpu.reg(x86::Gpr::Rsp) = stack.pointer(inner.pointer);
  cpu.rip() = gate.offset;
}

void call_level(Cpu& cpu, Descriptor& code, std::uint64_t offset, Width width) {
  NewStack stack(cpu, 0);
  push_return(cpu, stack, width);
  check_code_offset(cpu, code.segment, offset);
  const std::uint64_t rsp = stack.pointer(cpu.rsp());
  enter_code(cpu, code, cpu.cpl());
  cpu.reg(x86::Gpr::Rsp) = rsp;
  cpu.rip() = offset;
}

void far_call(Cpu& cpu, FarPointer to, Width width) {
  if (cpu.real_addressing()) {
    if (to.offset > cpu.seg(SegmentName::Cs).limit) raise(Vector::GeneralProtection, 0);
    NewStack stack(cpu, 0);
    push_return(cpu, stack, width);
    cpu.set_rsp(stack.pointer(cpu.rsp()));
    load_real_segment(cpu, SegmentName::Cs, to.selector);
    cpu.rip() = to.offset;
    cpu.update_mode();
    return;
  }
  if (is_null(to.selector)) raise(Vector::GeneralProtection, 0);
  Descriptor d = read_descriptor(cpu, to.selector);
  if (d.segment.is_code()) {
    check_direct(cpu, d);
    call_level(cpu, d, to.offset, width);
  } else if (is_call_gate(cpu, d)) {
    const CallGate gate = read_call_gate(cpu, d);
    d = read_gate_target(cpu, gate);
    if (d.segment.conforming() || d.segment.dpl() == cpu.cpl()) {
      call_level(cpu, d, gate.offset, gate.width);
    } else if (cpu.long_mode()) {
      call_inward_long(cpu, d, gate);
    } else {
      call_inward(cpu, d, gate);
    }
  } else {
    switch_to(cpu, d, TaskSwitch::Call);
  }
}

// ---- RET

void far_return(Cpu& cpu, Width width, std::uint64_t release) {
  const unsigned size = bytes_of(width);
  const std::uint64_t offset = peek(cpu, width, 0);
  const auto selector = static_cast<std::uint16_t>(peek(cpu, width, size));
  if (cpu.real_addressing()) {
    if (offset > cpu.seg(SegmentName::Cs).limit) raise(Vector::GeneralProtection, 0);
    cpu.set_rsp(cpu.rsp() + 2 * size + release);
    load_real_segment(cpu, SegmentName::Cs, selector);
    cpu.rip() = offset;
    cpu.update_mode();
    return;
  }
  Descriptor code = read_return_code(cpu, selector);
  const unsigned cpl = rpl_of(selector);
  if (cpl == cpu.cpl()) {
    check_code_offset(cpu, code.segment, offset);
    mark_accessed(cpu, code);
    cpu.set_rsp(cpu.rsp() + 2 * size + release);  // at the width of the old stack
    enter_code(cpu, code, cpl);
  } else {
    const std::uint64_t rsp = peek(cpu, width, 2 * size + release) + release;
    const auto ss = static_cast<std::uint16_t>(peek(cpu, width, 3 * size + release));
    Descriptor stack = read_return_stack(cpu, ss, cpl, is_code64(cpu, code.segment));
    check_code_offset(cpu, code.segment, offset);
    enter_with_stack(cpu, code, stack, rsp, cpl);
    drop_privileged_segments(cpu);
  }
  cpu.rip() = offset;
}

// ---- Handlers

FarPointer immediate_pointer(const Insn& insn) {
  return {static_cast<std::uint16_t>(insn.displacement), insn.immediate};
}

FarPointer memory_pointer(Cpu& cpu, const Insn& insn) {
  const unsigned size = bytes_of(insn.operand_width);
  const std::uint64_t at = cpu.linear(insn, size + 2, AccessKind::Read);
  FarPointer to{};
  switch (insn.operand_width) {
    case Width::Bits16:
      to.offset = cpu.load<std::uint16_t>(at);
      break;
    case Width::Bits32:
      to.offset = cpu.load<std::uint32_t>(at);
      break;
    default:
      to.offset = cpu.load<std::uint64_t>(at);
      break;
  }
  to.selector = cpu.load<std::uint16_t>(at + size);
  return to;
}

void jmp_immediate(Cpu& cpu, const Insn& insn) { far_jump(cpu, immediate_pointer(insn)); }
void jmp_memory(Cpu& cpu, const Insn& insn) { far_jump(cpu, memory_pointer(cpu, insn)); }
void call_immediate(Cpu& cpu, const Insn& insn) {
  far_call(cpu, immediate_pointer(insn), insn.operand_width);
}
void call_memory(Cpu& cpu, const Insn& insn) {
  far_call(cpu, memory_pointer(cpu, insn), insn.operand_width);
}
void ret(Cpu& cpu, const Insn& insn) { far_return(cpu, insn.operand_width, insn.immediate); }

bool is_far(const Decoded& decoded) {
  return decoded.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

template <Handler kImmediate, Handler kMemory>
bool lower_far(const Decoded& decoded, Insn& insn) {
  if (!is_far(decoded)) return false;
  if (decoded.is_memory(0)) {
    lower_memory(decoded, 0, insn);
    insn.execute = kMemory;
  } else {
    const auto& pointer = decoded.op(0).ptr;
    insn.immediate = pointer.offset;
    insn.displacement = pointer.segment;
    insn.execute = kImmediate;
  }
  return true;
}

bool lower_ret(const Decoded& decoded, Insn& insn) {
  if (!is_far(decoded)) return false;
  insn.immediate &= 0xffff;
  insn.execute = ret;
  return true;
}

}  // namespace

bool is_code64(const Cpu& cpu, const Segment& target) {
  return cpu.long_mode() && target.long_mode();
}

void check_code_offset(const Cpu& cpu, const Segment& target, std::uint64_t offset) {
  const bool fine = is_code64(cpu, target) ? cpu.canonical(offset) : offset <= target.limit;
  if (!fine) raise(Vector::GeneralProtection, 0);
}

Descriptor read_return_code(Cpu& cpu, std::uint16_t selector) {
  if (is_null(selector)) raise(Vector::GeneralProtection, 0);
  const Descriptor code = read_descriptor(cpu, selector);
  const Segment& s = code.segment;
  const unsigned rpl = rpl_of(selector);
  const bool allowed =
      s.is_code() && rpl >= cpu.cpl() && (s.conforming() ? s.dpl() <= rpl : s.dpl() == rpl);
  if (!allowed) raise(Vector::GeneralProtection, selector_error(selector));
  check_long_code(cpu, code);
  if (!s.present()) raise(Vector::SegmentNotPresent, selector_error(selector));
  return code;
}

void enter_code(Cpu& cpu, Descriptor& code, unsigned cpl) {
  mark_accessed(cpu, code);
  Segment& cs = cpu.seg(SegmentName::Cs);
  cs = code.segment;
  cs.selector = with_rpl(code.selector, cpl);
  cpu.set_cpl(cpl);
  cpu.update_mode();
}

Descriptor read_return_stack(Cpu& cpu, std::uint16_t selector, unsigned cpl, bool to_code64) {
  if (is_null(selector)) {
    if (!to_code64 || cpl == 3 || rpl_of(selector) != cpl) raise(Vector::GeneralProtection, 0);
    Descriptor null;
    null.selector = selector;
    null.segment = null_segment(selector, cpl);
    return null;
  }
  return read_stack_descriptor(cpu, selector, cpl, Vector::GeneralProtection);
}

void enter_with_stack(Cpu& cpu, Descriptor& code, Descriptor& stack, std::uint64_t rsp,
                      unsigned cpl) {
  if (!is_null(stack.selector)) mark_accessed(cpu, stack);
  mark_accessed(cpu, code);
  cpu.seg(SegmentName::Ss) = stack.segment;
  enter_code(cpu, code, cpl);
  // A 16-bit stack changes SP alone.
  if (cpu.stack_width() == Width::Bits16) {
    cpu.set_rsp(rsp);
  } else {
    cpu.reg(x86::Gpr::Rsp) = rsp & cpu.stack_mask();
  }
}

void register_far(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_JMP, lower_far<jmp_immediate, jmp_memory>);
  table.add(ZYDIS_MNEMONIC_CALL, lower_far<call_immediate, call_memory>);
  table.add(ZYDIS_MNEMONIC_RET, lower_ret);
}

}  // namespace ringside::soft

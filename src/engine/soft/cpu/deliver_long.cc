// Interrupts and exceptions in IA-32e mode, from 64-bit and compatibility code (SDM 3A 6.14).
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/deliver.h"
#include "engine/soft/cpu/new_stack.h"
#include "engine/soft/cpu/segments.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using x86::SegmentName;
using x86::Vector;

struct LongGate {
  std::uint64_t offset;
  std::uint16_t selector;
  unsigned ist;
  bool interrupt;
};

LongGate read_gate(Cpu& cpu, const Event& event) {
  const std::uint64_t at = event.vector * 16u;
  if (at + 15 > cpu.idtr.limit) raise(Vector::GeneralProtection, idt_error(event));
  const auto low = cpu.load_system<std::uint64_t>(cpu.idtr.base + at);
  const auto high = cpu.load_system<std::uint32_t>(cpu.idtr.base + at + 8);
  const x86::Segment gate = x86::segment_from_descriptor(0, low);
  const bool interrupt = !gate.is_code_or_data() && gate.type() == x86::system_type::kInterruptGate;
  const bool trap = !gate.is_code_or_data() && gate.type() == x86::system_type::kTrapGate;
  if (!interrupt && !trap) raise(Vector::GeneralProtection, idt_error(event));
  if (checks_gate_privilege(event) && gate.dpl() < cpu.cpl()) {
    raise(Vector::GeneralProtection, idt_error(event));
  }
  if (!gate.present()) raise(Vector::SegmentNotPresent, idt_error(event));
  const std::uint64_t offset =
      (low & 0xffff) | (low >> 32 & 0xffff0000) | static_cast<std::uint64_t>(high) << 32;
  return {offset, static_cast<std::uint16_t>(low >> 16), static_cast<unsigned>(low >> 32 & 7),
          interrupt};
}

// RSP0..2 lie at offset 4 of the 64-bit TSS, IST1..7 at 36 (SDM 3A figure 7-11).
std::uint64_t read_tss_stack(Cpu& cpu, std::uint64_t offset, std::uint32_t external) {
  if (offset + 7 > cpu.tr.limit) {
    raise(Vector::InvalidTss, selector_error(cpu.tr.selector, external));
  }
  return cpu.load_system<std::uint64_t>(cpu.tr.base + offset);
}

}  // namespace

void deliver_long(Cpu& cpu, const Event& event) {
  const std::uint32_t external = external_bit(event);
  const LongGate gate = read_gate(cpu, event);
  if (is_null(gate.selector)) raise(Vector::GeneralProtection, external);
  Descriptor code = read_descriptor(cpu, gate.selector, Vector::GeneralProtection, external);
  const x86::Segment& target = code.segment;
  const std::uint32_t code_error = selector_error(gate.selector, external);
  if (!target.is_code() || !target.long_mode() || target.big() || target.dpl() > cpu.cpl()) {
    raise(Vector::GeneralProtection, code_error);
  }
  if (!target.present()) raise(Vector::SegmentNotPresent, code_error);

  const unsigned cpl = target.conforming() ? cpu.cpl() : target.dpl();
  const bool inward = cpl < cpu.cpl();
  std::uint64_t pointer = cpu.rsp();
  if (gate.ist != 0) {
    pointer = read_tss_stack(cpu, 36 + 8 * (gate.ist - 1), external);
  } else if (inward) {
    pointer = read_tss_stack(cpu, 4 + 8 * cpl, external);
  }
  // The frame starts at a multiple of 16 (SDM 3A 6.14.2).
  NewStack stack(cpu, {}, pointer & ~std::uint64_t{15}, Width::Bits64, cpl, external);
  stack.push(cpu.seg(SegmentName::Ss).selector, Width::Bits64);
  stack.push(cpu.rsp(), Width::Bits64);
  stack.push(frame_flags(cpu, event), Width::Bits64);
  stack.push(cpu.seg(SegmentName::Cs).selector, Width::Bits64);
  stack.push(cpu.rip(), Width::Bits64);
  if (event.error_code) stack.push(*event.error_code, Width::Bits64);
  if (!cpu.canonical(gate.offset)) raise(Vector::GeneralProtection, external);
  mark_accessed(cpu, code);

  cpu.reg(x86::Gpr::Rsp) = stack.pointer(0);
  // A change of privilege leaves SS null with RPL = CPL (SDM 3A 6.14.2).
  if (inward) cpu.seg(SegmentName::Ss) = null_segment(static_cast<std::uint16_t>(cpl), cpl);
  cpu.seg(SegmentName::Cs) = code.segment;
  cpu.seg(SegmentName::Cs).selector = with_rpl(gate.selector, cpl);
  cpu.rip() = gate.offset;
  cpu.set_cpl(cpl);
  enter_handler_flags(cpu, gate.interrupt);
}

}  // namespace ringside::soft

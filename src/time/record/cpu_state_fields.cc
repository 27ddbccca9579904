#include "time/record/cpu_state_fields.h"

#include <utility>

#include "base/state_bytes.h"

namespace ringside::time {
namespace {

// Who adds a field adds it below.
static_assert(sizeof(x86::CpuState) == 1176);

void visit(StateVisitor& visitor, x86::Segment& segment) {
  visitor.fields(segment.selector, segment.attributes, segment.limit, segment.base);
}

void visit(StateVisitor& visitor, x86::FpuState& fpu) {
  visitor.fields(fpu.control, fpu.status, fpu.tag, fpu.opcode);
  visitor.fields(fpu.instruction_pointer, fpu.data_pointer);
  visitor.fields(fpu.instruction_selector, fpu.data_selector, fpu.st, fpu.mxcsr, fpu.vector);
}

void visit(StateVisitor& visitor, x86::CpuState& state) {
  visitor.fields(state.gpr, state.rip, state.rflags);
  for (x86::Segment& segment : state.segment)
    visit(visitor, segment);
  visit(visitor, state.ldtr);
  visit(visitor, state.tr);
  visitor.fields(state.gdtr.base, state.gdtr.limit, state.idtr.base, state.idtr.limit);
  visitor.fields(state.cr0, state.cr2, state.cr3, state.cr4, state.cr8, state.efer, state.xcr0);
  visitor.fields(state.dr, state.dr6, state.dr7, state.apic_base);
  visitor.fields(state.star, state.lstar, state.cstar, state.sfmask, state.kernel_gs_base);
  visitor.fields(state.tsc_aux, state.sysenter_cs, state.sysenter_esp, state.sysenter_eip);
  visitor.fields(state.pat, state.pkru);
  visit(visitor, state.fpu);
}

}  // namespace

std::vector<std::byte> bytes_of(const x86::CpuState& state) {
  StateSaver saver;
  x86::CpuState copy = state;  // a visitor may load, so it wants what can be written
  visit(saver, copy);
  return std::move(saver.saved);
}

std::optional<x86::CpuState> cpu_state_of(std::span<const std::byte> bytes) {
  StateLoader loader(bytes);
  x86::CpuState state;
  visit(loader, state);
  if (!loader.finished()) return std::nullopt;
  return state;
}

}  // namespace ringside::time

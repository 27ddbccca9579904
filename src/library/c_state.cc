#include "library/c_state.h"

#include <string>

namespace ringside::c {
namespace {

ringside_segment from_segment(const x86::Segment& segment) {
  return {segment.base, segment.limit, segment.selector, segment.attributes};
}
x86::Segment to_segment(const ringside_segment& segment) {
  return {segment.selector, segment.attributes, segment.limit, segment.base};
}
ringside_table from_table(const x86::TableRegister& table) { return {table.base, table.limit, {}}; }
x86::TableRegister to_table(const ringside_table& table) { return {table.base, table.limit}; }

// Gives each pair of fields with the same meaning to `copy`, which decides on the direction.
template <typename C, typename State, typename Copy>
void for_each_number(C& c, State& state, Copy copy) {
  for (std::size_t i = 0; i < state.gpr.size(); ++i)
    copy(c.gpr[i], state.gpr[i]);
  for (std::size_t i = 0; i < state.dr.size(); ++i)
    copy(c.dr[i], state.dr[i]);
  copy(c.rip, state.rip);
  copy(c.rflags, state.rflags);
  copy(c.cr0, state.cr0);
  copy(c.cr2, state.cr2);
  copy(c.cr3, state.cr3);
  copy(c.cr4, state.cr4);
  copy(c.cr8, state.cr8);
  copy(c.dr6, state.dr6);
  copy(c.dr7, state.dr7);
  copy(c.xcr0, state.xcr0);
  copy(c.efer, state.efer);
  copy(c.apic_base, state.apic_base);
  copy(c.star, state.star);
  copy(c.lstar, state.lstar);
  copy(c.cstar, state.cstar);
  copy(c.sfmask, state.sfmask);
  copy(c.kernel_gs_base, state.kernel_gs_base);
  copy(c.tsc_aux, state.tsc_aux);
  copy(c.sysenter_cs, state.sysenter_cs);
  copy(c.sysenter_esp, state.sysenter_esp);
  copy(c.sysenter_eip, state.sysenter_eip);
  copy(c.pat, state.pat);
  copy(c.pkru, state.pkru);
  copy(c.fpu.control, state.fpu.control);
  copy(c.fpu.status, state.fpu.status);
  copy(c.fpu.tag, state.fpu.tag);
  copy(c.fpu.opcode, state.fpu.opcode);
  copy(c.fpu.instruction_pointer, state.fpu.instruction_pointer);
  copy(c.fpu.data_pointer, state.fpu.data_pointer);
  copy(c.fpu.instruction_selector, state.fpu.instruction_selector);
  copy(c.fpu.data_selector, state.fpu.data_selector);
  copy(c.fpu.mxcsr, state.fpu.mxcsr);
}

}  // namespace

ringside_cpu_state from_state(const x86::CpuState& state) {
  auto c = empty<ringside_cpu_state>();
  for_each_number(c, state, [](auto& to, const auto& from) { to = from; });
  for (std::size_t i = 0; i < state.segment.size(); ++i)
    c.segment[i] = from_segment(state.segment[i]);
  c.ldtr = from_segment(state.ldtr);
  c.tr = from_segment(state.tr);
  c.gdtr = from_table(state.gdtr);
  c.idtr = from_table(state.idtr);
  static_assert(sizeof c.fpu.st == sizeof state.fpu.st);
  static_assert(sizeof c.fpu.vector == sizeof state.fpu.vector);
  std::memcpy(c.fpu.st, state.fpu.st.data(), sizeof c.fpu.st);
  std::memcpy(c.fpu.vector, state.fpu.vector.data(), sizeof c.fpu.vector);
  return c;
}

x86::CpuState to_state(const ringside_cpu_state& c) {
  x86::CpuState state;
  for_each_number(c, state, [](const auto& from, auto& to) { to = from; });
  for (std::size_t i = 0; i < state.segment.size(); ++i)
    state.segment[i] = to_segment(c.segment[i]);
  state.ldtr = to_segment(c.ldtr);
  state.tr = to_segment(c.tr);
  state.gdtr = to_table(c.gdtr);
  state.idtr = to_table(c.idtr);
  std::memcpy(state.fpu.st.data(), c.fpu.st, sizeof c.fpu.st);
  std::memcpy(state.fpu.vector.data(), c.fpu.vector, sizeof c.fpu.vector);
  return state;
}

ringside_status to_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::BadRequest:
      return RINGSIDE_BAD_REQUEST;
    case ErrorCode::BadAddress:
      return RINGSIDE_BAD_ADDRESS;
    case ErrorCode::NotSupported:
      return RINGSIDE_NOT_SUPPORTED;
    case ErrorCode::NotFound:
      return RINGSIDE_NOT_FOUND;
    case ErrorCode::Busy:
      return RINGSIDE_BUSY;
    case ErrorCode::System:
      return RINGSIDE_SYSTEM;
  }
  return RINGSIDE_INTERNAL;
}

Error refused(ringside_status status) {
  const auto with = [status](ErrorCode code) {
    return Error(code, std::string("the virtual machine: ") + ringside_status_text(status));
  };
  switch (status) {
    case RINGSIDE_BAD_REQUEST:
      return with(ErrorCode::BadRequest);
    case RINGSIDE_BAD_ADDRESS:
      return with(ErrorCode::BadAddress);
    case RINGSIDE_NOT_SUPPORTED:
      return with(ErrorCode::NotSupported);
    case RINGSIDE_NOT_FOUND:
      return with(ErrorCode::NotFound);
    case RINGSIDE_BUSY:
      return with(ErrorCode::Busy);
    default:
      return with(ErrorCode::System);
  }
}

}  // namespace ringside::c

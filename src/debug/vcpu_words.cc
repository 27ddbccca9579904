#include "debug/vcpu_words.h"

#include <fmt/core.h>

#include "x86/bits.h"

namespace ringside::debug {

using hypervisor::VcpuActivity;

std::string_view words_of(VcpuActivity activity) {
  switch (activity) {
    case VcpuActivity::Running:
      return "running";
    case VcpuActivity::Halted:
      return "halted";
    case VcpuActivity::WaitingForStartUp:
      return "waiting for start-up";
    case VcpuActivity::WaitingForDevice:
      return "waiting for a device";
    case VcpuActivity::Dead:
      return "dead";
  }
  return "";
}

std::string words_of_mode(const x86::CpuState& state) {
  if ((state.cr0 & x86::cr0::PE) == 0) return "real mode";
  if ((state.rflags & x86::rflags::VM) != 0) return "virtual-8086, CPL 3";
  const x86::Segment& code = state.seg(x86::SegmentName::Cs);
  const bool long_mode = (state.efer & x86::efer::LMA) != 0;
  const unsigned cpl = state.seg(x86::SegmentName::Ss).dpl();
  if (long_mode && code.long_mode()) return fmt::format("long mode, CPL {}", cpl);
  return fmt::format("{} mode {}-bit, CPL {}", long_mode ? "compatibility" : "protected",
                     code.big() ? 32 : 16, cpl);
}

std::string describe(hypervisor::Vcpu& vcpu) {
  const VcpuActivity activity = vcpu.activity();
  std::string text(words_of(activity));
  // INIT leaves a processor in real mode, and what a dead one is in stays interesting.
  if (vcpu.in_guest() || activity == VcpuActivity::WaitingForStartUp) return text;
  if (const Result<x86::CpuState> state = vcpu.state()) text += ", " + words_of_mode(*state);
  return text;
}

}  // namespace ringside::debug

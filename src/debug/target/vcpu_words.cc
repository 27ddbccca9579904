#include "debug/target/vcpu_words.h"

#include <fmt/core.h>

#include "ringside/x86/bits.h"
#include "x86/linear_address.h"

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
    case VcpuActivity::Asleep:
      return "asleep (ACPI S3)";
  }
  return "";
}

CpuMode mode_of(const x86::CpuState& state) {
  if ((state.cr0 & x86::cr0::PE) == 0) return CpuMode::Real;
  if (x86::in_64_bit_mode(state)) return CpuMode::Long64;
  if (x86::in_long_mode(state)) return CpuMode::Compatibility;
  return (state.rflags & x86::rflags::VM) != 0 ? CpuMode::Virtual8086 : CpuMode::Protected;
}

std::string_view short_name(CpuMode mode) {
  switch (mode) {
    case CpuMode::Real:
      return "real";
    case CpuMode::Virtual8086:
      return "virtual-8086";
    case CpuMode::Protected:
      return "protected";
    case CpuMode::Compatibility:
      return "compatibility";
    case CpuMode::Long64:
      return "64-bit";
  }
  return "";
}

std::string words_of_mode(const x86::CpuState& state) {
  const CpuMode mode = mode_of(state);
  if (mode == CpuMode::Real) return "real mode";
  if (mode == CpuMode::Virtual8086) return "virtual-8086, CPL 3";
  const unsigned cpl = state.seg(x86::SegmentName::Ss).dpl();
  if (mode == CpuMode::Long64) return fmt::format("long mode, CPL {}", cpl);
  return fmt::format("{} mode {}-bit, CPL {}", short_name(mode),
                     state.seg(x86::SegmentName::Cs).big() ? 32 : 16, cpl);
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

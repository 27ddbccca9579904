// Everything architectural about one x86-64 CPU as a plain value: what a boot loader sets, what a
// snapshot keeps, what an engine converts from and to.
#pragma once

#include <array>
#include <cstdint>

#include "ringside/x86/bits.h"
#include "ringside/x86/segment.h"

namespace ringside::x86 {

enum class Gpr : std::uint8_t {
  Rax,
  Rcx,
  Rdx,
  Rbx,
  Rsp,
  Rbp,
  Rsi,
  Rdi,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15
};

// An 80-bit x87 register, bytes as FSTP m80 stores them; the last 6 bytes are padding and zero.
using X87Register = std::array<std::uint8_t, 16>;
using VectorRegister = std::array<std::uint8_t, 32>;

// What FINIT writes to the control word (SDM 1 8.1.5), and MXCSR after RESET (SDM 1 10.2.3).
inline constexpr std::uint16_t kFpuControlInit = 0x37f;
inline constexpr std::uint32_t kMxcsrReset = 0x1f80;

struct FpuState {
  std::uint16_t control = kFpuControlInit;
  std::uint16_t status = 0;    // TOP in bits 11..13
  std::uint16_t tag = 0xffff;  // the full 2-bit tags, by physical register
  std::uint16_t opcode = 0;
  std::uint64_t instruction_pointer = 0;
  std::uint64_t data_pointer = 0;
  std::uint16_t instruction_selector = 0;
  std::uint16_t data_selector = 0;
  std::array<X87Register, 8> st{};  // by stack position: st[0] is ST(0)
  std::uint32_t mxcsr = kMxcsrReset;
  std::array<VectorRegister, 16> vector{};  // low 16 bytes XMM
};

// The values are those after RESET (SDM 3A table 9-1), but for what reset_state() adds.
struct CpuState {
  std::array<std::uint64_t, 16> gpr{};  // indexed by Gpr
  std::uint64_t rip = 0xfff0;
  std::uint64_t rflags = rflags::Fixed;
  std::array<Segment, 6> segment{};  // indexed by SegmentName
  Segment ldtr;
  Segment tr;
  TableRegister gdtr;
  TableRegister idtr;
  std::uint64_t cr0 = cr0::ET | cr0::NW | cr0::CD;
  std::uint64_t cr2 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t cr8 = 0;
  std::uint64_t efer = 0;
  std::uint64_t xcr0 = 1;
  std::array<std::uint64_t, 4> dr{};
  std::uint64_t dr6 = dr6::kReset;
  std::uint64_t dr7 = dr7::kReset;
  std::uint64_t apic_base = apic::kDefaultBase | apic::kBaseEnable;
  std::uint64_t star = 0, lstar = 0, cstar = 0, sfmask = 0, kernel_gs_base = 0, tsc_aux = 0;
  std::uint64_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  std::uint64_t pat = 0x0007040600070406;
  std::uint32_t pkru = 0;
  FpuState fpu;

  std::uint64_t& reg(Gpr name) { return gpr[static_cast<std::size_t>(name)]; }
  std::uint64_t reg(Gpr name) const { return gpr[static_cast<std::size_t>(name)]; }
  Segment& seg(SegmentName name) { return segment[static_cast<std::size_t>(name)]; }
  const Segment& seg(SegmentName name) const { return segment[static_cast<std::size_t>(name)]; }
};

// The state at power-on: real mode, CS:IP = F000:FFF0 with base 0xFFFF0000, and in RDX the
// processor's signature (EAX of CPUID leaf 1).
CpuState reset_state(std::uint32_t signature = 0);
// What INIT makes of a state: power-on's, but CR0.CD and NW, XCR0, the MSRs other than EFER, and
// the whole FPU stay (SDM 3A table 9-1).
CpuState init_state(const CpuState& before, std::uint32_t signature);
// CS as a start-up IPI leaves it, with `before` in it until then: the processor goes on at
// VV00:0000 (SDM 3A 8.4.3), with RIP 0.
Segment start_up_segment(Segment before, std::uint8_t vector);

}  // namespace ringside::x86

#include <fmt/format.h>

#include <cstring>

#include "debug/monitor.h"
#include "x86/bits.h"
#include "x86/registers.h"

namespace ringside::debug {
namespace {

// -OSZAPC as letters or dashes, the most significant first.
std::string flag_letters(std::uint64_t rflags) {
  static constexpr std::pair<std::uint64_t, char> kLetters[] = {
      {x86::rflags::DF, 'D'}, {x86::rflags::OF, 'O'}, {x86::rflags::SF, 'S'},
      {x86::rflags::ZF, 'Z'}, {x86::rflags::AF, 'A'}, {x86::rflags::PF, 'P'},
      {x86::rflags::CF, 'C'}};
  std::string text;
  for (const auto& [bit, letter] : kLetters)
    text += (rflags & bit) != 0 ? letter : '-';
  return text;
}

std::string segment_line(std::string_view name, const x86::Segment& segment) {
  return fmt::format("{:<3}={:04x} {:016x} {:08x} {:08x}\n", name, segment.selector, segment.base,
                     segment.limit, static_cast<std::uint32_t>(segment.attributes) << 8);
}

}  // namespace

std::string format_registers(const x86::CpuState& state, bool halted) {
  using x86::Gpr;
  using x86::SegmentName;
  static constexpr std::pair<std::string_view, Gpr> kGprs[] = {
      {"RAX", Gpr::Rax}, {"RBX", Gpr::Rbx}, {"RCX", Gpr::Rcx}, {"RDX", Gpr::Rdx},
      {"RSI", Gpr::Rsi}, {"RDI", Gpr::Rdi}, {"RBP", Gpr::Rbp}, {"RSP", Gpr::Rsp},
      {"R8 ", Gpr::R8},  {"R9 ", Gpr::R9},  {"R10", Gpr::R10}, {"R11", Gpr::R11},
      {"R12", Gpr::R12}, {"R13", Gpr::R13}, {"R14", Gpr::R14}, {"R15", Gpr::R15}};
  static constexpr std::pair<std::string_view, SegmentName> kSegments[] = {
      {"ES", SegmentName::Es}, {"CS", SegmentName::Cs}, {"SS", SegmentName::Ss},
      {"DS", SegmentName::Ds}, {"FS", SegmentName::Fs}, {"GS", SegmentName::Gs}};

  std::string text;
  unsigned column = 0;
  for (const auto& [name, gpr] : kGprs)
    text += fmt::format("{}={:016x}{}", name, state.reg(gpr), ++column % 4 == 0 ? '\n' : ' ');
  const unsigned cpl = state.seg(SegmentName::Ss).dpl();
  text += fmt::format("RIP={:016x} RFL={:08x} [{}] CPL={} II=0 A20=1 SMM=0 HLT={}\n", state.rip,
                      state.rflags, flag_letters(state.rflags), cpl, halted ? 1 : 0);
  for (const auto& [name, segment] : kSegments)
    text += segment_line(name, state.seg(segment));
  text += segment_line("LDT", state.ldtr);
  text += segment_line("TR", state.tr);
  text += fmt::format("GDT=     {:016x} {:08x}\n", state.gdtr.base, state.gdtr.limit);
  text += fmt::format("IDT=     {:016x} {:08x}\n", state.idtr.base, state.idtr.limit);
  text += fmt::format("CR0={:08x} CR2={:016x} CR3={:016x} CR4={:08x}\n", state.cr0, state.cr2,
                      state.cr3, state.cr4);
  for (std::size_t i = 0; i < state.dr.size(); ++i)
    text += fmt::format("DR{}={:016x}{}", i, state.dr[i], i == 3 ? '\n' : ' ');
  text += fmt::format("DR6={:016x} DR7={:016x}\nEFER={:016x}\n", state.dr6, state.dr7, state.efer);
  text += fmt::format("FCW={:04x} FSW={:04x} FTW={:04x} MXCSR={:08x}\n", state.fpu.control,
                      state.fpu.status, state.fpu.tag, state.fpu.mxcsr);
  for (std::size_t i = 0; i < state.fpu.vector.size(); ++i) {
    std::uint64_t low = 0, high = 0;
    std::memcpy(&low, state.fpu.vector[i].data(), 8);
    std::memcpy(&high, state.fpu.vector[i].data() + 8, 8);
    text += fmt::format("XMM{:02}={:016x}{:016x}{}", i, high, low, i % 2 == 1 ? '\n' : ' ');
  }
  return text;
}

}  // namespace ringside::debug

#include <fmt/format.h>

#include <cstring>

#include "debug/monitor/monitor.h"
#include "ringside/x86/bits.h"
#include "ringside/x86/registers.h"
#include "x86/linear_address.h"

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

// The kind of a segment and its rights. Of what is in the descriptor, outside real mode only.
std::string kind_of(const x86::Segment& segment, bool long_mode) {
  if (!segment.is_code_or_data()) {
    // SDM 3A table 3-2. The 16-bit types are not there in long mode.
    static constexpr std::string_view k16[] = {"Reserved",   "TSS16-avl",  "LDT",
                                               "TSS16-busy", "CallGate16", "TaskGate",
                                               "IntGate16",  "TrapGate16"};
    static constexpr std::string_view k32[] = {"Reserved",   "TSS{}-avl",  "Reserved",
                                               "TSS{}-busy", "CallGate{}", "Reserved",
                                               "IntGate{}",  "TrapGate{}"};
    const unsigned type = segment.type();
    if (type >= 8) return fmt::format(fmt::runtime(k32[type & 7]), long_mode ? 64 : 32);
    return std::string(long_mode && type != 2 ? "Reserved" : k16[type]);
  }
  std::string text;
  if (segment.is_code()) {
    text = segment.long_mode() ? "CS64 [" : segment.big() ? "CS32 [" : "CS16 [";
    text += segment.conforming() ? 'C' : '-';
    text += segment.readable() ? 'R' : '-';
  } else {
    text = segment.big() || long_mode ? "DS   [" : "DS16 [";
    text += segment.expand_down() ? 'E' : '-';
    text += segment.writable() ? 'W' : '-';
  }
  text += (segment.type() & 1) != 0 ? 'A' : '-';
  return text + "]";
}

// QEMU has two layouts: with 64-bit numbers, and with 32-bit ones.
struct Layout {
  bool code64;     // for the general registers and segments
  bool long_mode;  // for the tables and control registers
  bool protected_mode;
};

std::string segment_line(std::string_view name, const x86::Segment& segment, const Layout& layout) {
  const std::uint32_t limit = segment.granular() ? segment.limit >> 12 : segment.limit;
  const std::uint32_t flags =
      static_cast<std::uint32_t>(segment.attributes) << 8 | (limit & 0xf0000);
  std::string text = fmt::format("{:<3}={:04x} {:0{}x} {:08x} {:08x}", name, segment.selector,
                                 segment.base, layout.code64 ? 16 : 8, segment.limit, flags);
  if (layout.protected_mode && segment.present())
    text += fmt::format(" DPL={} {}", segment.dpl(), kind_of(segment, layout.long_mode));
  return text + "\n";
}

std::string general_registers(const x86::CpuState& state, const Layout& layout) {
  using x86::Gpr;
  static constexpr std::pair<std::string_view, Gpr> kGprs[] = {
      {"AX", Gpr::Rax}, {"BX", Gpr::Rbx}, {"CX", Gpr::Rcx}, {"DX", Gpr::Rdx},
      {"SI", Gpr::Rsi}, {"DI", Gpr::Rdi}, {"BP", Gpr::Rbp}, {"SP", Gpr::Rsp},
      {"8 ", Gpr::R8},  {"9 ", Gpr::R9},  {"10", Gpr::R10}, {"11", Gpr::R11},
      {"12", Gpr::R12}, {"13", Gpr::R13}, {"14", Gpr::R14}, {"15", Gpr::R15}};
  std::string text;
  unsigned column = 0;
  for (const auto& [name, gpr] : std::span(kGprs).first(layout.code64 ? 16 : 8)) {
    const std::uint64_t value = state.reg(gpr);
    const char end = ++column % 4 == 0 ? '\n' : ' ';
    text += layout.code64
                ? fmt::format("R{}={:016x}{}", name, value, end)
                : fmt::format("E{}={:08x}{}", name, static_cast<std::uint32_t>(value), end);
  }
  return text;
}

// The registers of the stack where they lie, not by their distance from its top.
std::string x87_registers(const x86::FpuState& fpu) {
  const unsigned top = fpu.status >> 11 & 7;
  unsigned used = 0;
  for (unsigned i = 0; i < 8; ++i)
    used |= unsigned{(fpu.tag >> (2 * i) & 3) != 3} << i;
  std::string text = fmt::format("FCW={:04x} FSW={:04x} [ST={}] FTW={:02x} MXCSR={:08x}\n",
                                 fpu.control, fpu.status, top, used, fpu.mxcsr);
  for (unsigned i = 0; i < 8; ++i) {
    const x86::X87Register& value = fpu.st[(i - top) & 7];
    std::uint64_t significand = 0;
    std::uint16_t exponent = 0;
    std::memcpy(&significand, value.data(), 8);
    std::memcpy(&exponent, value.data() + 8, 2);
    text +=
        fmt::format("FPR{}={:016x} {:04x}{}", i, significand, exponent, i % 2 == 1 ? '\n' : ' ');
  }
  return text;
}

}  // namespace

std::string format_registers(const x86::CpuState& state, bool halted) {
  using x86::SegmentName;
  static constexpr std::pair<std::string_view, SegmentName> kSegments[] = {
      {"ES", SegmentName::Es}, {"CS", SegmentName::Cs}, {"SS", SegmentName::Ss},
      {"DS", SegmentName::Ds}, {"FS", SegmentName::Fs}, {"GS", SegmentName::Gs}};
  const bool long_mode = x86::in_long_mode(state);
  const Layout layout{x86::in_64_bit_mode(state), long_mode, (state.cr0 & x86::cr0::PE) != 0};
  const unsigned wide = long_mode ? 16 : 8;

  std::string text = general_registers(state, layout);
  const unsigned cpl = layout.protected_mode ? state.seg(SegmentName::Ss).dpl() : 0;
  const std::string rest = fmt::format(" [{}] CPL={} II=0 A20=1 SMM=0 HLT={}\n",
                                       flag_letters(state.rflags), cpl, halted ? 1 : 0);
  text += layout.code64 ? fmt::format("RIP={:016x} RFL={:08x}", state.rip, state.rflags)
                        : fmt::format("EIP={:08x} EFL={:08x}", state.rip, state.rflags);
  text += rest;
  for (const auto& [name, segment] : kSegments)
    text += segment_line(name, state.seg(segment), layout);
  text += segment_line("LDT", state.ldtr, layout);
  text += segment_line("TR", state.tr, layout);
  text += fmt::format("GDT=     {:0{}x} {:08x}\n", state.gdtr.base, wide, state.gdtr.limit);
  text += fmt::format("IDT=     {:0{}x} {:08x}\n", state.idtr.base, wide, state.idtr.limit);
  text += fmt::format("CR0={:08x} CR2={:0{}x} CR3={:0{}x} CR4={:08x}\n", state.cr0, state.cr2, wide,
                      state.cr3, wide, state.cr4);
  for (std::size_t i = 0; i < state.dr.size(); ++i)
    text += fmt::format("DR{}={:016x} ", i, state.dr[i]);
  text +=
      fmt::format("\nDR6={:016x} DR7={:016x}\nEFER={:016x}\n", state.dr6, state.dr7, state.efer);
  text += x87_registers(state.fpu);
  for (std::size_t i = 0; i < (layout.code64 ? 16 : 8); ++i) {
    std::uint64_t low = 0, high = 0;
    std::memcpy(&low, state.fpu.vector[i].data(), 8);
    std::memcpy(&high, state.fpu.vector[i].data() + 8, 8);
    text += fmt::format("XMM{:02}={:016x} {:016x}{}", i, high, low, i % 2 == 1 ? '\n' : ' ');
  }
  return text;
}

}  // namespace ringside::debug

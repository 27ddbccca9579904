// The way into the host's processor and out again: IRET puts it into a state, and the next signal
// (a breakpoint, a single-step trap, a fault) brings back what the state has become.
//
// The kernel delivers the signal on a stack of its own, in 64-bit code but with the stack segment
// of the code that it interrupts. The handler takes the plain stack segment back with its first
// instruction and jumps out: it needs nothing from rt_sigreturn, which would cost a system call for
// each case.
// One per process (signal handlers); use it from one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringside::differential {

// An XSAVE area of x87, SSE and AVX in the standard form (SDM 1 13.4).
inline constexpr std::size_t kFpuArea = 832, kXsaveHeader = 512, kYmmHigh = 576;

// What IRET and the loads before it give the processor. `ss` is for DS and ES too.
struct Entry {
  std::array<std::uint64_t, 16> gpr{};  // in the architecture's order; RSP is taken by IRET
  std::uint64_t rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;
  // What of the area is loaded before and stored after.
  enum class Fpu : std::uint64_t { None, Fxsave, Xsave } fpu = Fpu::None;
  // The image of FXSAVE (SDM 1, table 10-2); of XSAVE, what it has beyond that.
  alignas(64) std::array<std::uint8_t, kFpuArea> area{};
};

struct Departure {
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rip = 0, rflags = 0;
  std::array<std::uint8_t, kFpuArea> area{};
  int signal = 0;
  std::uint64_t vector = 0, error_code = 0, cr2 = 0;
  // False where a load of a segment or IRET itself was refused: no instruction of the case has run,
  // and vector and error_code say why.
  bool entered = false;
};

inline constexpr std::uint64_t kUserCode64 = 0x33, kUserData = 0x2b;  // Linux' selectors

// Takes SIGTRAP, SIGSEGV, SIGFPE, SIGILL and SIGBUS. Such a signal in the test's own code, outside
// of enter(), ends the process with a sentence.
void take_signals();

// Valid until the next call.
const Departure& enter(const Entry& entry);

}  // namespace ringside::differential

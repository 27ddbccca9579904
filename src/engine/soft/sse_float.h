// Execution of SSE floating-point operations under the guest's MXCSR: results, sticky flags and
// unmasked exceptions are exact because the operation itself runs on the host with the guest's
// rounding mode, DAZ and FTZ. The host's MXCSR is the same before and after, but for its sticky
// flags, which nothing in the program reads.
#pragma once

#include <cstdint>

#include "engine/soft/vector.h"

namespace ringside::soft {

namespace mxcsr {
inline constexpr std::uint32_t kInvalid = 1, kDenormal = 2, kZeroDivide = 4, kOverflow = 8,
                               kUnderflow = 16, kPrecision = 32;
inline constexpr std::uint32_t kFlags = 0x3f, kDaz = 0x40, kMaskShift = 7, kMasks = 0x1f80,
                               kFtz = 0x8000, kControl = 0xffc0;
// Found before the operation is done, on all lanes (SDM 1 11.5.3.3).
inline constexpr std::uint32_t kBeforeComputation = kInvalid | kDenormal | kZeroDivide;
}  // namespace mxcsr

namespace host {
using Float = float __attribute__((vector_size(16)));

inline Float to_host(const Xmm& value) { return std::bit_cast<Float>(value); }
inline Xmm from_host(const Float& value) { return std::bit_cast<Xmm>(value); }
}  // namespace host

// Merges flags into the guest's MXCSR and raises what is unmasked: #XM, or #UD without
// CR4.OSXMMEXCPT.
void commit_simd_flags(Cpu& cpu, std::uint32_t raised);

inline std::uint32_t host_mxcsr() {
  std::uint32_t value;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}
inline void set_host_mxcsr(std::uint32_t value) { asm volatile("ldmxcsr %0" : : "m"(value)); }
// What the operation runs under: everything masked, and no reserved bit, whatever a debugger may
// have written: the host would fault. With underflow unmasked FTZ has no effect (SDM 1 10.2.3.3).
inline std::uint32_t masked_control(std::uint32_t guest) {
  const std::uint32_t control = (guest | mxcsr::kMasks) & mxcsr::kControl;
  return (guest & (mxcsr::kUnderflow << mxcsr::kMaskShift)) == 0 ? control & ~mxcsr::kFtz : control;
}

// run(csr) executes the operation in one asm statement that ends with a STMXCSR to csr; it may be
// called twice and must not touch guest state. tiny() says whether a result is denormal: an exact
// tiny result underflows only when underflow is unmasked (SDM 1 4.9.1.5), which the host, running
// masked, does not report.
template <typename Run, typename Tiny>
void run_simd(Cpu& cpu, Run run, Tiny tiny) {
  const std::uint32_t guest = cpu.fpu.mxcsr;
  std::uint32_t csr;
  if ((guest & mxcsr::kMasks) == mxcsr::kMasks) [[likely]] {
    // Without changing MXCSR, when the host's control bits are the guest's and no flag shows that
    // the guest does not have already. (Other code's flags only lead to the slow way.)
    run(csr);
    if ((((csr ^ guest) & mxcsr::kControl) | (csr & ~guest & mxcsr::kFlags)) == 0) [[likely]]
      return;
  }
  const std::uint32_t saved = host_mxcsr() & ~mxcsr::kFlags;
  set_host_mxcsr(masked_control(guest));
  run(csr);
  set_host_mxcsr(saved);
  std::uint32_t raised = csr & mxcsr::kFlags;
  if ((guest & (mxcsr::kUnderflow << mxcsr::kMaskShift)) == 0 && tiny())
    raised |= mxcsr::kUnderflow;
  if (raised != 0) commit_simd_flags(cpu, raised);
}
template <typename Run>
void run_simd(Cpu& cpu, Run run) {
  run_simd(cpu, run, [] { return false; });
}

// ---- Denormal results
// ---------------------------------------------------------------------------- Which elements an
// operation computes and can be tiny: all, the lowest, or none (minimum, square root and compares
// never underflow).
enum class Result { Singles, Doubles, Single, Double, NeverTiny };
template <Result kResult>
bool any_tiny(const Xmm& value) {
  if constexpr (kResult == Result::NeverTiny) {
    return false;
  } else if constexpr (kResult == Result::Singles || kResult == Result::Single) {
    const auto x = lanes<std::uint32_t>(value);
    for (unsigned i = 0; i < (kResult == Result::Singles ? 4 : 1); ++i) {
      if ((x[i] & 0x7f800000) == 0 && (x[i] & 0x7fffff) != 0) return true;
    }
  } else {
    const auto x = lanes<std::uint64_t>(value);
    for (unsigned i = 0; i < (kResult == Result::Doubles ? 2 : 1); ++i) {
      if ((x[i] & 0x7ff0000000000000) == 0 && (x[i] & 0xfffffffffffff) != 0) return true;
    }
  }
  return false;
}

}  // namespace ringside::soft

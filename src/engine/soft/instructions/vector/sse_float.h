// Execution of SSE floating-point operations under the guest's MXCSR: results, sticky flags and
// unmasked exceptions are exact because the operation itself runs on the host with the guest's
// rounding mode, DAZ and FTZ. The host's MXCSR is the same before and after, but for its sticky
// flags, which nothing in the program reads.
#pragma once

#include <cstdint>

#include "engine/soft/instructions/vector/mxcsr_bits.h"
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {

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

// What is computed: all elements of the register or the lowest one, and how.
enum class Result { Singles, Doubles, Single, Double };
enum class Step {
  Add,
  Subtract,
  Multiply,
  Divide,
  AddSubtract,
  HorizontalAdd,
  HorizontalSubtract,
  Narrow,  // doubles to singles
  Other,   // can neither overflow nor underflow
};
// Overflow, underflow and precision where one of the first two is unmasked. sse_exceptions.cc.
std::uint32_t flags_after_computation(Result result, Step step, const Xmm& a, const Xmm& b,
                                      std::uint32_t guest);

// run(csr) executes the operation in one asm statement that ends with a STMXCSR to csr; it may be
// called twice and must not touch guest state. after(guest) gives what flags_after_computation
// says.
template <typename Run, typename After>
void run_simd(Cpu& cpu, Run run, After after) {
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
  constexpr std::uint32_t kRange = (mxcsr::kOverflow | mxcsr::kUnderflow) << mxcsr::kMaskShift;
  if ((guest & kRange) != kRange) raised = after(raised, guest);
  if (raised != 0) commit_simd_flags(cpu, raised);
}
// For operations that can neither overflow nor underflow.
template <typename Run>
void run_simd(Cpu& cpu, Run run) {
  run_simd(cpu, run, [](std::uint32_t raised, std::uint32_t) { return raised; });
}

// The operation's run(a, b, csr, rest...) computes a lane of 128 bits in place; kResult and kStep
// say what. All lanes come before the first exception, for what one finds beforehand counts for
// all.
template <typename Operation, std::size_t kCount, typename... Rest>
Wide<kCount> compute_wide(Cpu& cpu, const Wide<kCount>& destination, const Wide<kCount>& source,
                          Rest... rest) {
  std::array<host::Float, kCount> result;
  run_simd(
      cpu,
      [&](std::uint32_t& csr) {
        for (std::size_t i = 0; i < kCount; ++i) {
          result[i] = host::to_host(destination[i]);
          Operation::run(result[i], host::to_host(source[i]), csr, rest...);
        }
      },
      [&](std::uint32_t raised, std::uint32_t guest) {
        if constexpr (Operation::kStep == Step::Other) {
          return raised;
        } else {
          raised &= mxcsr::kBeforeComputation;
          for (std::size_t i = 0; i < kCount; ++i) {
            raised |= flags_after_computation(Operation::kResult, Operation::kStep, destination[i],
                                              source[i], guest);
          }
          return raised;
        }
      });
  Wide<kCount> value;
  for (std::size_t i = 0; i < kCount; ++i)
    value[i] = host::from_host(result[i]);
  return value;
}
template <typename Operation, typename... Rest>
Xmm compute_simd(Cpu& cpu, const Xmm& destination, const Xmm& source, Rest... rest) {
  return compute_wide<Operation>(cpu, Wide<1>{destination}, Wide<1>{source}, rest...)[0];
}
// As operate_wide() wants an operation that may raise exceptions.
template <typename Operation>
struct FloatOperation {
  template <std::size_t kCount>
  static Wide<kCount> wide(Cpu& cpu, const Wide<kCount>& a, const Wide<kCount>& b, const Insn&) {
    return compute_wide<Operation>(cpu, a, b);
  }
};

// A host instruction of two vector operands as such an operation.
#define RINGSIDE_SIMD(Name, text, result, step)                                 \
  struct Name {                                                                 \
    [[maybe_unused]] static constexpr Result kResult = result;                  \
    [[maybe_unused]] static constexpr Step kStep = step;                        \
    static void run(host::Float& a, const host::Float& b, std::uint32_t& csr) { \
      asm volatile(text " %[b], %[a]\n\tstmxcsr %[csr]"                         \
                   : [a] "+x"(a), [csr] "=m"(csr)                               \
                   : [b] "x"(b));                                               \
    }                                                                           \
  }

}  // namespace ringside::soft

// SSE floating-point arithmetic, compares and approximations (SSE to SSE3, and with VEX). Compares
// to masks with VEX are in avx_compare.cc.
#include "engine/soft/instructions/vector/sse_float.h"

#include <cmath>

namespace ringside::soft {

void commit_simd_flags(Cpu& cpu, std::uint32_t raised) {
  const std::uint32_t unmasked = raised & ~(cpu.fpu.mxcsr >> mxcsr::kMaskShift) & mxcsr::kFlags;
  // An unmasked exception found beforehand keeps the operation from being done at all.
  if ((unmasked & mxcsr::kBeforeComputation) != 0) raised &= mxcsr::kBeforeComputation;
  cpu.fpu.mxcsr |= raised;
  if (unmasked == 0) return;
  raise((cpu.cr4 & x86::cr4::OSXMMEXCPT) != 0 ? x86::Vector::SimdError
                                              : x86::Vector::InvalidOpcode);
}

namespace {

using host::Float;

// ---- Two operands, one host instruction
#define RINGSIDE_PACKED(Name, text, step)                    \
  RINGSIDE_SIMD(Name##ps, text "ps", Result::Singles, step); \
  RINGSIDE_SIMD(Name##pd, text "pd", Result::Doubles, step)
#define RINGSIDE_ALL(Name, text, step)                      \
  RINGSIDE_PACKED(Name, text, step);                        \
  RINGSIDE_SIMD(Name##ss, text "ss", Result::Single, step); \
  RINGSIDE_SIMD(Name##sd, text "sd", Result::Double, step)

RINGSIDE_ALL(Add, "add", Step::Add);
RINGSIDE_ALL(Sub, "sub", Step::Subtract);
RINGSIDE_ALL(Mul, "mul", Step::Multiply);
RINGSIDE_ALL(Div, "div", Step::Divide);
RINGSIDE_PACKED(Addsub, "addsub", Step::AddSubtract);
RINGSIDE_PACKED(Hadd, "hadd", Step::HorizontalAdd);
RINGSIDE_PACKED(Hsub, "hsub", Step::HorizontalSubtract);
RINGSIDE_ALL(Sqrt, "sqrt", Step::Other);
RINGSIDE_ALL(Min, "min", Step::Other);
RINGSIDE_ALL(Max, "max", Step::Other);

// ---- Compares to masks: the predicate is the immediate's low three bits
#define RINGSIDE_COMPARE_CASE(text, k)                               \
  case k:                                                            \
    asm volatile("cmp" text " $" #k ", %[b], %[a]\n\tstmxcsr %[csr]" \
                 : [a] "+x"(a), [csr] "=m"(csr)                      \
                 : [b] "x"(b));                                      \
    break
#define RINGSIDE_COMPARE(Name, text)                                                         \
  struct Name {                                                                              \
    static constexpr Step kStep = Step::Other;                                               \
    static constexpr unsigned kPredicates = 8;                                               \
    static void run(Float& a, const Float& b, std::uint32_t& csr, std::uint64_t immediate) { \
      switch (immediate & 7) {                                                               \
        RINGSIDE_COMPARE_CASE(text, 0);                                                      \
        RINGSIDE_COMPARE_CASE(text, 1);                                                      \
        RINGSIDE_COMPARE_CASE(text, 2);                                                      \
        RINGSIDE_COMPARE_CASE(text, 3);                                                      \
        RINGSIDE_COMPARE_CASE(text, 4);                                                      \
        RINGSIDE_COMPARE_CASE(text, 5);                                                      \
        RINGSIDE_COMPARE_CASE(text, 6);                                                      \
        RINGSIDE_COMPARE_CASE(text, 7);                                                      \
      }                                                                                      \
    }                                                                                        \
  }

RINGSIDE_COMPARE(Cmpps, "ps");
RINGSIDE_COMPARE(Cmppd, "pd");
RINGSIDE_COMPARE(Cmpss, "ss");
RINGSIDE_COMPARE(Cmpsd, "sd");

template <typename Operation>
void compute(Cpu& cpu, const Insn& insn, const Xmm& source) {
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  if constexpr (std::is_invocable_v<decltype(Operation::run), Float&, const Float&, std::uint32_t&,
                                    std::uint64_t>) {
    destination = compute_simd<Operation>(cpu, destination, source, insn.immediate);
  } else {
    destination = compute_simd<Operation>(cpu, destination, source);
  }
}
template <typename Operation>
void with_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  compute<Operation>(cpu, insn, cpu.fpu.xmm[insn.rm]);
}
template <typename Operation, typename T>
void with_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  compute<Operation>(cpu, insn, widen(load_vector<T>(cpu, insn)));
}
template <typename Operation, typename T = Xmm>
constexpr VectorForm float_form() {
  VectorForm form;
  form.xmm_register = with_register<Operation>;
  form.xmm_load = with_memory<Operation, T>;
  if constexpr (!requires { Operation::kPredicates; })
    form.vex = vex_like_xmm<FloatOperation<Operation>, T>();
  return form;
}
using Single = std::uint32_t;
using Double = std::uint64_t;

// ---- Compares to EFLAGS
#define RINGSIDE_COMPARE_TO_FLAGS(Name, text)                                               \
  struct Name {                                                                             \
    static void run(const Float& a, const Float& b, std::uint32_t& csr, bool& zf, bool& pf, \
                    bool& cf) {                                                             \
      asm volatile(text " %[b], %[a]\n\tstmxcsr %[csr]"                                     \
                   : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf), [csr] "=m"(csr)                 \
                   : [a] "x"(a), [b] "x"(b));                                               \
    }                                                                                       \
  }
RINGSIDE_COMPARE_TO_FLAGS(Comiss, "comiss");
RINGSIDE_COMPARE_TO_FLAGS(Comisd, "comisd");
RINGSIDE_COMPARE_TO_FLAGS(Ucomiss, "ucomiss");
RINGSIDE_COMPARE_TO_FLAGS(Ucomisd, "ucomisd");

template <typename Operation>
void compare(Cpu& cpu, const Insn& insn, const Xmm& source) {
  const Float a = host::to_host(cpu.fpu.xmm[insn.reg]);
  const Float b = host::to_host(source);
  bool zf = false, pf = false, cf = false;
  run_simd(cpu, [&](std::uint32_t& csr) { Operation::run(a, b, csr, zf, pf, cf); });
  using namespace x86::rflags;
  cpu.flags.set_arithmetic((zf ? ZF : 0) | (pf ? PF : 0) | (cf ? CF : 0));
}
template <typename Operation, Encoding kEncoding>
void compare_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  compare<Operation>(cpu, insn, cpu.fpu.xmm[insn.rm]);
}
template <typename Operation, typename T, Encoding kEncoding>
void compare_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  compare<Operation>(cpu, insn, widen(load_vector<T>(cpu, insn)));
}
template <typename Operation, typename T>
constexpr VectorForm compare_form() {
  VectorForm form;
  form.xmm_register = compare_register<Operation, Encoding::Legacy>;
  form.xmm_load = compare_memory<Operation, T, Encoding::Legacy>;
  form.vex[k128].with_register = compare_register<Operation, Encoding::Vex>;
  form.vex[k128].load = compare_memory<Operation, T, Encoding::Vex>;
  return form;
}

// ---- RCP, RSQRT
// The architecture only bounds the error (1.5 * 2^-12), and processors differ. Here the result is
// correctly rounded, so that every host gives the same. Denormals count as zero, tiny results
// become zero, and no flag is raised (SDM 2B, RCPPS).
constexpr std::uint32_t kSign = 0x80000000, kInfinity = 0x7f800000, kQuiet = 0x00400000,
                        kSmallestNormal = 0x00800000;

template <typename Function>
std::uint32_t approximate(std::uint32_t bits, Function function) {
  const std::uint32_t magnitude = bits & ~kSign;
  if (magnitude > kInfinity) return bits | kQuiet;
  if (magnitude < kSmallestNormal) return (bits & kSign) | kInfinity;
  const auto result = std::bit_cast<std::uint32_t>(function(std::bit_cast<float>(bits)));
  return (result & ~kSign) < kSmallestNormal ? result & kSign : result;
}
std::uint32_t reciprocal(std::uint32_t bits) {
  return approximate(bits, [](float x) { return static_cast<float>(1.0 / x); });
}
std::uint32_t reciprocal_root(std::uint32_t bits) {
  constexpr std::uint32_t kDefaultNan = 0xffc00000;
  const bool negative = (bits & kSign) != 0 && (bits & ~kSign) >= kSmallestNormal;
  if (negative && (bits & ~kSign) <= kInfinity) return kDefaultNan;
  return approximate(
      bits, [](float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))); });
}
template <std::uint32_t (*kFunction)(std::uint32_t)>
struct ApproximateAll {
  Xmm operator()(const Xmm&, const Xmm& b) const { return map<std::uint32_t>(b, kFunction); }
};
template <std::uint32_t (*kFunction)(std::uint32_t)>
struct ApproximateLowest {
  Xmm operator()(Xmm a, const Xmm& b) const {
    set_low(a, kFunction(low<std::uint32_t>(b)));
    return a;
  }
};
template <std::uint32_t (*kFunction)(std::uint32_t)>
constexpr VectorForm approximate_lowest() {
  return xmm_form<ApproximateLowest<kFunction>, Single>({});
}

}  // namespace

void register_sse_float(LowerTable& table) {
  add_forms(table, {
                       {ZYDIS_MNEMONIC_ADDPS, float_form<Addps>()},
                       {ZYDIS_MNEMONIC_ADDPD, float_form<Addpd>()},
                       {ZYDIS_MNEMONIC_ADDSS, float_form<Addss, Single>()},
                       {ZYDIS_MNEMONIC_ADDSD, float_form<Addsd, Double>()},
                       {ZYDIS_MNEMONIC_SUBPS, float_form<Subps>()},
                       {ZYDIS_MNEMONIC_SUBPD, float_form<Subpd>()},
                       {ZYDIS_MNEMONIC_SUBSS, float_form<Subss, Single>()},
                       {ZYDIS_MNEMONIC_SUBSD, float_form<Subsd, Double>()},
                       {ZYDIS_MNEMONIC_MULPS, float_form<Mulps>()},
                       {ZYDIS_MNEMONIC_MULPD, float_form<Mulpd>()},
                       {ZYDIS_MNEMONIC_MULSS, float_form<Mulss, Single>()},
                       {ZYDIS_MNEMONIC_MULSD, float_form<Mulsd, Double>()},
                       {ZYDIS_MNEMONIC_DIVPS, float_form<Divps>()},
                       {ZYDIS_MNEMONIC_DIVPD, float_form<Divpd>()},
                       {ZYDIS_MNEMONIC_DIVSS, float_form<Divss, Single>()},
                       {ZYDIS_MNEMONIC_DIVSD, float_form<Divsd, Double>()},
                       {ZYDIS_MNEMONIC_SQRTPS, float_form<Sqrtps>()},
                       {ZYDIS_MNEMONIC_SQRTPD, float_form<Sqrtpd>()},
                       {ZYDIS_MNEMONIC_SQRTSS, float_form<Sqrtss, Single>()},
                       {ZYDIS_MNEMONIC_SQRTSD, float_form<Sqrtsd, Double>()},
                       {ZYDIS_MNEMONIC_MINPS, float_form<Minps>()},
                       {ZYDIS_MNEMONIC_MINPD, float_form<Minpd>()},
                       {ZYDIS_MNEMONIC_MINSS, float_form<Minss, Single>()},
                       {ZYDIS_MNEMONIC_MINSD, float_form<Minsd, Double>()},
                       {ZYDIS_MNEMONIC_MAXPS, float_form<Maxps>()},
                       {ZYDIS_MNEMONIC_MAXPD, float_form<Maxpd>()},
                       {ZYDIS_MNEMONIC_MAXSS, float_form<Maxss, Single>()},
                       {ZYDIS_MNEMONIC_MAXSD, float_form<Maxsd, Double>()},
                       {ZYDIS_MNEMONIC_ADDSUBPS, float_form<Addsubps>()},
                       {ZYDIS_MNEMONIC_ADDSUBPD, float_form<Addsubpd>()},
                       {ZYDIS_MNEMONIC_HADDPS, float_form<Haddps>()},
                       {ZYDIS_MNEMONIC_HADDPD, float_form<Haddpd>()},
                       {ZYDIS_MNEMONIC_HSUBPS, float_form<Hsubps>()},
                       {ZYDIS_MNEMONIC_HSUBPD, float_form<Hsubpd>()},
                       {ZYDIS_MNEMONIC_CMPPS, float_form<Cmpps>()},
                       {ZYDIS_MNEMONIC_CMPPD, float_form<Cmppd>()},
                       {ZYDIS_MNEMONIC_CMPSS, float_form<Cmpss, Single>()},
                       {ZYDIS_MNEMONIC_CMPSD, float_form<Cmpsd, Double>()},
                       {ZYDIS_MNEMONIC_COMISS, compare_form<Comiss, Single>()},
                       {ZYDIS_MNEMONIC_COMISD, compare_form<Comisd, Double>()},
                       {ZYDIS_MNEMONIC_UCOMISS, compare_form<Ucomiss, Single>()},
                       {ZYDIS_MNEMONIC_UCOMISD, compare_form<Ucomisd, Double>()},
                       {ZYDIS_MNEMONIC_RCPPS, xmm_form(ApproximateAll<reciprocal>{})},
                       {ZYDIS_MNEMONIC_RCPSS, approximate_lowest<reciprocal>()},
                       {ZYDIS_MNEMONIC_RSQRTPS, xmm_form(ApproximateAll<reciprocal_root>{})},
                       {ZYDIS_MNEMONIC_RSQRTSS, approximate_lowest<reciprocal_root>()},
                   });
}

}  // namespace ringside::soft

// SSE4.1 floating point: rounding to integral values and dot products.
#include "engine/soft/instructions/vector/sse_float.h"

namespace ringside::soft {
namespace {

using Single = std::uint32_t;
using Double = std::uint64_t;

// ---- ROUND
// The encodings of MXCSR.RC and of the immediate's low bits.
enum class Rounding : unsigned { Nearest, Down, Up, Zero };

template <typename T>
struct Format {
  static constexpr unsigned kFractionBits = sizeof(T) == 4 ? 23 : 52;
  static constexpr unsigned kExponentBits = 8 * sizeof(T) - 1 - kFractionBits;
  static constexpr T kSign = T{1} << (8 * sizeof(T) - 1);
  static constexpr T kExponentMax = (T{1} << kExponentBits) - 1;
  static constexpr T kBias = kExponentMax / 2;
  static constexpr T kFraction = (T{1} << kFractionBits) - 1;
  static constexpr T kQuiet = T{1} << (kFractionBits - 1);
  static constexpr T kOne = kBias << kFractionBits;
};

// Whether a magnitude between two integers goes to the upper one; `half` compares the part that is
// lost with one half, `odd` is the lower integer's last bit.
bool goes_up(Rounding mode, bool negative, int half, bool odd) {
  switch (mode) {
    case Rounding::Nearest:
      return half > 0 || (half == 0 && odd);
    case Rounding::Down:
      return negative;
    case Rounding::Up:
      return !negative;
    default:
      return false;
  }
}

// On the bits, so that no host feature is needed. Flags go to `raised`. A denormal raises nothing
// by itself (SDM 2B, ROUNDPS).
template <typename T>
T round_to_integral(T x, Rounding mode, bool daz, std::uint32_t& raised) {
  using F = Format<T>;
  const T sign = x & F::kSign;
  const T magnitude = x & ~F::kSign;
  const T exponent = magnitude >> F::kFractionBits;
  if (exponent == F::kExponentMax) {
    if ((x & F::kFraction) == 0) return x;
    if ((x & F::kQuiet) == 0) raised |= mxcsr::kInvalid;
    return x | F::kQuiet;
  }
  if (magnitude == 0 || (exponent == 0 && daz)) return sign;
  if (exponent >= F::kBias + F::kFractionBits) return x;
  if (exponent < F::kBias) {  // less than one
    raised |= mxcsr::kPrecision;
    const T half_bits = (F::kBias - 1) << F::kFractionBits;
    const int half = magnitude < half_bits ? -1 : magnitude == half_bits ? 0 : 1;
    return goes_up(mode, sign != 0, half, false) ? sign | F::kOne : sign;
  }
  const auto lost_bits = static_cast<unsigned>(F::kBias + F::kFractionBits - exponent);
  const T unit = T{1} << lost_bits;
  const T lost = magnitude & (unit - 1);
  if (lost == 0) return x;
  raised |= mxcsr::kPrecision;
  const T kept = magnitude - lost;
  const int half = lost < unit / 2 ? -1 : lost == unit / 2 ? 0 : 1;
  // A carry out of the fraction goes into the exponent, as it should. The last bit of the integer
  // is the implicit one when all of the fraction is lost.
  const bool odd = lost_bits == F::kFractionBits || (kept & unit) != 0;
  return sign | (goes_up(mode, sign != 0, half, odd) ? kept + unit : kept);
}

template <typename T>
void round_lanes(Cpu& cpu, const Insn& insn, const Xmm& source, unsigned count) {
  constexpr unsigned kUseMxcsr = 4, kNoPrecision = 8;
  const std::uint32_t guest = cpu.fpu.mxcsr;
  const auto mode = static_cast<Rounding>((insn.immediate & kUseMxcsr) != 0 ? guest >> 13 & 3
                                                                            : insn.immediate & 3);
  const auto y = lanes<T>(source);
  auto result = lanes<T>(cpu.fpu.xmm[insn.reg]);
  std::uint32_t raised = 0;
  for (unsigned i = 0; i < count; ++i)
    result[i] = round_to_integral(y[i], mode, (guest & mxcsr::kDaz) != 0, raised);
  if ((insn.immediate & kNoPrecision) != 0) raised &= ~mxcsr::kPrecision;
  if (raised != 0) commit_simd_flags(cpu, raised);
  cpu.fpu.xmm[insn.reg] = vector_of<Xmm>(result);
}
template <typename T, unsigned kCount>
void round_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  round_lanes<T>(cpu, insn, cpu.fpu.xmm[insn.rm], kCount);
}
template <typename T, unsigned kCount>
void round_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  using Memory = std::conditional_t<kCount == 1, T, Xmm>;
  round_lanes<T>(cpu, insn, widen(load_vector<Memory>(cpu, insn)), kCount);
}
template <typename T, unsigned kCount>
constexpr VectorForm round_form() {
  VectorForm form;
  form.xmm_register = round_register<T, kCount>;
  form.xmm_load = round_memory<T, kCount>;
  return form;
}

// ---- Dot products: the steps of the manual's pseudocode, each with its own exceptions
RINGSIDE_SIMD(MultiplySingles, "mulps", Result::Singles, Step::Multiply);
RINGSIDE_SIMD(MultiplyDoubles, "mulpd", Result::Doubles, Step::Multiply);
RINGSIDE_SIMD(AddSingles, "addps", Result::Singles, Step::Add);
RINGSIDE_SIMD(AddDoubles, "addpd", Result::Doubles, Step::Add);

template <typename T, typename Operation>
LanesOf<T, Xmm> step(Cpu& cpu, const LanesOf<T, Xmm>& x, const LanesOf<T, Xmm>& y) {
  return lanes<T>(compute_simd<Operation>(cpu, vector_of<Xmm>(x), vector_of<Xmm>(y)));
}
// Bits 4.. of the immediate choose the products, bits 0.. the lanes that get the sum. Lanes not
// chosen multiply zeros, which raises nothing.
template <typename T, typename Multiply, typename Add>
void dot_product(Cpu& cpu, const Insn& insn, const Xmm& source) {
  constexpr unsigned kCount = kLanes<T, Xmm>;
  auto x = lanes<T>(cpu.fpu.xmm[insn.reg]);
  auto y = lanes<T>(source);
  for (unsigned i = 0; i < kCount; ++i)
    if ((insn.immediate >> (4 + i) & 1) == 0) x[i] = y[i] = 0;
  const auto products = step<T, Multiply>(cpu, x, y);
  T sum;
  if constexpr (kCount == 4) {
    const auto pairs = step<T, Add>(cpu, {products[0], products[2]}, {products[1], products[3]});
    sum = step<T, Add>(cpu, {pairs[0]}, {pairs[1]})[0];
  } else {
    sum = step<T, Add>(cpu, {products[0]}, {products[1]})[0];
  }
  LanesOf<T, Xmm> result{};
  for (unsigned i = 0; i < kCount; ++i)
    if ((insn.immediate >> i & 1) != 0) result[i] = sum;
  cpu.fpu.xmm[insn.reg] = vector_of<Xmm>(result);
}
template <typename T, typename Multiply, typename Add>
void dot_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  dot_product<T, Multiply, Add>(cpu, insn, cpu.fpu.xmm[insn.rm]);
}
template <typename T, typename Multiply, typename Add>
void dot_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  dot_product<T, Multiply, Add>(cpu, insn, load_vector<Xmm>(cpu, insn));
}
template <typename T, typename Multiply, typename Add>
constexpr VectorForm dot_form() {
  VectorForm form;
  form.xmm_register = dot_register<T, Multiply, Add>;
  form.xmm_load = dot_memory<T, Multiply, Add>;
  return form;
}

}  // namespace

void register_sse41_float(LowerTable& table) {
  add_forms(table, {
                       {ZYDIS_MNEMONIC_ROUNDPS, round_form<Single, 4>()},
                       {ZYDIS_MNEMONIC_ROUNDPD, round_form<Double, 2>()},
                       {ZYDIS_MNEMONIC_ROUNDSS, round_form<Single, 1>()},
                       {ZYDIS_MNEMONIC_ROUNDSD, round_form<Double, 1>()},
                       {ZYDIS_MNEMONIC_DPPS, dot_form<Single, MultiplySingles, AddSingles>()},
                       {ZYDIS_MNEMONIC_DPPD, dot_form<Double, MultiplyDoubles, AddDoubles>()},
                   });
}

}  // namespace ringside::soft

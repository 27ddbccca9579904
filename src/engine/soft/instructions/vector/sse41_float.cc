// SSE4.1 floating point, and with VEX: rounding to integral values and dot products.
#include "engine/soft/instructions/vector/float_format.h"
#include "engine/soft/instructions/vector/sse_float.h"

namespace ringside::soft {
namespace {

using Single = std::uint32_t;
using Double = std::uint64_t;

// ---- ROUND
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

// The lowest elements of each lane of 128 bits: all, or one.
template <typename T, unsigned kElements>
struct Round {
  template <std::size_t kCount>
  static Wide<kCount> wide(Cpu& cpu, const Wide<kCount>& a, const Wide<kCount>& b,
                           const Insn& insn) {
    constexpr unsigned kUseMxcsr = 4, kNoPrecision = 8;
    const std::uint32_t guest = cpu.fpu.mxcsr;
    const auto mode = static_cast<Rounding>((insn.immediate & kUseMxcsr) != 0 ? guest >> 13 & 3
                                                                              : insn.immediate & 3);
    std::uint32_t raised = 0;
    Wide<kCount> value;
    for (std::size_t lane = 0; lane < kCount; ++lane) {
      auto result = lanes<T>(a[lane]);
      const auto y = lanes<T>(b[lane]);
      for (unsigned i = 0; i < kElements; ++i)
        result[i] = round_to_integral(y[i], mode, (guest & mxcsr::kDaz) != 0, raised);
      value[lane] = vector_of<Xmm>(result);
    }
    if ((insn.immediate & kNoPrecision) != 0) raised &= ~mxcsr::kPrecision;
    if (raised != 0) commit_simd_flags(cpu, raised);
    return value;
  }
};
template <typename T, unsigned kElements>
void round_lanes(Cpu& cpu, const Insn& insn, const Xmm& source) {
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  destination = Round<T, kElements>::wide(cpu, Wide<1>{destination}, Wide<1>{source}, insn)[0];
}
template <typename T, unsigned kCount>
void round_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  round_lanes<T, kCount>(cpu, insn, cpu.fpu.xmm[insn.rm]);
}
template <typename T, unsigned kCount>
void round_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  using Memory = std::conditional_t<kCount == 1, T, Xmm>;
  round_lanes<T, kCount>(cpu, insn, widen(load_vector<Memory>(cpu, insn)));
}
template <typename T, unsigned kCount>
constexpr VectorForm round_form() {
  VectorForm form;
  form.xmm_register = round_register<T, kCount>;
  form.xmm_load = round_memory<T, kCount>;
  form.vex = vex_like_xmm<Round<T, kCount>, std::conditional_t<kCount == 1, T, Xmm>>();
  return form;
}

// ---- Dot products: the steps of the manual's pseudocode, each with its own exceptions
RINGSIDE_SIMD(MultiplySingles, "mulps", Result::Singles, Step::Multiply);
RINGSIDE_SIMD(MultiplyDoubles, "mulpd", Result::Doubles, Step::Multiply);
RINGSIDE_SIMD(AddSingles, "addps", Result::Singles, Step::Add);
RINGSIDE_SIMD(AddDoubles, "addpd", Result::Doubles, Step::Add);

// Bits 4.. of the immediate choose the products, bits 0.. the elements that get the sum; each lane
// of 128 bits is a product of its own. Elements not chosen multiply zeros, which raises nothing.
template <typename T, typename Multiply, typename Add>
struct DotProduct {
  static constexpr unsigned kElements = kLanes<T, Xmm>;
  template <std::size_t kCount>
  static Wide<kCount> wide(Cpu& cpu, Wide<kCount> a, Wide<kCount> b, const Insn& insn) {
    const auto is_chosen = [&](unsigned from, unsigned i) {
      return (insn.immediate >> (from + i) & 1) != 0;
    };
    for (std::size_t lane = 0; lane < kCount; ++lane) {
      auto x = lanes<T>(a[lane]), y = lanes<T>(b[lane]);
      for (unsigned i = 0; i < kElements; ++i)
        if (!is_chosen(4, i)) x[i] = y[i] = 0;
      a[lane] = vector_of<Xmm>(x);
      b[lane] = vector_of<Xmm>(y);
    }
    // The element at 0 in each lane becomes the sum of all.
    Wide<kCount> sum = compute_wide<Multiply>(cpu, a, b);
    for (unsigned step = 1; step < kElements; step *= 2)
      sum = add_neighbours<kCount>(cpu, sum, kElements / step);
    for (Xmm& lane : sum) {
      LanesOf<T, Xmm> result{};
      for (unsigned i = 0; i < kElements; ++i)
        if (is_chosen(0, i)) result[i] = lanes<T>(lane)[0];
      lane = vector_of<Xmm>(result);
    }
    return sum;
  }

 private:
  // The sums of the first `count` elements, two by two.
  template <std::size_t kCount>
  static Wide<kCount> add_neighbours(Cpu& cpu, const Wide<kCount>& from, unsigned count) {
    Wide<kCount> even, odd;
    for (std::size_t lane = 0; lane < kCount; ++lane) {
      const auto x = lanes<T>(from[lane]);
      LanesOf<T, Xmm> left{}, right{};
      for (unsigned i = 0; i < count / 2; ++i) {
        left[i] = x[2 * i];
        right[i] = x[2 * i + 1];
      }
      even[lane] = vector_of<Xmm>(left);
      odd[lane] = vector_of<Xmm>(right);
    }
    return compute_wide<Add>(cpu, even, odd);
  }
};
template <typename T, typename Multiply, typename Add>
void dot_product(Cpu& cpu, const Insn& insn, const Xmm& source) {
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  destination =
      DotProduct<T, Multiply, Add>::wide(cpu, Wide<1>{destination}, Wide<1>{source}, insn)[0];
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
  form.vex = vex_both<DotProduct<T, Multiply, Add>>();
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

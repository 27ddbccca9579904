// Compares to masks with VEX, which have 32 predicates (SDM 2A table 3-1), where SSE has eight. On
// the bits, so that no host feature is needed.
#include "engine/soft/instructions/vector/float_format.h"
#include "engine/soft/instructions/vector/sse_float.h"

namespace ringside::soft {
namespace {

enum Relation : unsigned { kLess = 1, kEqual = 2, kGreater = 4, kUnordered = 8 };

// The relations for which each predicate is true; bit 4 of it only changes whether a quiet NaN is
// invalid.
constexpr unsigned kTrueFor[16] = {
    kEqual,                                 // EQ
    kLess,                                  // LT
    kLess | kEqual,                         // LE
    kUnordered,                             // UNORD
    kLess | kGreater | kUnordered,          // NEQ
    kEqual | kGreater | kUnordered,         // NLT
    kGreater | kUnordered,                  // NLE
    kLess | kEqual | kGreater,              // ORD
    kEqual | kUnordered,                    // EQ, or unordered
    kLess | kUnordered,                     // NGE
    kLess | kEqual | kUnordered,            // NGT
    0,                                      // FALSE
    kLess | kGreater,                       // NEQ, and ordered
    kEqual | kGreater,                      // GE
    kGreater,                               // GT
    kLess | kEqual | kGreater | kUnordered  // TRUE
};
// The inequalities find quiet NaNs invalid where bit 4 is clear, the others where it is set.
constexpr bool is_signalling(unsigned predicate) {
  const unsigned kind = predicate & 3;
  return (kind == 1 || kind == 2) != ((predicate & 16) != 0);
}

template <typename T>
Relation relation(T a, T b, bool daz, bool signalling, std::uint32_t& raised) {
  using F = FloatFormat<T>;
  if (F::is_nan(a) || F::is_nan(b)) {
    if (signalling || F::is_signalling(a) || F::is_signalling(b)) raised |= mxcsr::kInvalid;
    return kUnordered;
  }
  if (daz) {
    a = F::denormal_as_zero(a);
    b = F::denormal_as_zero(b);
  } else if (F::is_denormal(a) || F::is_denormal(b)) {
    raised |= mxcsr::kDenormal;
  }
  // As numbers whose order is that of the values.
  const auto order = [](T x) {
    const auto magnitude = static_cast<std::int64_t>(x & ~F::kSign);
    return (x & F::kSign) != 0 ? -magnitude : magnitude;
  };
  return order(a) < order(b) ? kLess : order(a) == order(b) ? kEqual : kGreater;
}

// The lowest elements of each lane of 128 bits: all, or one.
template <typename T, unsigned kElements>
struct Compare {
  template <std::size_t kCount>
  static Wide<kCount> wide(Cpu& cpu, const Wide<kCount>& a, const Wide<kCount>& b,
                           const Insn& insn) {
    const unsigned predicate = insn.immediate & 31;
    const bool daz = (cpu.fpu.mxcsr & mxcsr::kDaz) != 0;
    std::uint32_t raised = 0;
    Wide<kCount> value;
    for (std::size_t lane = 0; lane < kCount; ++lane) {
      auto result = lanes<T>(a[lane]);
      const auto y = lanes<T>(b[lane]);
      for (unsigned i = 0; i < kElements; ++i) {
        const Relation found = relation(result[i], y[i], daz, is_signalling(predicate), raised);
        result[i] = all_ones_if<T>((kTrueFor[predicate & 15] & found) != 0);
      }
      value[lane] = vector_of<Xmm>(result);
    }
    if (raised != 0) commit_simd_flags(cpu, raised);
    return value;
  }
};

}  // namespace

void register_avx_compares(LowerTable& table) {
  using Single = std::uint32_t;
  using Double = std::uint64_t;
  add_vex_form(table, ZYDIS_MNEMONIC_VCMPPS, vex_both<Compare<Single, 4>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VCMPPD, vex_both<Compare<Double, 2>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VCMPSS, vex_like_xmm<Compare<Single, 1>, Single>());
  add_vex_form(table, ZYDIS_MNEMONIC_VCMPSD, vex_like_xmm<Compare<Double, 1>, Double>());
}

}  // namespace ringside::soft

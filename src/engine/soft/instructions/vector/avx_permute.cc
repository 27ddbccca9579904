// Permutations that only AVX has: VPERMIL within lanes of 128 bits, VPERM across them.
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// ---- Within lanes: by the immediate, or by the bits of a second operand
struct SinglesByImmediate {
  Xmm operator()(const Xmm&, const Xmm& b, u8 immediate) const {
    const auto x = lanes<u32>(b);
    LanesOf<u32, Xmm> result;
    for (unsigned i = 0; i < 4; ++i)
      result[i] = x[immediate >> (2 * i) & 3];
    return vector_of<Xmm>(result);
  }
};
struct DoublesByImmediate {
  static constexpr unsigned kImmediateBits = 2;
  Xmm operator()(const Xmm&, const Xmm& b, u8 immediate) const {
    const auto x = lanes<u64>(b);
    return vector_of<Xmm>(LanesOf<u64, Xmm>{x[immediate & 1], x[immediate >> 1 & 1]});
  }
};
struct SinglesByOperand {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const auto x = lanes<u32>(a);
    return map<u32>(b, [&](u32 control) { return x[control & 3]; });
  }
};
struct DoublesByOperand {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const auto x = lanes<u64>(a);
    return map<u64>(b, [&](u64 control) { return x[control >> 1 & 1]; });
  }
};
// One mnemonic for both; the forms with an immediate are in its opcode map.
template <typename ByImmediate, typename ByOperand>
bool lower_within(const Decoded& decoded, Insn& insn) {
  return decoded.insn.opcode_map == ZYDIS_OPCODE_MAP_0F3A
             ? lower_vex_form(decoded, insn, vex_both<ByImmediate>())
             : lower_vex_form(decoded, insn, vex_both<ByOperand>());
}

// ---- Across lanes, of 256 bits
template <typename T>
using Elements = std::array<T, 2 * kLanes<T, Xmm>>;

struct Halves {
  static Wide<2> wide(Cpu&, const Wide<2>& a, const Wide<2>& b, const Insn& insn) {
    const Xmm sources[] = {a[0], a[1], b[0], b[1]};
    const auto choose = [&](u64 control) {
      return (control & 8) != 0 ? Xmm{} : sources[control & 3];
    };
    return {choose(insn.immediate), choose(insn.immediate >> 4)};
  }
};
struct DwordsByOperand {  // the first operand chooses
  static Wide<2> wide(Cpu&, const Wide<2>& a, const Wide<2>& b, const Insn&) {
    const auto control = std::bit_cast<Elements<u32>>(a), x = std::bit_cast<Elements<u32>>(b);
    Elements<u32> result;
    for (unsigned i = 0; i < 8; ++i)
      result[i] = x[control[i] & 7];
    return std::bit_cast<Wide<2>>(result);
  }
};
struct QwordsByImmediate {
  static Wide<2> wide(Cpu&, const Wide<2>&, const Wide<2>& b, const Insn& insn) {
    const auto x = std::bit_cast<Elements<u64>>(b);
    Elements<u64> result;
    for (unsigned i = 0; i < 4; ++i)
      result[i] = x[insn.immediate >> (2 * i) & 3];
    return std::bit_cast<Wide<2>>(result);
  }
};
template <typename Operation>
constexpr std::array<VexForm, 2> across() {
  return {VexForm{}, vex_whole_form<Operation, 2>()};
}

}  // namespace

void register_avx_permutes(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_VPERMILPS, lower_within<SinglesByImmediate, SinglesByOperand>);
  table.add(ZYDIS_MNEMONIC_VPERMILPD, lower_within<DoublesByImmediate, DoublesByOperand>);
  add_vex_form(table, ZYDIS_MNEMONIC_VPERM2F128, across<Halves>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPERM2I128, across<Halves>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPERMD, across<DwordsByOperand>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPERMPS, across<DwordsByOperand>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPERMQ, across<QwordsByImmediate>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPERMPD, across<QwordsByImmediate>());
}

}  // namespace ringside::soft

// Shuffles, unpacks, packs, and words in and out of vectors (MMX, SSE to SSE3, AVX).
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// ---- Interleaving: PUNPCK, UNPCK
enum class Half { Low, High };
template <typename T, Half kHalf>
struct Unpack {
  template <typename V>
  V operator()(const V& a, const V& b) const {
    constexpr unsigned kFrom = kHalf == Half::High ? kLanes<T, V> / 2 : 0;
    const auto x = lanes<T>(a);
    const auto y = lanes<T>(b);
    LanesOf<T, V> result;
    for (unsigned i = 0; i < kLanes<T, V> / 2; ++i) {
      result[2 * i] = x[kFrom + i];
      result[2 * i + 1] = y[kFrom + i];
    }
    return vector_of<V>(result);
  }
};
// The MMX forms of the low half read 32 bits of memory only.
template <typename Operation>
void mmx_with_dword(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  const auto source = std::bit_cast<Mmx>(u64{load_vector<u32>(cpu, insn)});
  const Mmx result = operate<Operation, Mmx>(get_mmx(cpu, insn.reg), source, insn);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, result);
}
template <typename T>
constexpr VectorForm unpack_low() {
  VectorForm form = both_forms(Unpack<T, Half::Low>{});
  form.mmx_load = mmx_with_dword<Unpack<T, Half::Low>>;
  return form;
}
template <typename T>
constexpr VectorForm unpack_high() {
  return both_forms(Unpack<T, Half::High>{});
}

// ---- Narrowing with saturation
template <typename Narrow, typename Wide>
struct Pack {
  template <typename V>
  V operator()(const V& a, const V& b) const {
    const auto x = lanes<Wide>(a);
    const auto y = lanes<Wide>(b);
    LanesOf<Narrow, V> result;
    constexpr unsigned kHalf = kLanes<Wide, V>;
    for (unsigned i = 0; i < kHalf; ++i) {
      result[i] = saturate<Narrow>(std::int32_t{x[i]});
      result[kHalf + i] = saturate<Narrow>(std::int32_t{y[i]});
    }
    return vector_of<V>(result);
  }
};

// ---- Shuffles by an immediate: two bits choose one of four lanes
constexpr unsigned chosen(u8 immediate, unsigned i) { return (immediate >> (2 * i)) & 3; }
// Four lanes of T from `from` onwards are shuffled, the others copied from the source.
template <typename T, unsigned kFrom>
struct Shuffle {
  template <typename V>
  V operator()(const V&, const V& b, u8 immediate) const {
    const auto x = lanes<T>(b);
    auto result = x;
    for (unsigned i = 0; i < 4; ++i)
      result[kFrom + i] = x[kFrom + chosen(immediate, i)];
    return vector_of<V>(result);
  }
};

struct ShuffleDoubles {
  static constexpr unsigned kImmediateBits = 2;
  Xmm operator()(const Xmm& a, const Xmm& b, u8 immediate) const {
    return vector_of<Xmm>(
        LanesOf<u64, Xmm>{lanes<u64>(a)[immediate & 1], lanes<u64>(b)[immediate >> 1 & 1]});
  }
};

// ---- PINSRW, PEXTRW
template <typename V>
V with_word(V value, u16 word, u8 position) {
  auto x = lanes<u16>(value);
  x[position % x.size()] = word;
  return vector_of<V>(x);
}
template <Encoding kEncoding>
void pinsrw(Cpu& cpu, const Insn& insn, u16 word) {
  const Xmm& x = first_source<kEncoding>(cpu, insn);
  set_xmm<kEncoding>(cpu, insn.reg, with_word(x, word, static_cast<u8>(insn.immediate)));
}
template <Encoding kEncoding>
void pinsrw_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  pinsrw<kEncoding>(cpu, insn, cpu.get<u16>(insn.rm));
}
template <Encoding kEncoding>
void pinsrw_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  pinsrw<kEncoding>(cpu, insn, load_vector<u16>(cpu, insn));
}
void mmx_pinsrw_register(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  set_mmx(
      cpu, insn.reg,
      with_word(get_mmx(cpu, insn.reg), cpu.get<u16>(insn.rm), static_cast<u8>(insn.immediate)));
}
void mmx_pinsrw_memory(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  const u16 word = load_vector<u16>(cpu, insn);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, with_word(get_mmx(cpu, insn.reg), word, static_cast<u8>(insn.immediate)));
}
template <Encoding kEncoding>
void pextrw_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  cpu.set<u32>(insn.reg, lanes<u16>(cpu.fpu.xmm[insn.rm])[insn.immediate % 8]);
}
void mmx_pextrw_register(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  cpu.set<u32>(insn.reg, lanes<u16>(get_mmx(cpu, insn.rm))[insn.immediate % 4]);
}
template <Encoding kEncoding>
void pextrw_memory(Cpu& cpu, const Insn& insn) {  // SSE4.1
  check_vector<kEncoding>(cpu);
  store_vector(cpu, insn, lanes<u16>(cpu.fpu.xmm[insn.reg])[insn.immediate % 8]);
}

}  // namespace

void register_sse_shuffles(LowerTable& table) {
  VectorForm pinsrw;
  pinsrw.xmm_register = pinsrw_register<Encoding::Legacy>;
  pinsrw.xmm_load = pinsrw_memory<Encoding::Legacy>;
  pinsrw.vex[k128].with_register = pinsrw_register<Encoding::Vex>;
  pinsrw.vex[k128].load = pinsrw_memory<Encoding::Vex>;
  pinsrw.mmx_register = mmx_pinsrw_register;
  pinsrw.mmx_load = mmx_pinsrw_memory;
  VectorForm pextrw;
  pextrw.xmm_register = pextrw_register<Encoding::Legacy>;
  pextrw.vex[k128].with_register = pextrw_register<Encoding::Vex>;
  pextrw.mmx_register = mmx_pextrw_register;
  pextrw.xmm_store = pextrw_memory<Encoding::Legacy>;
  pextrw.vex[k128].store = pextrw_memory<Encoding::Vex>;
  add_forms(table,
            {
                {ZYDIS_MNEMONIC_PINSRW, pinsrw},
                {ZYDIS_MNEMONIC_PEXTRW, pextrw},
                {ZYDIS_MNEMONIC_PUNPCKLBW, unpack_low<u8>()},
                {ZYDIS_MNEMONIC_PUNPCKLWD, unpack_low<u16>()},
                {ZYDIS_MNEMONIC_PUNPCKLDQ, unpack_low<u32>()},
                {ZYDIS_MNEMONIC_PUNPCKHBW, unpack_high<u8>()},
                {ZYDIS_MNEMONIC_PUNPCKHWD, unpack_high<u16>()},
                {ZYDIS_MNEMONIC_PUNPCKHDQ, unpack_high<u32>()},
                {ZYDIS_MNEMONIC_PUNPCKLQDQ, xmm_form(Unpack<u64, Half::Low>{})},
                {ZYDIS_MNEMONIC_PUNPCKHQDQ, xmm_form(Unpack<u64, Half::High>{})},
                {ZYDIS_MNEMONIC_UNPCKLPS, xmm_form(Unpack<u32, Half::Low>{})},
                {ZYDIS_MNEMONIC_UNPCKHPS, xmm_form(Unpack<u32, Half::High>{})},
                {ZYDIS_MNEMONIC_UNPCKLPD, xmm_form(Unpack<u64, Half::Low>{})},
                {ZYDIS_MNEMONIC_UNPCKHPD, xmm_form(Unpack<u64, Half::High>{})},
                {ZYDIS_MNEMONIC_PACKSSWB, both_forms(Pack<std::int8_t, std::int16_t>{})},
                {ZYDIS_MNEMONIC_PACKSSDW, both_forms(Pack<std::int16_t, std::int32_t>{})},
                {ZYDIS_MNEMONIC_PACKUSWB, both_forms(Pack<u8, std::int16_t>{})},
                {ZYDIS_MNEMONIC_PSHUFD, xmm_form(Shuffle<u32, 0>{})},
                {ZYDIS_MNEMONIC_PSHUFLW, xmm_form(Shuffle<u16, 0>{})},
                {ZYDIS_MNEMONIC_PSHUFHW, xmm_form(Shuffle<u16, 4>{})},
                {ZYDIS_MNEMONIC_PSHUFW, mmx_form(Shuffle<u16, 0>{})},
                {ZYDIS_MNEMONIC_SHUFPS, xmm_form([](const Xmm& a, const Xmm& b, u8 immediate) {
                   const auto x = lanes<u32>(a);
                   const auto y = lanes<u32>(b);
                   return vector_of<Xmm>(
                       LanesOf<u32, Xmm>{x[chosen(immediate, 0)], x[chosen(immediate, 1)],
                                         y[chosen(immediate, 2)], y[chosen(immediate, 3)]});
                 })},
                {ZYDIS_MNEMONIC_SHUFPD, xmm_form(ShuffleDoubles{})},
                {ZYDIS_MNEMONIC_MOVSLDUP, xmm_form([](const Xmm&, const Xmm& b) {
                   const auto y = lanes<u32>(b);
                   return vector_of<Xmm>(LanesOf<u32, Xmm>{y[0], y[0], y[2], y[2]});
                 })},
                {ZYDIS_MNEMONIC_MOVSHDUP, xmm_form([](const Xmm&, const Xmm& b) {
                   const auto y = lanes<u32>(b);
                   return vector_of<Xmm>(LanesOf<u32, Xmm>{y[1], y[1], y[3], y[3]});
                 })},
            });
  const auto duplicate = [](const Xmm&, const Xmm& b) {
    return vector_of<Xmm>(LanesOf<u64, Xmm>{lanes<u64>(b)[0], lanes<u64>(b)[0]});
  };
  VectorForm duplicates = xmm_form<decltype(duplicate), u64>(duplicate);
  duplicates.vex[k256] = vex_whole_form<decltype(duplicate), 2>();
  add_form(table, ZYDIS_MNEMONIC_MOVDDUP, duplicates);
}

}  // namespace ringside::soft

// Moves between vector registers, general registers and memory (SSE to SSE3, MMX).
#include <emmintrin.h>

#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

enum class Alignment { Required, None };

// ---- Whole registers
void copy(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.fpu.xmm[insn.reg] = cpu.fpu.xmm[insn.rm];
}
template <Alignment kAlignment>
void load_whole(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.fpu.xmm[insn.reg] = kAlignment == Alignment::Required ? load_vector<Xmm>(cpu, insn)
                                                            : load_unaligned<Xmm>(cpu, insn);
}
template <Alignment kAlignment>
void store_whole(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  std::uint64_t linear = cpu.linear(insn, 16, AccessKind::Write);
  if constexpr (kAlignment == Alignment::Required) linear = aligned(linear);
  cpu.store<Xmm>(linear, cpu.fpu.xmm[insn.reg]);
}
template <Alignment kAlignment>
constexpr VectorForm whole_moves() {
  VectorForm form;
  form.xmm_register = copy;
  form.xmm_load = load_whole<kAlignment>;
  form.xmm_store = store_whole<kAlignment>;
  return form;
}
constexpr VectorForm streaming_store() {
  VectorForm form;
  form.xmm_store = store_whole<Alignment::Required>;
  return form;
}
constexpr VectorForm load_only(Handler handler) {
  VectorForm form;
  form.xmm_load = handler;
  return form;
}

// ---- The low part: loads clear the rest, register moves keep it for MOVSS and MOVSD
template <typename T>
void merge_low(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  set_low(cpu.fpu.xmm[insn.reg], low<T>(cpu.fpu.xmm[insn.rm]));
}
void zero_extend_low(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.fpu.xmm[insn.reg] = widen(low<std::uint64_t>(cpu.fpu.xmm[insn.rm]));
}
template <typename T>
void load_low(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.fpu.xmm[insn.reg] = widen(load_unaligned<T>(cpu, insn));
}
template <typename T>
void store_low(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  store_vector(cpu, insn, low<T>(cpu.fpu.xmm[insn.reg]));
}
template <typename T>
constexpr VectorForm scalar_moves() {
  VectorForm form;
  form.xmm_register = merge_low<T>;
  form.xmm_load = load_low<T>;
  form.xmm_store = store_low<T>;
  return form;
}

// ---- One half
template <unsigned kHalf>
void load_half(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const auto value = load_unaligned<std::uint64_t>(cpu, insn);
  std::memcpy(cpu.fpu.xmm[insn.reg].bytes.data() + 8 * kHalf, &value, 8);
}
template <unsigned kHalf>
void store_half(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  store_vector(cpu, insn, lanes<std::uint64_t>(cpu.fpu.xmm[insn.reg])[kHalf]);
}
// MOVHLPS (to 0 from 1) and MOVLHPS (to 1 from 0).
template <unsigned kTo>
void copy_half(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const std::uint64_t value = lanes<std::uint64_t>(cpu.fpu.xmm[insn.rm])[1 - kTo];
  std::memcpy(cpu.fpu.xmm[insn.reg].bytes.data() + 8 * kTo, &value, 8);
}
template <unsigned kHalf>
constexpr VectorForm half_moves() {
  VectorForm form;
  form.xmm_load = load_half<kHalf>;
  form.xmm_store = store_half<kHalf>;
  return form;
}

// ---- To and from general registers
template <typename T>
void from_general(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.fpu.xmm[insn.reg] = widen(cpu.get<T>(insn.rm));
}
template <typename T>
void to_general(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.set<T>(insn.reg, low<T>(cpu.fpu.xmm[insn.rm]));
}
template <typename T>
void mmx_from_general(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, std::bit_cast<Mmx>(std::uint64_t{cpu.get<T>(insn.rm)}));
}
template <typename T>
void mmx_to_general(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  cpu.set<T>(insn.reg, static_cast<T>(cpu.fpu.physical[insn.rm].significand));
}
template <typename T>
void mmx_load(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  const auto value = load_unaligned<T>(cpu, insn);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, std::bit_cast<Mmx>(std::uint64_t{value}));
}
template <typename T>
void mmx_store(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  store_vector(cpu, insn, static_cast<T>(cpu.fpu.physical[insn.reg].significand));
  enter_mmx(cpu);
}
void mmx_copy(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, get_mmx(cpu, insn.rm));
}
void movq2dq(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  check_mmx(cpu);
  enter_mmx(cpu);
  cpu.fpu.xmm[insn.reg] = widen(get_mmx(cpu, insn.rm));
}
void movdq2q(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  check_mmx(cpu);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, low<Mmx>(cpu.fpu.xmm[insn.rm]));
}

// MOVD and MOVQ: the width of the general register or memory operand decides, and which of the two
// operands is the vector.
template <typename T>
bool lower_narrow_move(const Decoded& decoded, Insn& insn) {
  const auto is_class = [&](unsigned i, ZydisRegisterClass wanted) {
    return decoded.is_register(i) && ZydisRegisterGetClass(decoded.op(i).reg.value) == wanted;
  };
  if (decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  const bool mmx = is_class(0, ZYDIS_REGCLASS_MMX) || is_class(1, ZYDIS_REGCLASS_MMX);
  if (decoded.is_memory(0)) {
    insn.reg = decoded.reg(1);
    lower_memory(decoded, 0, insn);
    insn.execute = mmx ? mmx_store<T> : store_low<T>;
    return true;
  }
  insn.reg = decoded.reg(0);
  if (decoded.is_memory(1)) {
    lower_memory(decoded, 1, insn);
    insn.execute = mmx ? mmx_load<T> : load_low<T>;
    return true;
  }
  insn.rm = decoded.reg(1);
  const auto general = [&](unsigned i) {
    return is_class(i, ZYDIS_REGCLASS_GPR32) || is_class(i, ZYDIS_REGCLASS_GPR64);
  };
  if (general(0)) {
    insn.execute = mmx ? mmx_to_general<T> : to_general<T>;
  } else if (general(1)) {
    insn.execute = mmx ? mmx_from_general<T> : from_general<T>;
  } else {
    insn.execute = mmx ? mmx_copy : zero_extend_low;
  }
  return true;
}

// MOVNTI is an integer store: no vector state is involved.
template <typename T>
void store_general(Cpu& cpu, const Insn& insn) {
  store_vector(cpu, insn, cpu.get<T>(insn.reg));
}
bool lower_movnti(const Decoded& decoded, Insn& insn) {
  insn.reg = decoded.reg(1);
  lower_memory(decoded, 0, insn);
  insn.execute = decoded.width(1) == Width::Bits64 ? store_general<std::uint64_t>
                                                   : store_general<std::uint32_t>;
  return true;
}

// ---- Sign masks
// On XMM registers with the host's own instruction: string functions live on it.
template <typename T>
std::uint32_t sign_mask(const Xmm& value) {
  if constexpr (sizeof(T) == 1) {
    return static_cast<std::uint32_t>(_mm_movemask_epi8(std::bit_cast<__m128i>(value)));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(std::bit_cast<__m128>(value)));
  } else {
    return static_cast<std::uint32_t>(_mm_movemask_pd(std::bit_cast<__m128d>(value)));
  }
}
std::uint32_t sign_mask(const Mmx& value) {
  std::uint32_t mask = 0;
  for (unsigned i = 0; i < 8; ++i)
    mask |= static_cast<std::uint32_t>(value.bytes[i] >> 7) << i;
  return mask;
}
template <typename T>
void xmm_sign_mask(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  cpu.set<std::uint32_t>(insn.reg, sign_mask<T>(cpu.fpu.xmm[insn.rm]));
}
void mmx_sign_mask(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  cpu.set<std::uint32_t>(insn.reg, sign_mask(get_mmx(cpu, insn.rm)));
}
constexpr VectorForm registers_only(Handler xmm, Handler mmx = nullptr) {
  VectorForm form;
  form.xmm_register = xmm;
  form.mmx_register = mmx;
  return form;
}

// ---- MASKMOVDQU, MASKMOVQ: bytes chosen by the sign bits of the mask, to DS:rDI
template <typename V>
void store_masked(Cpu& cpu, const Insn& insn, const V& value, const V& mask) {
  const std::uint64_t start = cpu.linear(insn, sizeof(V), AccessKind::Write);
  // Every chosen byte must be writable before the first is written.
  for (unsigned i = 0; i < sizeof(V); ++i) {
    if ((mask.bytes[i] & 0x80) != 0) cpu.check_write(start + i, 1);
  }
  for (unsigned i = 0; i < sizeof(V); ++i) {
    if ((mask.bytes[i] & 0x80) != 0) cpu.store<std::uint8_t>(start + i, value.bytes[i]);
  }
}
void maskmovdqu(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  store_masked(cpu, insn, cpu.fpu.xmm[insn.reg], cpu.fpu.xmm[insn.rm]);
}
void maskmovq(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  store_masked(cpu, insn, get_mmx(cpu, insn.reg), get_mmx(cpu, insn.rm));
  enter_mmx(cpu);
}
template <Handler kHandler>
bool lower_masked_store(const Decoded& decoded, Insn& insn) {
  if (decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  insn.execute = kHandler;
  insn.reg = decoded.reg(0);
  insn.rm = decoded.reg(1);
  for (unsigned i = 2; i < decoded.insn.operand_count; ++i) {
    if (!decoded.is_memory(i)) continue;
    lower_memory(decoded, i, insn);
    return true;
  }
  return false;
}

}  // namespace

void register_sse_moves(LowerTable& table) {
  constexpr VectorForm whole_aligned = whole_moves<Alignment::Required>();
  constexpr VectorForm whole_unaligned = whole_moves<Alignment::None>();
  add_forms(table, {
                       {ZYDIS_MNEMONIC_MOVAPS, whole_aligned},
                       {ZYDIS_MNEMONIC_MOVAPD, whole_aligned},
                       {ZYDIS_MNEMONIC_MOVDQA, whole_aligned},
                       {ZYDIS_MNEMONIC_MOVUPS, whole_unaligned},
                       {ZYDIS_MNEMONIC_MOVUPD, whole_unaligned},
                       {ZYDIS_MNEMONIC_MOVDQU, whole_unaligned},
                       {ZYDIS_MNEMONIC_LDDQU, load_only(load_whole<Alignment::None>)},
                       {ZYDIS_MNEMONIC_MOVNTDQA, load_only(load_whole<Alignment::Required>)},
                       {ZYDIS_MNEMONIC_MOVNTPS, streaming_store()},
                       {ZYDIS_MNEMONIC_MOVNTPD, streaming_store()},
                       {ZYDIS_MNEMONIC_MOVNTDQ, streaming_store()},
                       {ZYDIS_MNEMONIC_MOVSS, scalar_moves<std::uint32_t>()},
                       {ZYDIS_MNEMONIC_MOVSD, scalar_moves<std::uint64_t>()},
                       {ZYDIS_MNEMONIC_MOVLPS, half_moves<0>()},
                       {ZYDIS_MNEMONIC_MOVLPD, half_moves<0>()},
                       {ZYDIS_MNEMONIC_MOVHPS, half_moves<1>()},
                       {ZYDIS_MNEMONIC_MOVHPD, half_moves<1>()},
                       {ZYDIS_MNEMONIC_MOVHLPS, registers_only(copy_half<0>)},
                       {ZYDIS_MNEMONIC_MOVLHPS, registers_only(copy_half<1>)},
                       {ZYDIS_MNEMONIC_MOVMSKPS, registers_only(xmm_sign_mask<std::uint32_t>)},
                       {ZYDIS_MNEMONIC_MOVMSKPD, registers_only(xmm_sign_mask<std::uint64_t>)},
                       {ZYDIS_MNEMONIC_PMOVMSKB,
                        registers_only(xmm_sign_mask<std::uint8_t>, mmx_sign_mask)},
                       {ZYDIS_MNEMONIC_MOVQ2DQ, registers_only(nullptr, movq2dq)},
                       {ZYDIS_MNEMONIC_MOVDQ2Q, registers_only(nullptr, movdq2q)},
                   });
  VectorForm movntq;
  movntq.mmx_store = mmx_store<std::uint64_t>;
  add_form(table, ZYDIS_MNEMONIC_MOVNTQ, movntq);
  table.add(ZYDIS_MNEMONIC_MOVD, lower_narrow_move<std::uint32_t>);
  table.add(ZYDIS_MNEMONIC_MOVQ, lower_narrow_move<std::uint64_t>);
  table.add(ZYDIS_MNEMONIC_MOVNTI, lower_movnti);
  table.add(ZYDIS_MNEMONIC_MASKMOVDQU, lower_masked_store<maskmovdqu>);
  table.add(ZYDIS_MNEMONIC_MASKMOVQ, lower_masked_store<maskmovq>);
}

}  // namespace ringside::soft

// Moves between vector registers, general registers and memory (SSE to SSE3, AVX, MMX).
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
// The same of one lane or two, with VEX.
template <std::size_t kCount>
void copy_wide(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  set_wide(cpu, insn.reg, get_wide<kCount>(cpu, insn.rm));
}
template <Alignment kAlignment, std::size_t kCount>
std::uint64_t wide_linear(Cpu& cpu, const Insn& insn, AccessKind kind) {
  const std::uint64_t linear = cpu.linear(insn, 16 * kCount, kind);
  if (kAlignment == Alignment::Required && (linear & (16 * kCount - 1)) != 0) misaligned();
  return linear;
}
template <Alignment kAlignment, std::size_t kCount>
void load_wide(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const auto value =
      cpu.load<Wide<kCount>>(wide_linear<kAlignment, kCount>(cpu, insn, AccessKind::Read));
  set_wide(cpu, insn.reg, value);
}
template <Alignment kAlignment, std::size_t kCount>
void store_wide(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  cpu.store(wide_linear<kAlignment, kCount>(cpu, insn, AccessKind::Write),
            get_wide<kCount>(cpu, insn.reg));
}

template <Alignment kAlignment>
constexpr VectorForm load_only() {
  VectorForm form;
  form.xmm_load = load_whole<kAlignment>;
  form.vex[k128].load = load_wide<kAlignment, 1>;
  form.vex[k256].load = load_wide<kAlignment, 2>;
  return form;
}
constexpr VectorForm streaming_store() {
  VectorForm form;
  form.xmm_store = store_whole<Alignment::Required>;
  form.vex[k128].store = store_wide<Alignment::Required, 1>;
  form.vex[k256].store = store_wide<Alignment::Required, 2>;
  return form;
}
template <Alignment kAlignment>
constexpr VectorForm whole_moves() {
  VectorForm form = load_only<kAlignment>();
  form.xmm_register = copy;
  form.xmm_store = store_whole<kAlignment>;
  form.vex[k128].with_register = copy_wide<1>;
  form.vex[k256].with_register = copy_wide<2>;
  form.vex[k128].store = store_wide<kAlignment, 1>;
  form.vex[k256].store = store_wide<kAlignment, 2>;
  return form;
}

// ---- The low part: loads clear the rest, register moves keep it for MOVSS and MOVSD
template <typename T>
void merge_low(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  set_low(cpu.fpu.xmm[insn.reg], low<T>(cpu.fpu.xmm[insn.rm]));
}
template <typename T>
void vex_merge_low(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  Xmm result = cpu.fpu.xmm[insn.extra];
  set_low(result, low<T>(cpu.fpu.xmm[insn.rm]));
  set_xmm<Encoding::Vex>(cpu, insn.reg, result);
}
template <Encoding kEncoding>
void zero_extend_low(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  set_xmm<kEncoding>(cpu, insn.reg, widen(low<std::uint64_t>(cpu.fpu.xmm[insn.rm])));
}
template <typename T, Encoding kEncoding>
void load_low(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  set_xmm<kEncoding>(cpu, insn.reg, widen(load_unaligned<T>(cpu, insn)));
}
template <typename T, Encoding kEncoding>
void store_low(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  store_vector(cpu, insn, low<T>(cpu.fpu.xmm[insn.reg]));
}
template <typename T>
constexpr VectorForm scalar_moves() {
  VectorForm form;
  form.xmm_register = merge_low<T>;
  form.xmm_load = load_low<T, Encoding::Legacy>;
  form.xmm_store = store_low<T, Encoding::Legacy>;
  form.vex[k128].with_register = vex_merge_low<T>;
  form.vex[k128].load = load_low<T, Encoding::Vex>;
  form.vex[k128].store = store_low<T, Encoding::Vex>;
  return form;
}

// ---- One half
template <unsigned kHalf>
Xmm with_half(Xmm value, std::uint64_t half) {
  std::memcpy(value.bytes.data() + 8 * kHalf, &half, 8);
  return value;
}
template <unsigned kHalf, Encoding kEncoding>
void load_half(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  const auto half = load_unaligned<std::uint64_t>(cpu, insn);
  set_xmm<kEncoding>(cpu, insn.reg, with_half<kHalf>(first_source<kEncoding>(cpu, insn), half));
}
template <unsigned kHalf, Encoding kEncoding>
void store_half(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  store_vector(cpu, insn, lanes<std::uint64_t>(cpu.fpu.xmm[insn.reg])[kHalf]);
}
// MOVHLPS (to 0 from 1) and MOVLHPS (to 1 from 0).
template <unsigned kTo, Encoding kEncoding>
void copy_half(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  const std::uint64_t half = lanes<std::uint64_t>(cpu.fpu.xmm[insn.rm])[1 - kTo];
  set_xmm<kEncoding>(cpu, insn.reg, with_half<kTo>(first_source<kEncoding>(cpu, insn), half));
}
template <unsigned kHalf>
constexpr VectorForm half_moves() {
  VectorForm form;
  form.xmm_load = load_half<kHalf, Encoding::Legacy>;
  form.xmm_store = store_half<kHalf, Encoding::Legacy>;
  form.vex[k128].load = load_half<kHalf, Encoding::Vex>;
  form.vex[k128].store = store_half<kHalf, Encoding::Vex>;
  return form;
}
template <unsigned kTo>
constexpr VectorForm half_copies() {
  VectorForm form;
  form.xmm_register = copy_half<kTo, Encoding::Legacy>;
  form.vex[k128].with_register = copy_half<kTo, Encoding::Vex>;
  return form;
}

// ---- To and from general registers
template <typename T, Encoding kEncoding>
void from_general(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  set_xmm<kEncoding>(cpu, insn.reg, widen(cpu.get<T>(insn.rm)));
}
template <typename T, Encoding kEncoding>
void to_general(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
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
template <typename T, Encoding kEncoding>
Handler narrow_move(const Decoded& decoded) {
  const auto general = [&](unsigned i) {
    return decoded.is_register(i) && is_general(decoded.op(i).reg.value);
  };
  if (decoded.is_memory(0)) return store_low<T, kEncoding>;
  if (decoded.is_memory(1)) return load_low<T, kEncoding>;
  if (general(0)) return to_general<T, kEncoding>;
  if (general(1)) return from_general<T, kEncoding>;
  return zero_extend_low<kEncoding>;
}
template <typename T>
Handler mmx_narrow_move(const Decoded& decoded) {
  const auto general = [&](unsigned i) {
    return decoded.is_register(i) && is_general(decoded.op(i).reg.value);
  };
  if (decoded.is_memory(0)) return mmx_store<T>;
  if (decoded.is_memory(1)) return mmx_load<T>;
  if (general(0)) return mmx_to_general<T>;
  if (general(1)) return mmx_from_general<T>;
  return mmx_copy;
}
template <typename T>
bool lower_narrow_move(const Decoded& decoded, Insn& insn) {
  const auto is_mmx = [&](unsigned i) {
    return decoded.is_register(i) &&
           ZydisRegisterGetClass(decoded.op(i).reg.value) == ZYDIS_REGCLASS_MMX;
  };
  switch (decoded.insn.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
      insn.execute = is_mmx(0) || is_mmx(1) ? mmx_narrow_move<T>(decoded)
                                            : narrow_move<T, Encoding::Legacy>(decoded);
      break;
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
      insn.execute = narrow_move<T, Encoding::Vex>(decoded);
      break;
    default:
      return false;
  }
  const bool store = decoded.is_memory(0);
  insn.reg = decoded.reg(store ? 1 : 0);
  if (store) {
    lower_memory(decoded, 0, insn);
  } else if (decoded.is_memory(1)) {
    lower_memory(decoded, 1, insn);
  } else {
    insn.rm = decoded.reg(1);
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
template <typename T, std::size_t kCount>
void wide_sign_mask(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Wide<kCount> value = get_wide<kCount>(cpu, insn.rm);
  std::uint32_t mask = sign_mask<T>(value[0]);
  if constexpr (kCount == 2) mask |= sign_mask<T>(value[1]) << kLanes<T, Xmm>;
  cpu.set<std::uint32_t>(insn.reg, mask);
}
template <typename T>
constexpr VectorForm sign_mask_form(Handler mmx = nullptr) {
  VectorForm form;
  form.xmm_register = xmm_sign_mask<T>;
  form.mmx_register = mmx;
  form.vex[k128].with_register = wide_sign_mask<T, 1>;
  form.vex[k256].with_register = wide_sign_mask<T, 2>;
  return form;
}
void mmx_sign_mask(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  cpu.set<std::uint32_t>(insn.reg, sign_mask(get_mmx(cpu, insn.rm)));
}
constexpr VectorForm mmx_registers_only(Handler mmx) {
  VectorForm form;
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
template <Encoding kEncoding>
void maskmovdqu(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  store_masked(cpu, insn, cpu.fpu.xmm[insn.reg], cpu.fpu.xmm[insn.rm]);
}
void maskmovq(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  store_masked(cpu, insn, get_mmx(cpu, insn.reg), get_mmx(cpu, insn.rm));
  enter_mmx(cpu);
}
template <Handler kHandler>
bool lower_masked_store(const Decoded& decoded, Insn& insn) {
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
                       {ZYDIS_MNEMONIC_LDDQU, load_only<Alignment::None>()},
                       {ZYDIS_MNEMONIC_MOVNTDQA, load_only<Alignment::Required>()},
                       {ZYDIS_MNEMONIC_MOVNTPS, streaming_store()},
                       {ZYDIS_MNEMONIC_MOVNTPD, streaming_store()},
                       {ZYDIS_MNEMONIC_MOVNTDQ, streaming_store()},
                       {ZYDIS_MNEMONIC_MOVSS, scalar_moves<std::uint32_t>()},
                       {ZYDIS_MNEMONIC_MOVSD, scalar_moves<std::uint64_t>()},
                       {ZYDIS_MNEMONIC_MOVLPS, half_moves<0>()},
                       {ZYDIS_MNEMONIC_MOVLPD, half_moves<0>()},
                       {ZYDIS_MNEMONIC_MOVHPS, half_moves<1>()},
                       {ZYDIS_MNEMONIC_MOVHPD, half_moves<1>()},
                       {ZYDIS_MNEMONIC_MOVHLPS, half_copies<0>()},
                       {ZYDIS_MNEMONIC_MOVLHPS, half_copies<1>()},
                       {ZYDIS_MNEMONIC_MOVMSKPS, sign_mask_form<std::uint32_t>()},
                       {ZYDIS_MNEMONIC_MOVMSKPD, sign_mask_form<std::uint64_t>()},
                       {ZYDIS_MNEMONIC_PMOVMSKB, sign_mask_form<std::uint8_t>(mmx_sign_mask)},
                       {ZYDIS_MNEMONIC_MOVQ2DQ, mmx_registers_only(movq2dq)},
                       {ZYDIS_MNEMONIC_MOVDQ2Q, mmx_registers_only(movdq2q)},
                   });
  VectorForm movntq;
  movntq.mmx_store = mmx_store<std::uint64_t>;
  add_form(table, ZYDIS_MNEMONIC_MOVNTQ, movntq);
  table.add({ZYDIS_MNEMONIC_MOVD, ZYDIS_MNEMONIC_VMOVD}, lower_narrow_move<std::uint32_t>);
  table.add({ZYDIS_MNEMONIC_MOVQ, ZYDIS_MNEMONIC_VMOVQ}, lower_narrow_move<std::uint64_t>);
  table.add(ZYDIS_MNEMONIC_MOVNTI, lower_movnti);
  table.add(ZYDIS_MNEMONIC_MASKMOVDQU, lower_masked_store<maskmovdqu<Encoding::Legacy>>);
  table.add(ZYDIS_MNEMONIC_VMASKMOVDQU, lower_masked_store<maskmovdqu<Encoding::Vex>>);
  table.add(ZYDIS_MNEMONIC_MASKMOVQ, lower_masked_store<maskmovq>);
}

}  // namespace ringside::soft

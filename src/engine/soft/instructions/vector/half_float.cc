// F16C: between half and single precision (SDM 2D, VCVTPH2PS, VCVTPS2PH). MXCSR.FTZ has no effect.
#include "engine/soft/instructions/vector/float_format.h"
#include "engine/soft/instructions/vector/sse_float.h"

namespace ringside::soft {
namespace {

using Half = std::uint16_t;
using Single = std::uint32_t;

constexpr unsigned kFractionShift = 13;  // of a half's fraction in a single's

Single to_single(Half x, std::uint32_t& raised) {
  using H = FloatFormat<Half>;
  using S = FloatFormat<Single>;
  const Single sign = Single{static_cast<Half>(x & H::kSign)} << 16;
  if (H::is_nan(x)) {
    if (H::is_signalling(x)) raised |= mxcsr::kInvalid;
    return sign | S::kInfinity | S::kQuiet |
           Single{static_cast<Half>(x & H::kFraction)} << kFractionShift;
  }
  if (H::is_infinite(x)) return sign | S::kInfinity;
  if (H::is_zero(x)) return sign;
  std::uint32_t none = 0;  // it is exact, a denormal too
  return round_to<Single>(exact(x), Rounding::Nearest, mxcsr::kMasks, false, none);
}

Half to_half(Single x, Rounding mode, std::uint32_t guest, std::uint32_t& raised) {
  using H = FloatFormat<Half>;
  using S = FloatFormat<Single>;
  const Half sign = static_cast<Half>((x & S::kSign) >> 16);
  if (S::is_nan(x)) {
    if (S::is_signalling(x)) raised |= mxcsr::kInvalid;
    const auto fraction = static_cast<Half>((x & S::kFraction) >> kFractionShift);
    return static_cast<Half>(sign | H::kInfinity | H::kQuiet | fraction);
  }
  if (S::is_infinite(x)) return static_cast<Half>(sign | H::kInfinity);
  if (S::is_denormal(x)) {
    if ((guest & mxcsr::kDaz) != 0) return sign;
    raised |= mxcsr::kDenormal;
  }
  if (S::is_zero(x)) return sign;
  return round_to<Half>(exact(x), mode, guest, false, raised);
}

template <std::size_t kCount, bool kMemory>
void from_halves(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  using Memory = std::conditional_t<kCount == 1, std::uint64_t, Xmm>;
  const Xmm source = kMemory ? widen(load_unaligned<Memory>(cpu, insn)) : cpu.fpu.xmm[insn.rm];
  const auto halves = lanes<Half>(source);
  std::uint32_t raised = 0;
  std::array<Single, 4 * kCount> result;
  for (unsigned i = 0; i < result.size(); ++i)
    result[i] = to_single(halves[i], raised);
  if (raised != 0) commit_simd_flags(cpu, raised);
  set_wide(cpu, insn.reg, std::bit_cast<Wide<kCount>>(result));
}

// Eight halves, or four with zeros above them.
template <std::size_t kCount>
Xmm to_halves(Cpu& cpu, const Insn& insn, const Wide<kCount>& source) {
  constexpr unsigned kUseMxcsr = 4;
  const std::uint32_t guest = cpu.fpu.mxcsr;
  const auto mode = (insn.immediate & kUseMxcsr) != 0 ? rounding_of(guest)
                                                      : static_cast<Rounding>(insn.immediate & 3);
  const auto singles = std::bit_cast<std::array<Single, 4 * kCount>>(source);
  std::uint32_t raised = 0;
  LanesOf<Half, Xmm> result{};
  for (unsigned i = 0; i < singles.size(); ++i)
    result[i] = to_half(singles[i], mode, guest, raised);
  if (raised != 0) commit_simd_flags(cpu, raised);
  return vector_of<Xmm>(result);
}
template <std::size_t kCount>
void to_halves_register(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Xmm result = to_halves<kCount>(cpu, insn, get_wide<kCount>(cpu, insn.rm));
  set_xmm<Encoding::Vex>(cpu, insn.reg, result);
}
template <std::size_t kCount>
void to_halves_memory(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  using Memory = std::conditional_t<kCount == 1, std::uint64_t, Xmm>;
  // A page fault comes before what the conversion raises.
  const std::uint64_t linear = cpu.linear(insn, sizeof(Memory), AccessKind::Write);
  cpu.check_write(linear, sizeof(Memory));
  const Xmm result = to_halves<kCount>(cpu, insn, get_wide<kCount>(cpu, insn.reg));
  cpu.store(linear, low<Memory>(result));
}

}  // namespace

void register_half_floats(LowerTable& table) {
  std::array<VexForm, 2> from, to;
  from[k128].with_register = from_halves<1, false>;
  from[k128].load = from_halves<1, true>;
  from[k256].with_register = from_halves<2, false>;
  from[k256].load = from_halves<2, true>;
  to[k128].with_register = to_halves_register<1>;
  to[k128].store = to_halves_memory<1>;
  to[k256].with_register = to_halves_register<2>;
  to[k256].store = to_halves_memory<2>;
  add_vex_form(table, ZYDIS_MNEMONIC_VCVTPH2PS, from);
  add_vex_form(table, ZYDIS_MNEMONIC_VCVTPS2PH, to);
}

}  // namespace ringside::soft

// Conversions between floating-point and integer formats (SSE, SSE2, and with VEX; MMX operands
// included).
#include "engine/soft/instructions/vector/sse_float.h"

namespace ringside::soft {
namespace {

using host::Float;
using Single = std::uint32_t;
using Double = std::uint64_t;

// ---- Between XMM registers
RINGSIDE_SIMD(Cvtps2pd, "cvtps2pd", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvtpd2ps, "cvtpd2ps", Result::Singles, Step::Narrow);
RINGSIDE_SIMD(Cvtss2sd, "cvtss2sd", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvtsd2ss, "cvtsd2ss", Result::Single, Step::Narrow);
RINGSIDE_SIMD(Cvtdq2ps, "cvtdq2ps", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvtdq2pd, "cvtdq2pd", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvtps2dq, "cvtps2dq", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvttps2dq, "cvttps2dq", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvtpd2dq, "cvtpd2dq", Result::Doubles, Step::Other);
RINGSIDE_SIMD(Cvttpd2dq, "cvttpd2dq", Result::Doubles, Step::Other);

template <typename Operation>
void with_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  destination = compute_simd<Operation>(cpu, destination, cpu.fpu.xmm[insn.rm]);
}
template <typename Operation, typename T>
void with_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const Xmm source = widen(load_vector<T>(cpu, insn));
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  destination = compute_simd<Operation>(cpu, destination, source);
}
template <typename Operation, typename T = Xmm>
constexpr VectorForm convert_form() {
  VectorForm form;
  form.xmm_register = with_register<Operation>;
  form.xmm_load = with_memory<Operation, T>;
  form.vex = vex_like_xmm<FloatOperation<Operation>, T>();
  return form;
}
// From two elements to two that are twice as wide: to 256 bits from the four of an XMM register.
template <typename Operation, bool kMemory>
void widen_to_256(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const auto halves = lanes<std::uint64_t>(second_source<1, kMemory>(cpu, insn)[0]);
  const Wide<2> source = {widen(halves[0]), widen(halves[1])};
  set_wide(cpu, insn.reg, compute_wide<Operation>(cpu, Wide<2>{}, source));
}
template <typename Operation>
constexpr VectorForm widening_form() {
  VectorForm form = convert_form<Operation, std::uint64_t>();
  form.vex[k256].with_register = widen_to_256<Operation, false>;
  form.vex[k256].load = widen_to_256<Operation, true>;
  return form;
}
// From two elements to two that are half as wide: from 256 bits to an XMM register.
template <typename Operation, bool kMemory>
void narrow_from_256(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Wide<2> source = second_source<2, kMemory>(cpu, insn);
  const Wide<2> result = compute_wide<Operation>(cpu, Wide<2>{}, source);
  const LanesOf<std::uint64_t, Xmm> halves = {low<std::uint64_t>(result[0]),
                                              low<std::uint64_t>(result[1])};
  set_xmm<Encoding::Vex>(cpu, insn.reg, vector_of<Xmm>(halves));
}
template <typename Operation>
constexpr VectorForm narrowing_form() {
  VectorForm form = convert_form<Operation>();
  form.vex[k256].with_register = narrow_from_256<Operation, false>;
  form.vex[k256].load = narrow_from_256<Operation, true>;
  return form;
}

// ---- From general registers
#define RINGSIDE_FROM_INTEGER(Name, text, Integer)       \
  struct Name {                                          \
    using T = Integer;                                   \
    static void run(Float& a, T b, std::uint32_t& csr) { \
      asm volatile(text " %[b], %[a]\n\tstmxcsr %[csr]"  \
                   : [a] "+x"(a), [csr] "=m"(csr)        \
                   : [b] "r"(b));                        \
    }                                                    \
  }
RINGSIDE_FROM_INTEGER(Cvtsi2ssl, "cvtsi2ssl", std::uint32_t);
RINGSIDE_FROM_INTEGER(Cvtsi2ssq, "cvtsi2ssq", std::uint64_t);
RINGSIDE_FROM_INTEGER(Cvtsi2sdl, "cvtsi2sdl", std::uint32_t);
RINGSIDE_FROM_INTEGER(Cvtsi2sdq, "cvtsi2sdq", std::uint64_t);

template <typename Operation, Encoding kEncoding>
void from_integer(Cpu& cpu, const Insn& insn, typename Operation::T source) {
  const Float a = host::to_host(first_source<kEncoding>(cpu, insn));
  Float result;
  run_simd(cpu, [&](std::uint32_t& csr) {
    result = a;
    Operation::run(result, source, csr);
  });
  set_xmm<kEncoding>(cpu, insn.reg, host::from_host(result));
}
template <typename Operation, Encoding kEncoding>
void from_general(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  from_integer<Operation, kEncoding>(cpu, insn, cpu.get<typename Operation::T>(insn.rm));
}
template <typename Operation, Encoding kEncoding>
void from_integer_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  from_integer<Operation, kEncoding>(cpu, insn, load_vector<typename Operation::T>(cpu, insn));
}

// ---- To general registers
#define RINGSIDE_TO_INTEGER(Name, text, Integer)                \
  struct Name {                                                 \
    using T = Integer;                                          \
    static void run(T& a, const Float& b, std::uint32_t& csr) { \
      asm volatile(text " %[b], %[a]\n\tstmxcsr %[csr]"         \
                   : [a] "=r"(a), [csr] "=m"(csr)               \
                   : [b] "x"(b));                               \
    }                                                           \
  }
RINGSIDE_TO_INTEGER(Cvtss2sil, "cvtss2si", std::uint32_t);
RINGSIDE_TO_INTEGER(Cvtss2siq, "cvtss2si", std::uint64_t);
RINGSIDE_TO_INTEGER(Cvttss2sil, "cvttss2si", std::uint32_t);
RINGSIDE_TO_INTEGER(Cvttss2siq, "cvttss2si", std::uint64_t);
RINGSIDE_TO_INTEGER(Cvtsd2sil, "cvtsd2si", std::uint32_t);
RINGSIDE_TO_INTEGER(Cvtsd2siq, "cvtsd2si", std::uint64_t);
RINGSIDE_TO_INTEGER(Cvttsd2sil, "cvttsd2si", std::uint32_t);
RINGSIDE_TO_INTEGER(Cvttsd2siq, "cvttsd2si", std::uint64_t);

template <typename Operation>
void to_integer(Cpu& cpu, const Insn& insn, const Xmm& source) {
  const Float b = host::to_host(source);
  typename Operation::T result = 0;
  run_simd(cpu, [&](std::uint32_t& csr) { Operation::run(result, b, csr); });
  cpu.set(insn.reg, result);
}
template <typename Operation, Encoding kEncoding>
void to_general(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  to_integer<Operation>(cpu, insn, cpu.fpu.xmm[insn.rm]);
}
template <typename Operation, typename T, Encoding kEncoding>
void memory_to_general(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  to_integer<Operation>(cpu, insn, widen(load_vector<T>(cpu, insn)));
}

// The width of the integer operand chooses between two operations.
template <typename Operation, Encoding kEncoding>
Handler from_integer_handler(bool memory) {
  return memory ? from_integer_memory<Operation, kEncoding> : from_general<Operation, kEncoding>;
}
template <typename Narrow, typename Broad>
bool lower_from_integer(const Decoded& decoded, Insn& insn) {
  const bool vex = decoded.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  const unsigned integer = vex ? 2 : 1;
  const bool wide = decoded.width(integer) == Width::Bits64, memory = decoded.is_memory(integer);
  lower_vex_operands(decoded, insn);
  if (vex) {
    insn.execute = wide ? from_integer_handler<Broad, Encoding::Vex>(memory)
                        : from_integer_handler<Narrow, Encoding::Vex>(memory);
  } else {
    insn.execute = wide ? from_integer_handler<Broad, Encoding::Legacy>(memory)
                        : from_integer_handler<Narrow, Encoding::Legacy>(memory);
  }
  return true;
}
template <typename Operation, typename T, Encoding kEncoding>
Handler to_integer_handler(bool memory) {
  return memory ? memory_to_general<Operation, T, kEncoding> : to_general<Operation, kEncoding>;
}
template <typename Narrow, typename Broad, typename T>
bool lower_to_integer(const Decoded& decoded, Insn& insn) {
  const bool wide = decoded.width(0) == Width::Bits64, memory = decoded.is_memory(1);
  lower_vex_operands(decoded, insn);
  if (decoded.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
    insn.execute = wide ? to_integer_handler<Broad, T, Encoding::Vex>(memory)
                        : to_integer_handler<Narrow, T, Encoding::Vex>(memory);
  } else {
    insn.execute = wide ? to_integer_handler<Broad, T, Encoding::Legacy>(memory)
                        : to_integer_handler<Narrow, T, Encoding::Legacy>(memory);
  }
  return true;
}

// ---- MMX operands: two integers or two singles in 64 bits
// CVTPI2PS keeps the upper half of its destination; CVTPI2PD writes all of it and is exact.
template <typename Operation>
Xmm from_pair(Cpu& cpu, const Insn& insn, const Mmx& source) {
  const Xmm& destination = cpu.fpu.xmm[insn.reg];
  Xmm result = compute_simd<Operation>(cpu, destination, widen(source));
  if constexpr (std::is_same_v<Operation, Cvtdq2ps>) {
    const auto pair = low<std::uint64_t>(result);
    result = destination;
    set_low(result, pair);
  }
  return result;
}
template <typename Operation>
void from_mmx(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  check_mmx(cpu);
  const Xmm result = from_pair<Operation>(cpu, insn, get_mmx(cpu, insn.rm));
  enter_mmx(cpu);
  cpu.fpu.xmm[insn.reg] = result;
}
// With a memory operand nothing of the x87 state is used or changed.
template <typename Operation>
void from_pair_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const Mmx source = load_vector<Mmx>(cpu, insn);
  cpu.fpu.xmm[insn.reg] = from_pair<Operation>(cpu, insn, source);
}
template <typename Operation>
constexpr VectorForm from_pair_form() {
  VectorForm form;
  form.mmx_register = from_mmx<Operation>;
  form.xmm_load = from_pair_memory<Operation>;
  return form;
}
// To an MMX register from an XMM register or memory operand of T.
template <typename Operation, typename T>
void to_mmx(Cpu& cpu, const Insn& insn, const T& source) {
  const Mmx result = low<Mmx>(compute_simd<Operation>(cpu, Xmm{}, widen(source)));
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, result);
}
template <typename Operation, typename T>
void to_mmx_from_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  check_mmx(cpu);
  // The part of the source that is not converted must raise no flag.
  to_mmx<Operation, T>(cpu, insn, low<T>(cpu.fpu.xmm[insn.rm]));
}
template <typename Operation, typename T>
void to_mmx_from_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  check_mmx(cpu);
  to_mmx<Operation, T>(cpu, insn, load_vector<T>(cpu, insn));
}
template <typename Operation, typename T>
constexpr VectorForm to_mmx_form() {
  VectorForm form;
  form.mmx_register = to_mmx_from_register<Operation, T>;
  form.mmx_load = to_mmx_from_memory<Operation, T>;
  return form;
}

}  // namespace

void register_sse_converts(LowerTable& table) {
  add_forms(table, {
                       {ZYDIS_MNEMONIC_CVTPS2PD, widening_form<Cvtps2pd>()},
                       {ZYDIS_MNEMONIC_CVTPD2PS, narrowing_form<Cvtpd2ps>()},
                       {ZYDIS_MNEMONIC_CVTSS2SD, convert_form<Cvtss2sd, Single>()},
                       {ZYDIS_MNEMONIC_CVTSD2SS, convert_form<Cvtsd2ss, Double>()},
                       {ZYDIS_MNEMONIC_CVTDQ2PS, convert_form<Cvtdq2ps>()},
                       {ZYDIS_MNEMONIC_CVTDQ2PD, widening_form<Cvtdq2pd>()},
                       {ZYDIS_MNEMONIC_CVTPS2DQ, convert_form<Cvtps2dq>()},
                       {ZYDIS_MNEMONIC_CVTTPS2DQ, convert_form<Cvttps2dq>()},
                       {ZYDIS_MNEMONIC_CVTPD2DQ, narrowing_form<Cvtpd2dq>()},
                       {ZYDIS_MNEMONIC_CVTTPD2DQ, narrowing_form<Cvttpd2dq>()},
                       {ZYDIS_MNEMONIC_CVTPI2PS, from_pair_form<Cvtdq2ps>()},
                       {ZYDIS_MNEMONIC_CVTPI2PD, from_pair_form<Cvtdq2pd>()},
                       {ZYDIS_MNEMONIC_CVTPS2PI, to_mmx_form<Cvtps2dq, Mmx>()},
                       {ZYDIS_MNEMONIC_CVTTPS2PI, to_mmx_form<Cvttps2dq, Mmx>()},
                       {ZYDIS_MNEMONIC_CVTPD2PI, to_mmx_form<Cvtpd2dq, Xmm>()},
                       {ZYDIS_MNEMONIC_CVTTPD2PI, to_mmx_form<Cvttpd2dq, Xmm>()},
                   });
  table.add({ZYDIS_MNEMONIC_CVTSI2SS, ZYDIS_MNEMONIC_VCVTSI2SS},
            lower_from_integer<Cvtsi2ssl, Cvtsi2ssq>);
  table.add({ZYDIS_MNEMONIC_CVTSI2SD, ZYDIS_MNEMONIC_VCVTSI2SD},
            lower_from_integer<Cvtsi2sdl, Cvtsi2sdq>);
  table.add({ZYDIS_MNEMONIC_CVTSS2SI, ZYDIS_MNEMONIC_VCVTSS2SI},
            lower_to_integer<Cvtss2sil, Cvtss2siq, Single>);
  table.add({ZYDIS_MNEMONIC_CVTTSS2SI, ZYDIS_MNEMONIC_VCVTTSS2SI},
            lower_to_integer<Cvttss2sil, Cvttss2siq, Single>);
  table.add({ZYDIS_MNEMONIC_CVTSD2SI, ZYDIS_MNEMONIC_VCVTSD2SI},
            lower_to_integer<Cvtsd2sil, Cvtsd2siq, Double>);
  table.add({ZYDIS_MNEMONIC_CVTTSD2SI, ZYDIS_MNEMONIC_VCVTTSD2SI},
            lower_to_integer<Cvttsd2sil, Cvttsd2siq, Double>);
}

}  // namespace ringside::soft

// SSE4.1 integer instructions, blends, inserts and extracts, PCMPGTQ of SSE4.2, and the same with
// VEX.
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

template <typename T, typename Function>
struct Lanewise {
  Xmm operator()(const Xmm& a, const Xmm& b) const { return map<T>(a, b, Function{}); }
};
template <typename T, typename Function>
constexpr VectorForm lanewise(Function) {
  return xmm_form(Lanewise<T, Function>{});
}

// ---- PMOVSX, PMOVZX: the low lanes, widened. A function, because clang-tidy
// takes signed bytes that are assigned to wider numbers for characters.
template <typename To, typename Narrow>
constexpr To widened(Narrow value) {
  return value;
}
template <typename Narrow, typename To>
struct Widen {
  Xmm operator()(const Xmm&, const Xmm& b) const {
    const auto x = lanes<Narrow>(b);
    LanesOf<To, Xmm> result;
    for (unsigned i = 0; i < result.size(); ++i)
      result[i] = widened<To>(x[i]);
    return vector_of<Xmm>(result);
  }
};
// To 256 bits from the low lanes of one register, or as much memory.
template <typename Narrow, typename To, typename Memory, bool kMemory>
void widen_to_256(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Xmm source = kMemory ? widen(load_unaligned<Memory>(cpu, insn)) : cpu.fpu.xmm[insn.rm];
  const auto x = lanes<Narrow>(source);
  constexpr unsigned kCount = kLanes<To, Xmm>;
  std::array<LanesOf<To, Xmm>, 2> result;
  for (unsigned i = 0; i < 2 * kCount; ++i)
    result[i / kCount][i % kCount] = widened<To>(x[i]);
  set_wide<2>(cpu, insn.reg, {vector_of<Xmm>(result[0]), vector_of<Xmm>(result[1])});
}
template <typename Narrow, typename To>
constexpr VectorForm widening() {
  constexpr unsigned kBytes = 16 * sizeof(Narrow) / sizeof(To);
  using Memory = std::conditional_t<kBytes == 8, u64, std::conditional_t<kBytes == 4, u32, u16>>;
  using Twice = std::conditional_t<kBytes == 8, Xmm, std::conditional_t<kBytes == 4, u64, u32>>;
  VectorForm form = xmm_form<Widen<Narrow, To>, Memory>({});
  form.vex[k256].with_register = widen_to_256<Narrow, To, Twice, false>;
  form.vex[k256].load = widen_to_256<Narrow, To, Twice, true>;
  return form;
}

// ---- Blends
// By the immediate's bits.
template <typename T>
struct Blend {
  // Words: the same eight bits for each lane of a register.
  static constexpr unsigned kImmediateBits = kLanes<T, Xmm> % 8;
  Xmm operator()(const Xmm& a, const Xmm& b, u8 immediate) const {
    auto result = lanes<T>(a);
    const auto y = lanes<T>(b);
    for (unsigned i = 0; i < result.size(); ++i)
      if ((immediate >> i & 1) != 0) result[i] = y[i];
    return vector_of<Xmm>(result);
  }
};
// By the signs of XMM0's lanes.
template <typename T>
Xmm blend_by_signs(const Xmm& a, const Xmm& b, const Xmm& mask) {
  auto result = lanes<T>(a);
  const auto y = lanes<T>(b);
  const auto m = lanes<std::make_signed_t<T>>(mask);
  for (unsigned i = 0; i < result.size(); ++i)
    if (m[i] < 0) result[i] = y[i];
  return vector_of<Xmm>(result);
}
template <typename T>
void blend_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  Xmm& a = cpu.fpu.xmm[insn.reg];
  a = blend_by_signs<T>(a, cpu.fpu.xmm[insn.rm], cpu.fpu.xmm[0]);
}
template <typename T>
void blend_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const Xmm b = load_vector<Xmm>(cpu, insn);
  Xmm& a = cpu.fpu.xmm[insn.reg];
  a = blend_by_signs<T>(a, b, cpu.fpu.xmm[0]);
}
// With VEX the mask is a fourth register, whose number is in the immediate.
template <typename T, std::size_t kCount, bool kMemory>
void vex_blend(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Wide<kCount> a = get_wide<kCount>(cpu, insn.extra);
  const Wide<kCount> b = second_source<kCount, kMemory>(cpu, insn);
  const Wide<kCount> mask = get_wide<kCount>(cpu, static_cast<unsigned>(insn.immediate));
  Wide<kCount> result;
  for (std::size_t i = 0; i < kCount; ++i)
    result[i] = blend_by_signs<T>(a[i], b[i], mask[i]);
  set_wide(cpu, insn.reg, result);
}
template <typename T>
constexpr VectorForm blend_form() {
  VectorForm form;
  form.xmm_register = blend_register<T>;
  form.xmm_load = blend_memory<T>;
  form.vex[k128].with_register = vex_blend<T, 1, false>;
  form.vex[k128].load = vex_blend<T, 1, true>;
  form.vex[k256].with_register = vex_blend<T, 2, false>;
  form.vex[k256].load = vex_blend<T, 2, true>;
  return form;
}

// ---- Lanes in and out
// PEXTR and EXTRACTPS; a byte or dword clears the rest of a 64-bit register.
template <typename T>
T lane(const Xmm& value, u64 immediate) {
  const auto x = lanes<T>(value);
  return x[immediate % x.size()];
}
template <typename T, Encoding kEncoding>
void extract_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  cpu.set<u64>(insn.reg, lane<T>(cpu.fpu.xmm[insn.rm], insn.immediate));
}
template <typename T, Encoding kEncoding>
void extract_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  store_vector(cpu, insn, lane<T>(cpu.fpu.xmm[insn.reg], insn.immediate));
}
template <typename T>
constexpr VectorForm extract_form() {
  VectorForm form;
  form.xmm_register = extract_register<T, Encoding::Legacy>;
  form.xmm_store = extract_memory<T, Encoding::Legacy>;
  form.vex[k128].with_register = extract_register<T, Encoding::Vex>;
  form.vex[k128].store = extract_memory<T, Encoding::Vex>;
  return form;
}
template <Encoding kEncoding, typename T>
void insert(Cpu& cpu, const Insn& insn, T value) {
  auto x = lanes<T>(first_source<kEncoding>(cpu, insn));
  x[insn.immediate % x.size()] = value;
  set_xmm<kEncoding>(cpu, insn.reg, vector_of<Xmm>(x));
}
template <typename T, Encoding kEncoding>
void insert_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  insert<kEncoding>(cpu, insn, static_cast<T>(cpu.gpr[insn.rm]));
}
template <typename T, Encoding kEncoding>
void insert_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  insert<kEncoding>(cpu, insn, load_vector<T>(cpu, insn));
}
template <typename T>
constexpr VectorForm insert_form() {
  VectorForm form;
  form.xmm_register = insert_register<T, Encoding::Legacy>;
  form.xmm_load = insert_memory<T, Encoding::Legacy>;
  form.vex[k128].with_register = insert_register<T, Encoding::Vex>;
  form.vex[k128].load = insert_memory<T, Encoding::Vex>;
  return form;
}
// INSERTPS: bits 7..6 choose the source lane (registers only), 5..4 the destination, 3..0 zero
// lanes.
template <Encoding kEncoding>
void insert_single(Cpu& cpu, const Insn& insn, u32 value) {
  auto x = lanes<u32>(first_source<kEncoding>(cpu, insn));
  x[insn.immediate >> 4 & 3] = value;
  for (unsigned i = 0; i < 4; ++i)
    if ((insn.immediate >> i & 1) != 0) x[i] = 0;
  set_xmm<kEncoding>(cpu, insn.reg, vector_of<Xmm>(x));
}
template <Encoding kEncoding>
void insertps_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  insert_single<kEncoding>(cpu, insn, lanes<u32>(cpu.fpu.xmm[insn.rm])[insn.immediate >> 6 & 3]);
}
template <Encoding kEncoding>
void insertps_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  insert_single<kEncoding>(cpu, insn, load_vector<u32>(cpu, insn));
}

// ---- PTEST
// Of the bits in each 64 that `mask` has: VTESTPS and VTESTPD look at signs.
template <std::size_t kCount>
void test(Cpu& cpu, const Wide<kCount>& a, const Wide<kCount>& b, u64 mask = ~u64{0}) {
  u64 both = 0, only_b = 0;
  for (std::size_t lane = 0; lane < kCount; ++lane) {
    const auto x = lanes<u64>(a[lane]);
    const auto y = lanes<u64>(b[lane]);
    both |= (x[0] & y[0]) | (x[1] & y[1]);
    only_b |= (~x[0] & y[0]) | (~x[1] & y[1]);
  }
  using namespace x86::rflags;
  cpu.flags.set_arithmetic(((both & mask) == 0 ? ZF : 0) | ((only_b & mask) == 0 ? CF : 0));
}
void ptest_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  test<1>(cpu, {cpu.fpu.xmm[insn.reg]}, {cpu.fpu.xmm[insn.rm]});
}
void ptest_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  test<1>(cpu, {cpu.fpu.xmm[insn.reg]}, {load_vector<Xmm>(cpu, insn)});
}
template <u64 kMask, std::size_t kCount, bool kMemory>
void vex_test(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  test(cpu, get_wide<kCount>(cpu, insn.reg), second_source<kCount, kMemory>(cpu, insn), kMask);
}
template <u64 kMask>
constexpr std::array<VexForm, 2> vex_tests() {
  std::array<VexForm, 2> form;
  form[k128].with_register = vex_test<kMask, 1, false>;
  form[k128].load = vex_test<kMask, 1, true>;
  form[k256].with_register = vex_test<kMask, 2, false>;
  form[k256].load = vex_test<kMask, 2, true>;
  return form;
}

// ---- Sums and minima
// Sums of absolute differences of a 4-byte block of b with 8 neighbouring blocks of a.
struct MultipleSad {
  static constexpr unsigned kImmediateBits = 3;
  Xmm operator()(const Xmm& a, const Xmm& b, u8 immediate) const {
    const unsigned a_from = (immediate & 4) != 0 ? 4 : 0;
    const unsigned b_from = (immediate & 3) * 4;
    LanesOf<u16, Xmm> sums{};
    for (unsigned i = 0; i < 8; ++i) {
      for (unsigned j = 0; j < 4; ++j) {
        const int difference = a.bytes[a_from + i + j] - b.bytes[b_from + j];
        sums[i] = static_cast<u16>(sums[i] + (difference < 0 ? -difference : difference));
      }
    }
    return vector_of<Xmm>(sums);
  }
};
// The least word and its position.
struct HorizontalMinimum {
  Xmm operator()(const Xmm&, const Xmm& b) const {
    const auto y = lanes<u16>(b);
    u16 best = 0;
    for (u16 i = 1; i < 8; ++i)
      if (y[i] < y[best]) best = i;
    return vector_of<Xmm>(LanesOf<u16, Xmm>{y[best], best});
  }
};
struct PackUnsignedDwords {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    const auto x = lanes<i32>(a);
    const auto y = lanes<i32>(b);
    LanesOf<u16, Xmm> result;
    for (unsigned i = 0; i < 4; ++i) {
      result[i] = saturate<u16>(x[i]);
      result[4 + i] = saturate<u16>(y[i]);
    }
    return vector_of<Xmm>(result);
  }
};

constexpr VectorForm form_of(Handler with_register, Handler with_memory) {
  VectorForm form;
  form.xmm_register = with_register;
  form.xmm_load = with_memory;
  return form;
}

}  // namespace

void register_sse41(LowerTable& table) {
  VectorForm insertps =
      form_of(insertps_register<Encoding::Legacy>, insertps_memory<Encoding::Legacy>);
  insertps.vex[k128].with_register = insertps_register<Encoding::Vex>;
  insertps.vex[k128].load = insertps_memory<Encoding::Vex>;
  VectorForm ptest = form_of(ptest_register, ptest_memory);
  ptest.vex = vex_tests<~u64{0}>();
  add_vex_form(table, ZYDIS_MNEMONIC_VPBLENDD, vex_both<Blend<u32>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VTESTPS, vex_tests<0x8000000080000000>());
  add_vex_form(table, ZYDIS_MNEMONIC_VTESTPD, vex_tests<0x8000000000000000>());
  const auto least = [](auto x, auto y) { return x < y ? x : y; };
  const auto greatest = [](auto x, auto y) { return x > y ? x : y; };
  add_forms(table, {
                       {ZYDIS_MNEMONIC_PMINSB, lanewise<i8>(least)},
                       {ZYDIS_MNEMONIC_PMINUW, lanewise<u16>(least)},
                       {ZYDIS_MNEMONIC_PMINSD, lanewise<i32>(least)},
                       {ZYDIS_MNEMONIC_PMINUD, lanewise<u32>(least)},
                       {ZYDIS_MNEMONIC_PMAXSB, lanewise<i8>(greatest)},
                       {ZYDIS_MNEMONIC_PMAXUW, lanewise<u16>(greatest)},
                       {ZYDIS_MNEMONIC_PMAXSD, lanewise<i32>(greatest)},
                       {ZYDIS_MNEMONIC_PMAXUD, lanewise<u32>(greatest)},
                       {ZYDIS_MNEMONIC_PMULLD, lanewise<u32>([](u32 x, u32 y) { return x * y; })},
                       {ZYDIS_MNEMONIC_PMULDQ, lanewise<i64>([](i64 x, i64 y) {
                          return i64{static_cast<i32>(x)} * i64{static_cast<i32>(y)};
                        })},
                       {ZYDIS_MNEMONIC_PCMPEQQ,
                        lanewise<u64>([](u64 x, u64 y) { return all_ones_if<u64>(x == y); })},
                       {ZYDIS_MNEMONIC_PCMPGTQ,
                        lanewise<i64>([](i64 x, i64 y) { return all_ones_if<i64>(x > y); })},
                       {ZYDIS_MNEMONIC_PACKUSDW, xmm_form(PackUnsignedDwords{})},
                       {ZYDIS_MNEMONIC_MPSADBW, xmm_form(MultipleSad{})},
                       {ZYDIS_MNEMONIC_PHMINPOSUW, xmm_form(HorizontalMinimum{})},
                       {ZYDIS_MNEMONIC_PMOVSXBW, widening<i8, i16>()},
                       {ZYDIS_MNEMONIC_PMOVSXBD, widening<i8, i32>()},
                       {ZYDIS_MNEMONIC_PMOVSXBQ, widening<i8, i64>()},
                       {ZYDIS_MNEMONIC_PMOVSXWD, widening<i16, i32>()},
                       {ZYDIS_MNEMONIC_PMOVSXWQ, widening<i16, i64>()},
                       {ZYDIS_MNEMONIC_PMOVSXDQ, widening<i32, i64>()},
                       {ZYDIS_MNEMONIC_PMOVZXBW, widening<u8, u16>()},
                       {ZYDIS_MNEMONIC_PMOVZXBD, widening<u8, u32>()},
                       {ZYDIS_MNEMONIC_PMOVZXBQ, widening<u8, u64>()},
                       {ZYDIS_MNEMONIC_PMOVZXWD, widening<u16, u32>()},
                       {ZYDIS_MNEMONIC_PMOVZXWQ, widening<u16, u64>()},
                       {ZYDIS_MNEMONIC_PMOVZXDQ, widening<u32, u64>()},
                       {ZYDIS_MNEMONIC_PBLENDW, xmm_form(Blend<u16>{})},
                       {ZYDIS_MNEMONIC_BLENDPS, xmm_form(Blend<u32>{})},
                       {ZYDIS_MNEMONIC_BLENDPD, xmm_form(Blend<u64>{})},
                       {ZYDIS_MNEMONIC_PBLENDVB, blend_form<u8>()},
                       {ZYDIS_MNEMONIC_BLENDVPS, blend_form<u32>()},
                       {ZYDIS_MNEMONIC_BLENDVPD, blend_form<u64>()},
                       {ZYDIS_MNEMONIC_PEXTRB, extract_form<u8>()},
                       {ZYDIS_MNEMONIC_PEXTRD, extract_form<u32>()},
                       {ZYDIS_MNEMONIC_PEXTRQ, extract_form<u64>()},
                       {ZYDIS_MNEMONIC_EXTRACTPS, extract_form<u32>()},
                       {ZYDIS_MNEMONIC_PINSRB, insert_form<u8>()},
                       {ZYDIS_MNEMONIC_PINSRD, insert_form<u32>()},
                       {ZYDIS_MNEMONIC_PINSRQ, insert_form<u64>()},
                       {ZYDIS_MNEMONIC_INSERTPS, insertps},
                       {ZYDIS_MNEMONIC_PTEST, ptest},
                   });
}

}  // namespace ringside::soft

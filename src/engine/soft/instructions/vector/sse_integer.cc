// Integer arithmetic, logic and shifts on vector and MMX registers (MMX, SSE, SSE2, SSSE3, AVX).
#include <algorithm>

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

// function(x, y) on lanes of T, as an operation on vectors.
template <typename T, typename Function>
struct Lanewise {
  template <typename V>
  V operator()(const V& a, const V& b) const {
    return map<T>(a, b, Function{});
  }
};
template <typename T, typename Function>
constexpr VectorForm lanewise(Function) {
  return both_forms(Lanewise<T, Function>{});
}

// ---- Shifts
// A count of the lane's width or more gives zero, or copies of the sign.
template <typename T>
struct ShiftLeft {
  static T shift(T value, u64 count) {
    return count < 8 * sizeof(T) ? static_cast<T>(value << count) : T{0};
  }
};
template <typename T>
struct ShiftRight {  // arithmetic for signed T
  static T shift(T value, u64 count) {
    constexpr u64 kBits = 8 * sizeof(T);
    if (count < kBits) return static_cast<T>(value >> count);
    return std::is_signed_v<T> ? static_cast<T>(value >> (kBits - 1)) : T{0};
  }
};
template <template <typename> typename Shift, typename T, typename V>
V shift_lanes(const V& value, u64 count) {
  return map<T>(value, [count](T x) { return Shift<T>::shift(x, count); });
}
template <template <typename> typename Shift, typename T>
struct ShiftBySource {
  template <typename V>
  V operator()(const V& a, const V& b) const {
    return shift_lanes<Shift, T>(a, lanes<u64>(b)[0]);
  }
};
template <template <typename> typename Shift, typename T>
void xmm_shift_immediate(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  Xmm& x = cpu.fpu.xmm[insn.reg];
  x = shift_lanes<Shift, T>(x, insn.immediate & 0xff);
}
template <template <typename> typename Shift, typename T>
void mmx_shift_immediate(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, shift_lanes<Shift, T>(get_mmx(cpu, insn.reg), insn.immediate & 0xff));
}
// With VEX: the count is in an XMM register or 128 bits of memory for both lanes.
template <template <typename> typename Shift, typename T, std::size_t kCount, bool kMemory>
void vex_shift(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const u64 count = lanes<u64>(second_source<1, kMemory>(cpu, insn)[0])[0];
  Wide<kCount> x = get_wide<kCount>(cpu, insn.extra);
  for (Xmm& lane : x)
    lane = shift_lanes<Shift, T>(lane, count);
  set_wide(cpu, insn.reg, x);
}
template <template <typename> typename Shift, typename T, std::size_t kCount>
void vex_shift_immediate(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  Wide<kCount> x = get_wide<kCount>(cpu, insn.rm);
  for (Xmm& lane : x)
    lane = shift_lanes<Shift, T>(lane, insn.immediate & 0xff);
  set_wide(cpu, insn.extra, x);
}
template <template <typename> typename Shift, typename T, std::size_t kCount>
constexpr VexForm vex_shift_form() {
  VexForm form;
  form.with_register = vex_shift<Shift, T, kCount, false>;
  form.load = vex_shift<Shift, T, kCount, true>;
  form.immediate = vex_shift_immediate<Shift, T, kCount>;
  return form;
}
template <template <typename> typename Shift, typename T>
constexpr VectorForm shift_forms() {
  VectorForm form = both_forms(ShiftBySource<Shift, T>{});
  form.vex = {vex_shift_form<Shift, T, 1>(), vex_shift_form<Shift, T, 2>()};
  form.xmm_immediate = xmm_shift_immediate<Shift, T>;
  form.mmx_immediate = mmx_shift_immediate<Shift, T>;
  return form;
}

enum class Direction { Left, Right };
template <Direction kDirection>
Xmm bytes_shifted(const Xmm& x, u64 immediate) {
  const unsigned count = std::min<unsigned>(immediate & 0xff, 16);
  Xmm result;
  if (kDirection == Direction::Left) {
    std::memcpy(result.bytes.data() + count, x.bytes.data(), 16 - count);
  } else {
    std::memcpy(result.bytes.data(), x.bytes.data() + count, 16 - count);
  }
  return result;
}
template <Direction kDirection>
void shift_bytes(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  Xmm& x = cpu.fpu.xmm[insn.reg];
  x = bytes_shifted<kDirection>(x, insn.immediate);
}
template <Direction kDirection, std::size_t kCount>
void vex_shift_bytes(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  Wide<kCount> x = get_wide<kCount>(cpu, insn.rm);
  for (Xmm& lane : x)
    lane = bytes_shifted<kDirection>(lane, insn.immediate);
  set_wide(cpu, insn.extra, x);
}
template <Direction kDirection>
constexpr VectorForm byte_shifts() {
  VectorForm form;
  form.xmm_immediate = shift_bytes<kDirection>;
  form.vex[k128].immediate = vex_shift_bytes<kDirection, 1>;
  form.vex[k256].immediate = vex_shift_bytes<kDirection, 2>;
  return form;
}

// ---- Lanes that combine pairs
// result lane of Wide = function(a[2i], a[2i+1], b[2i], b[2i+1]) of lanes of A and B.
template <typename Wide, typename A, typename B, typename V, typename Function>
V map_pairs(const V& a, const V& b, Function function) {
  const auto x = lanes<A>(a);
  const auto y = lanes<B>(b);
  LanesOf<Wide, V> result;
  for (unsigned i = 0; i < result.size(); ++i)
    result[i] = static_cast<Wide>(function(x[2 * i], x[2 * i + 1], y[2 * i], y[2 * i + 1]));
  return vector_of<V>(result);
}
// Neighbours within a give the low half, within b the high half.
template <typename T, typename V, typename Function>
V horizontal(const V& a, const V& b, Function function) {
  const auto x = lanes<T>(a);
  const auto y = lanes<T>(b);
  LanesOf<T, V> result;
  constexpr unsigned kHalf = kLanes<T, V> / 2;
  for (unsigned i = 0; i < kHalf; ++i) {
    result[i] = static_cast<T>(function(x[2 * i], x[2 * i + 1]));
    result[kHalf + i] = static_cast<T>(function(y[2 * i], y[2 * i + 1]));
  }
  return vector_of<V>(result);
}
template <typename T, typename Function>
struct Horizontal {
  template <typename V>
  V operator()(const V& a, const V& b) const {
    return horizontal<T>(a, b, Function{});
  }
};
template <typename T, typename Function>
constexpr VectorForm horizontal_form(Function) {
  return both_forms(Horizontal<T, Function>{});
}

void register_arithmetic(LowerTable& table) {
  const auto add = [](auto x, auto y) { return x + y; };
  const auto subtract = [](auto x, auto y) { return x - y; };
  const auto add_signed = [](auto x, auto y) { return saturate<decltype(x)>(i32{x} + i32{y}); };
  const auto add_unsigned = [](auto x, auto y) { return saturate<decltype(x)>(i32{x} + i32{y}); };
  const auto subtract_saturated = [](auto x, auto y) {
    return saturate<decltype(x)>(i32{x} - i32{y});
  };
  const auto average = [](auto x, auto y) { return (u32{x} + u32{y} + 1) >> 1; };
  const auto least = [](auto x, auto y) { return x < y ? x : y; };
  const auto greatest = [](auto x, auto y) { return x > y ? x : y; };
  const auto low_product = [](auto x, auto y) { return u32{x} * u32{y}; };
  const auto high_product = [](auto x, auto y) { return (x * y) >> 16; };
  const auto high_unsigned_product = [](auto x, auto y) { return (u32{x} * u32{y}) >> 16; };
  const auto equal = [](auto x, auto y) { return all_ones_if<decltype(x)>(x == y); };
  const auto greater = [](auto x, auto y) { return all_ones_if<decltype(x)>(x > y); };
  add_forms(table,
            {
                {ZYDIS_MNEMONIC_PADDB, lanewise<u8>(add)},
                {ZYDIS_MNEMONIC_PADDW, lanewise<u16>(add)},
                {ZYDIS_MNEMONIC_PADDD, lanewise<u32>(add)},
                {ZYDIS_MNEMONIC_PADDQ, lanewise<u64>(add)},
                {ZYDIS_MNEMONIC_PSUBB, lanewise<u8>(subtract)},
                {ZYDIS_MNEMONIC_PSUBW, lanewise<u16>(subtract)},
                {ZYDIS_MNEMONIC_PSUBD, lanewise<u32>(subtract)},
                {ZYDIS_MNEMONIC_PSUBQ, lanewise<u64>(subtract)},
                {ZYDIS_MNEMONIC_PADDSB, lanewise<i8>(add_signed)},
                {ZYDIS_MNEMONIC_PADDSW, lanewise<i16>(add_signed)},
                {ZYDIS_MNEMONIC_PADDUSB, lanewise<u8>(add_unsigned)},
                {ZYDIS_MNEMONIC_PADDUSW, lanewise<u16>(add_unsigned)},
                {ZYDIS_MNEMONIC_PSUBSB, lanewise<i8>(subtract_saturated)},
                {ZYDIS_MNEMONIC_PSUBSW, lanewise<i16>(subtract_saturated)},
                {ZYDIS_MNEMONIC_PSUBUSB, lanewise<u8>(subtract_saturated)},
                {ZYDIS_MNEMONIC_PSUBUSW, lanewise<u16>(subtract_saturated)},
                {ZYDIS_MNEMONIC_PAVGB, lanewise<u8>(average)},
                {ZYDIS_MNEMONIC_PAVGW, lanewise<u16>(average)},
                {ZYDIS_MNEMONIC_PMINUB, lanewise<u8>(least)},
                {ZYDIS_MNEMONIC_PMINSW, lanewise<i16>(least)},
                {ZYDIS_MNEMONIC_PMAXUB, lanewise<u8>(greatest)},
                {ZYDIS_MNEMONIC_PMAXSW, lanewise<i16>(greatest)},
                {ZYDIS_MNEMONIC_PMULLW, lanewise<u16>(low_product)},
                {ZYDIS_MNEMONIC_PMULHW, lanewise<i16>(high_product)},
                {ZYDIS_MNEMONIC_PMULHUW, lanewise<u16>(high_unsigned_product)},
                {ZYDIS_MNEMONIC_PCMPEQB, lanewise<u8>(equal)},
                {ZYDIS_MNEMONIC_PCMPEQW, lanewise<u16>(equal)},
                {ZYDIS_MNEMONIC_PCMPEQD, lanewise<u32>(equal)},
                {ZYDIS_MNEMONIC_PCMPGTB, lanewise<i8>(greater)},
                {ZYDIS_MNEMONIC_PCMPGTW, lanewise<i16>(greater)},
                {ZYDIS_MNEMONIC_PCMPGTD, lanewise<i32>(greater)},
                // The low halves of the 64-bit lanes.
                {ZYDIS_MNEMONIC_PMULUDQ,
                 lanewise<u64>([](u64 x, u64 y) { return (x & 0xffffffff) * (y & 0xffffffff); })},
                {ZYDIS_MNEMONIC_PMADDWD, both_forms([](auto a, auto b) {
                   return map_pairs<u32, i16, i16>(a, b, [](i32 a0, i32 a1, i32 b0, i32 b1) {
                     return static_cast<u32>(a0 * b0) + static_cast<u32>(a1 * b1);
                   });
                 })},
                {ZYDIS_MNEMONIC_PSADBW, both_forms([](auto a, auto b) {
                   const auto x = lanes<u8>(a);
                   const auto y = lanes<u8>(b);
                   LanesOf<u64, decltype(a)> sums{};
                   for (unsigned i = 0; i < x.size(); ++i)
                     sums[i / 8] += static_cast<u64>(x[i] > y[i] ? x[i] - y[i] : y[i] - x[i]);
                   return vector_of<decltype(a)>(sums);
                 })},
            });
}

void register_logic_and_shifts(LowerTable& table) {
  const VectorForm conjunction = lanewise<u64>([](u64 x, u64 y) { return x & y; });
  const VectorForm and_not = lanewise<u64>([](u64 x, u64 y) { return ~x & y; });
  const VectorForm disjunction = lanewise<u64>([](u64 x, u64 y) { return x | y; });
  const VectorForm exclusive = lanewise<u64>([](u64 x, u64 y) { return x ^ y; });
  add_forms(table, {
                       {ZYDIS_MNEMONIC_PAND, conjunction},
                       {ZYDIS_MNEMONIC_ANDPS, conjunction},
                       {ZYDIS_MNEMONIC_ANDPD, conjunction},
                       {ZYDIS_MNEMONIC_PANDN, and_not},
                       {ZYDIS_MNEMONIC_ANDNPS, and_not},
                       {ZYDIS_MNEMONIC_ANDNPD, and_not},
                       {ZYDIS_MNEMONIC_POR, disjunction},
                       {ZYDIS_MNEMONIC_ORPS, disjunction},
                       {ZYDIS_MNEMONIC_ORPD, disjunction},
                       {ZYDIS_MNEMONIC_PXOR, exclusive},
                       {ZYDIS_MNEMONIC_XORPS, exclusive},
                       {ZYDIS_MNEMONIC_XORPD, exclusive},
                       {ZYDIS_MNEMONIC_PSLLW, shift_forms<ShiftLeft, u16>()},
                       {ZYDIS_MNEMONIC_PSLLD, shift_forms<ShiftLeft, u32>()},
                       {ZYDIS_MNEMONIC_PSLLQ, shift_forms<ShiftLeft, u64>()},
                       {ZYDIS_MNEMONIC_PSRLW, shift_forms<ShiftRight, u16>()},
                       {ZYDIS_MNEMONIC_PSRLD, shift_forms<ShiftRight, u32>()},
                       {ZYDIS_MNEMONIC_PSRLQ, shift_forms<ShiftRight, u64>()},
                       {ZYDIS_MNEMONIC_PSRAW, shift_forms<ShiftRight, i16>()},
                       {ZYDIS_MNEMONIC_PSRAD, shift_forms<ShiftRight, i32>()},
                       {ZYDIS_MNEMONIC_PSLLDQ, byte_shifts<Direction::Left>()},
                       {ZYDIS_MNEMONIC_PSRLDQ, byte_shifts<Direction::Right>()},
                   });
}

// AVX2: each lane has a count of its own.
template <template <typename> typename Shift, typename T>
struct ShiftEach {
  Xmm operator()(const Xmm& a, const Xmm& b) const {
    return map<T>(a, b, [](T x, T count) {
      return Shift<T>::shift(x, static_cast<std::make_unsigned_t<T>>(count));
    });
  }
};
void register_variable_shifts(LowerTable& table) {
  add_vex_form(table, ZYDIS_MNEMONIC_VPSLLVD, vex_both<ShiftEach<ShiftLeft, u32>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPSLLVQ, vex_both<ShiftEach<ShiftLeft, u64>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPSRLVD, vex_both<ShiftEach<ShiftRight, u32>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPSRLVQ, vex_both<ShiftEach<ShiftRight, u64>>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPSRAVD, vex_both<ShiftEach<ShiftRight, i32>>());
}

void register_ssse3(LowerTable& table) {
  const auto add = [](auto x, auto y) { return x + y; };
  const auto subtract = [](auto x, auto y) { return x - y; };
  const auto sign = [](auto x, auto y) {
    // In unsigned arithmetic: the negative of the least value is itself.
    return y < 0 ? static_cast<decltype(x)>(0u - static_cast<u32>(x)) : y == 0 ? decltype(x){0} : x;
  };
  const auto magnitude = [](auto, auto y) {
    return y < 0 ? 0u - static_cast<u32>(y) : static_cast<u32>(y);
  };
  add_forms(table, {
                       {ZYDIS_MNEMONIC_PHADDW, horizontal_form<u16>(add)},
                       {ZYDIS_MNEMONIC_PHADDD, horizontal_form<u32>(add)},
                       {ZYDIS_MNEMONIC_PHSUBW, horizontal_form<u16>(subtract)},
                       {ZYDIS_MNEMONIC_PHSUBD, horizontal_form<u32>(subtract)},
                       {ZYDIS_MNEMONIC_PHADDSW,
                        horizontal_form<i16>([](i32 x, i32 y) { return saturate<i16>(x + y); })},
                       {ZYDIS_MNEMONIC_PHSUBSW,
                        horizontal_form<i16>([](i32 x, i32 y) { return saturate<i16>(x - y); })},
                       {ZYDIS_MNEMONIC_PSIGNB, lanewise<i8>(sign)},
                       {ZYDIS_MNEMONIC_PSIGNW, lanewise<i16>(sign)},
                       {ZYDIS_MNEMONIC_PSIGND, lanewise<i32>(sign)},
                       {ZYDIS_MNEMONIC_PABSB, lanewise<i8>(magnitude)},
                       {ZYDIS_MNEMONIC_PABSW, lanewise<i16>(magnitude)},
                       {ZYDIS_MNEMONIC_PABSD, lanewise<i32>(magnitude)},
                       {ZYDIS_MNEMONIC_PMULHRSW,
                        lanewise<i16>([](i32 x, i32 y) { return ((x * y >> 14) + 1) >> 1; })},
                       // Unsigned bytes of the destination, signed ones of the source.
                       {ZYDIS_MNEMONIC_PMADDUBSW, both_forms([](auto a, auto b) {
                          return map_pairs<i16, u8, i8>(a, b, [](i32 a0, i32 a1, i32 b0, i32 b1) {
                            return saturate<i16>(a0 * b0 + a1 * b1);
                          });
                        })},
                       {ZYDIS_MNEMONIC_PSHUFB, both_forms([](auto a, auto b) {
                          constexpr unsigned kLast = sizeof(a) - 1;
                          decltype(a) result;
                          for (unsigned i = 0; i <= kLast; ++i)
                            result.bytes[i] =
                                (b.bytes[i] & 0x80) != 0 ? u8{0} : a.bytes[b.bytes[i] & kLast];
                          return result;
                        })},
                       // The destination above the source, moved right by bytes.
                       {ZYDIS_MNEMONIC_PALIGNR, both_forms([](auto a, auto b, u8 count) {
                          constexpr unsigned kSize = sizeof(a);
                          decltype(a) result;
                          for (unsigned i = 0; i < kSize; ++i) {
                            const unsigned from = i + count;
                            result.bytes[i] = from < kSize       ? b.bytes[from]
                                              : from < 2 * kSize ? a.bytes[from - kSize]
                                                                 : u8{0};
                          }
                          return result;
                        })},
                   });
}

}  // namespace

void register_sse_integer(LowerTable& table) {
  register_arithmetic(table);
  register_logic_and_shifts(table);
  register_variable_shifts(table);
  register_ssse3(table);
}

}  // namespace ringside::soft

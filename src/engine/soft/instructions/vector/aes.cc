// AES rounds (SDM 2A, AESDEC to AESKEYGENASSIST; FIPS 197) and PCLMULQDQ. Byte i of a register is
// row i % 4, column i / 4 of the cipher's state. The tables are computed from the field's
// definition.
#include <bit>

#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// ---- The field of 256 elements with the polynomial 11BH
constexpr u8 product(u8 a, u8 b) {
  unsigned result = 0, x = a;
  for (unsigned bit = 0; bit < 8; ++bit, x = x << 1 ^ ((x & 0x80) != 0 ? 0x11bu : 0u))
    if ((b >> bit & 1) != 0) result ^= x;
  return static_cast<u8>(result);
}
constexpr u8 inverse(u8 a) {  // a to the power of 254; of 0 it is 0
  u8 result = 1, power = a;
  for (unsigned bit = 1; bit < 8; ++bit) {
    power = product(power, power);
    result = product(result, power);
  }
  return result;
}

using Bytes = std::array<u8, 256>;
constexpr Bytes kSubstitute = [] {
  Bytes table{};
  for (unsigned i = 0; i < 256; ++i) {
    const u8 x = inverse(static_cast<u8>(i));
    table[i] = static_cast<u8>(x ^ std::rotl(x, 1) ^ std::rotl(x, 2) ^ std::rotl(x, 3) ^
                               std::rotl(x, 4) ^ 0x63);
  }
  return table;
}();
constexpr Bytes kSubstituteBack = [] {
  Bytes table{};
  for (unsigned i = 0; i < 256; ++i)
    table[kSubstitute[i]] = static_cast<u8>(i);
  return table;
}();

// What a byte in row 0 adds to its column when columns are mixed; in row r it is turned by r bytes.
using Columns = std::array<u32, 256>;
constexpr Columns columns(u8 row0, u8 row1, u8 row2, u8 row3) {
  Columns table{};
  for (unsigned i = 0; i < 256; ++i) {
    const auto x = static_cast<u8>(i);
    table[i] = u32{product(x, row0)} | u32{product(x, row1)} << 8 | u32{product(x, row2)} << 16 |
               u32{product(x, row3)} << 24;
  }
  return table;
}
constexpr Columns kMix = columns(2, 1, 1, 3), kMixBack = columns(14, 9, 13, 11);

enum class Way { Encrypt, Decrypt };

// The rows moved, the bytes replaced.
template <Way kWay>
Xmm substitute_shifted(const Xmm& state) {
  Xmm result;
  for (unsigned column = 0; column < 4; ++column) {
    for (unsigned row = 0; row < 4; ++row) {
      const unsigned from = (kWay == Way::Encrypt ? column + row : column - row) & 3;
      const u8 byte = state.bytes[4 * from + row];
      result.bytes[4 * column + row] =
          kWay == Way::Encrypt ? kSubstitute[byte] : kSubstituteBack[byte];
    }
  }
  return result;
}
template <Way kWay>
Xmm mix_columns(const Xmm& state) {
  constexpr const Columns& kTable = kWay == Way::Encrypt ? kMix : kMixBack;
  LanesOf<u32, Xmm> result;
  for (unsigned column = 0; column < 4; ++column) {
    const u8* const x = &state.bytes[4 * column];
    result[column] = kTable[x[0]] ^ std::rotl(kTable[x[1]], 8) ^ std::rotl(kTable[x[2]], 16) ^
                     std::rotl(kTable[x[3]], 24);
  }
  return vector_of<Xmm>(result);
}
Xmm exclusive_or(const Xmm& a, const Xmm& b) {
  return map<u64>(a, b, [](u64 x, u64 y) { return x ^ y; });
}

template <Way kWay>
struct Round {
  Xmm operator()(const Xmm& state, const Xmm& key) const {
    return exclusive_or(mix_columns<kWay>(substitute_shifted<kWay>(state)), key);
  }
};
template <Way kWay>
struct LastRound {
  Xmm operator()(const Xmm& state, const Xmm& key) const {
    return exclusive_or(substitute_shifted<kWay>(state), key);
  }
};
struct MixBack {
  Xmm operator()(const Xmm&, const Xmm& key) const { return mix_columns<Way::Decrypt>(key); }
};
struct KeyGenerationAssist {
  Xmm operator()(const Xmm&, const Xmm& key, u8 round_constant) const {
    const auto x = lanes<u32>(key);
    const auto substitute = [](u32 word) {
      u32 result = 0;
      for (unsigned i = 0; i < 32; i += 8)
        result |= u32{kSubstitute[word >> i & 0xff]} << i;
      return result;
    };
    const u32 one = substitute(x[1]), three = substitute(x[3]);
    return vector_of<Xmm>(LanesOf<u32, Xmm>{one, std::rotr(one, 8) ^ round_constant, three,
                                            std::rotr(three, 8) ^ round_constant});
  }
};

// ---- PCLMULQDQ: a product of polynomials over the field of two elements
struct CarrylessProduct {
  Xmm operator()(const Xmm& a, const Xmm& b, u8 immediate) const {
    const u64 x = lanes<u64>(a)[immediate & 1], y = lanes<u64>(b)[immediate >> 4 & 1];
    u64 low = 0, high = 0;
    for (unsigned bit = 0; bit < 64; ++bit) {
      const u64 chosen = 0 - (y >> bit & 1);
      low ^= x << bit & chosen;
      high ^= (bit == 0 ? 0 : x >> (64 - bit)) & chosen;
    }
    return vector_of<Xmm>(LanesOf<u64, Xmm>{low, high});
  }
};

}  // namespace

void register_aes(LowerTable& table) {
  add_forms(table, {
                       {ZYDIS_MNEMONIC_AESENC, xmm_form(Round<Way::Encrypt>{})},
                       {ZYDIS_MNEMONIC_AESENCLAST, xmm_form(LastRound<Way::Encrypt>{})},
                       {ZYDIS_MNEMONIC_AESDEC, xmm_form(Round<Way::Decrypt>{})},
                       {ZYDIS_MNEMONIC_AESDECLAST, xmm_form(LastRound<Way::Decrypt>{})},
                       {ZYDIS_MNEMONIC_AESIMC, xmm_form(MixBack{})},
                       {ZYDIS_MNEMONIC_AESKEYGENASSIST, xmm_form(KeyGenerationAssist{})},
                       {ZYDIS_MNEMONIC_PCLMULQDQ, xmm_form(CarrylessProduct{})},
                   });
}

}  // namespace ringside::soft

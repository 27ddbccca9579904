// BT BTS BTR BTC BSF BSR POPCNT CRC32. Where CPUID does not announce TZCNT and LZCNT, they decode
// as BSF and BSR.
#include <array>
#include <bit>

#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {
namespace {

struct Bt {
  static constexpr bool kWrites = false;
  template <typename T>
  static T apply(T a, T) {
    return a;
  }
};
struct Bts {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(T a, T bit) {
    return static_cast<T>(a | bit);
  }
};
struct Btr {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(T a, T bit) {
    return static_cast<T>(a & ~bit);
  }
};
struct Btc {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(T a, T bit) {
    return static_cast<T>(a ^ bit);
  }
};

template <typename T, typename Op>
T bit_apply(Cpu& cpu, T a, std::uint64_t offset) {
  const T bit = static_cast<T>(T{1} << (offset % (8 * sizeof(T))));
  cpu.flags.set_cf((a & bit) != 0);
  return Op::template apply<T>(a, bit);
}
template <typename T, typename Op>
void bit_r(Cpu& cpu, const Insn& insn, std::uint64_t offset) {
  const T r = bit_apply<T, Op>(cpu, cpu.get<T>(insn.rm), offset);
  if constexpr (Op::kWrites) cpu.set<T>(insn.rm, r);
}
template <typename T, typename Op>
void bit_m(Cpu& cpu, std::uint64_t linear, std::uint64_t offset) {
  if constexpr (Op::kWrites) {
    cpu.modify<T>(linear, [&](T a) { return bit_apply<T, Op>(cpu, a, offset); });
  } else {
    bit_apply<T, Op>(cpu, cpu.load<T>(linear), offset);
  }
}

template <typename T, typename Op>
void bit_rr(Cpu& cpu, const Insn& insn) {
  bit_r<T, Op>(cpu, insn, cpu.get<T>(insn.reg));
}
template <typename T, typename Op>
void bit_ri(Cpu& cpu, const Insn& insn) {
  bit_r<T, Op>(cpu, insn, insn.immediate);
}
template <typename T, typename Op>
void bit_mi(Cpu& cpu, const Insn& insn) {
  constexpr AccessKind kKind = Op::kWrites ? AccessKind::Write : AccessKind::Read;
  bit_m<T, Op>(cpu, cpu.linear(insn, sizeof(T), kKind), insn.immediate);
}
// A register offset is signed and reaches beyond the operand (SDM 2A BT).
template <typename T, typename Op>
void bit_mr(Cpu& cpu, const Insn& insn) {
  constexpr AccessKind kKind = Op::kWrites ? AccessKind::Write : AccessKind::Read;
  constexpr unsigned kShift = std::countr_zero(8 * sizeof(T));
  const std::int64_t bit = static_cast<std::make_signed_t<T>>(cpu.get<T>(insn.reg));
  const std::uint64_t bytes = static_cast<std::uint64_t>(bit >> kShift) * sizeof(T);
  const std::uint64_t offset = (cpu.effective_offset(insn) + bytes) &
                               Cpu::kWidthMask[static_cast<unsigned>(insn.address_width)];
  bit_m<T, Op>(cpu, cpu.segmented(insn.segment, offset, sizeof(T), kKind),
               static_cast<std::uint64_t>(bit));
}

template <typename Op>
bool lower_bit(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  const Width width = decoded.width(0);
  const bool memory = decoded.is_memory(0);
  if (decoded.is_register(1)) {
    insn.reg = decoded.reg(1);
    insn.execute =
        memory ? by_word_width(width, [](auto t) -> Handler { return bit_mr<decltype(t), Op>; })
               : by_word_width(width, [](auto t) -> Handler { return bit_rr<decltype(t), Op>; });
  } else {
    insn.execute =
        memory ? by_word_width(width, [](auto t) -> Handler { return bit_mi<decltype(t), Op>; })
               : by_word_width(width, [](auto t) -> Handler { return bit_ri<decltype(t), Op>; });
  }
  return true;
}

// A source of zero leaves the destination alone.
template <typename T, bool kMemory>
void bsf(Cpu& cpu, const Insn& insn) {
  const T value = read_rm<T, kMemory>(cpu, insn);
  cpu.flags.set_logic<T>(value);
  if (value != 0) cpu.set<T>(insn.reg, static_cast<T>(std::countr_zero(value)));
}
template <typename T, bool kMemory>
void bsr(Cpu& cpu, const Insn& insn) {
  const T value = read_rm<T, kMemory>(cpu, insn);
  cpu.flags.set_logic<T>(value);
  if (value != 0) cpu.set<T>(insn.reg, static_cast<T>(std::bit_width(value) - 1));
}

// ZF from the source, the other arithmetic flags clear (SDM 2B POPCNT).
template <typename T, bool kMemory>
void popcnt(Cpu& cpu, const Insn& insn) {
  const T value = read_rm<T, kMemory>(cpu, insn);
  cpu.flags.set_arithmetic(value == 0 ? x86::rflags::ZF : 0);
  cpu.set<T>(insn.reg, static_cast<T>(std::popcount(value)));
}

#define RINGSIDE_LOWER_SCAN(name)                                                              \
  bool lower_##name(const Decoded& decoded, Insn& insn) {                                      \
    lower_load_form(decoded, insn);                                                            \
    insn.execute = by_word_width_and_form(decoded.width(0), decoded.is_memory(1),              \
                                          [](auto t, auto memory) -> Handler {                 \
                                            return name<decltype(t), decltype(memory)::value>; \
                                          });                                                  \
    return true;                                                                               \
  }
RINGSIDE_LOWER_SCAN(bsf)
RINGSIDE_LOWER_SCAN(bsr)
RINGSIDE_LOWER_SCAN(popcnt)
#undef RINGSIDE_LOWER_SCAN

// The polynomial 11EDC6F41H, bit-reflected (SDM 2A CRC32).
constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ ((value & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = value;
  }
  return table;
}();

template <typename T, bool kMemory>
void crc32(Cpu& cpu, const Insn& insn) {
  std::uint64_t data = read_rm<T, kMemory>(cpu, insn);
  auto crc = static_cast<std::uint32_t>(cpu.gpr[insn.reg]);
  for (unsigned i = 0; i < sizeof(T); ++i, data >>= 8) {
    crc = kCrcTable[(crc ^ data) & 0xff] ^ crc >> 8;
  }
  cpu.gpr[insn.reg] = crc;
}

bool lower_crc32(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute = by_width_and_form(
      decoded.width(1), decoded.is_memory(1),
      [](auto t, auto memory) -> Handler { return crc32<decltype(t), decltype(memory)::value>; });
  return true;
}

}  // namespace

void register_bits(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_BT, lower_bit<Bt>);
  table.add(ZYDIS_MNEMONIC_BTS, lower_bit<Bts>);
  table.add(ZYDIS_MNEMONIC_BTR, lower_bit<Btr>);
  table.add(ZYDIS_MNEMONIC_BTC, lower_bit<Btc>);
  table.add(ZYDIS_MNEMONIC_BSF, lower_bsf);
  table.add(ZYDIS_MNEMONIC_BSR, lower_bsr);
  table.add(ZYDIS_MNEMONIC_POPCNT, lower_popcnt);
  table.add(ZYDIS_MNEMONIC_CRC32, lower_crc32);
}

}  // namespace ringside::soft

// BMI1, BMI2, LZCNT and ADX: what x86-64-v3 has for general registers. Most are encoded with VEX,
// and have a third operand, in Insn::extra. The manual leaves some flags undefined: here PF is the
// result's, AF clear.
#include <bit>

#include "base/int128.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

// There is no VEX in real and virtual-8086 mode (SDM 2A 2.3).
void check_vex(const Cpu& cpu) {
  if (cpu.real_addressing()) raise(x86::Vector::InvalidOpcode);
}

template <typename T>
constexpr unsigned kBits = 8 * sizeof(T);

// ---- A function of the r/m operand and the vvvv one. F::apply(flags, a, b), a from r/m.
struct AndNot {
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T result = static_cast<T>(~b & a);
    flags.set_result_with<T>(result, false, false);
    return result;
  }
};
// SDM 2A, BEXTR: bits 7:0 say where the field starts, bits 15:8 how long it is.
struct ExtractField {
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const unsigned start = b & 0xff, length = b >> 8 & 0xff;
    T result = start < kBits<T> ? static_cast<T>(a >> start) : T{0};
    if (length < kBits<T>) result = static_cast<T>(result & ((T{1} << length) - 1));
    flags.set_result_with<T>(result, false, false);
    return result;
  }
};
struct ZeroHigh {
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const unsigned index = b & 0xff;
    const bool beyond = index >= kBits<T>;
    const T result = beyond ? a : static_cast<T>(a & ((T{1} << index) - 1));
    flags.set_result_with<T>(result, beyond, false);
    return result;
  }
};
struct Deposit {  // the low bits of b go where a has ones
  template <typename T>
  static T apply(Flags&, T a, T b) {
    T result = 0;
    for (; a != 0; a = static_cast<T>(a & (a - 1)), b = static_cast<T>(b >> 1))
      if ((b & 1) != 0) result = static_cast<T>(result | (a & (0 - a)));
    return result;
  }
};
struct Extract {  // the bits of b where a has ones become the low ones
  template <typename T>
  static T apply(Flags&, T a, T b) {
    T result = 0;
    for (unsigned to = 0; a != 0; a = static_cast<T>(a & (a - 1)), ++to)
      if ((b & a & (0 - a)) != 0) result = static_cast<T>(result | T{1} << to);
    return result;
  }
};
struct ShiftLeft {
  template <typename T>
  static T apply(Flags&, T a, T b) {
    return static_cast<T>(a << (b % kBits<T>));
  }
};
struct ShiftRight {
  template <typename T>
  static T apply(Flags&, T a, T b) {
    return static_cast<T>(a >> (b % kBits<T>));
  }
};
struct ShiftArithmetic {
  template <typename T>
  static T apply(Flags&, T a, T b) {
    return static_cast<T>(static_cast<std::make_signed_t<T>>(a) >> (b % kBits<T>));
  }
};

struct Binary {
  template <typename F, typename T, bool kMemory>
  static void handler(Cpu& cpu, const Insn& insn) {
    check_vex(cpu);
    const T a = read_rm<T, kMemory>(cpu, insn);
    cpu.set<T>(insn.reg, F::template apply<T>(cpu.flags, a, cpu.get<T>(insn.extra)));
  }
};

// ---- A function of the r/m operand, into the vvvv one. CF is whether the source is zero, but for
// BLSI, where it is whether it is not.
struct LowestOne {
  static constexpr bool kCarryIfZero = false;
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(a & (0 - a));
  }
};
struct MaskToLowest {
  static constexpr bool kCarryIfZero = true;
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(a ^ (a - 1));
  }
};
struct ResetLowest {
  static constexpr bool kCarryIfZero = true;
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(a & (a - 1));
  }
};
struct Lowest {
  template <typename F, typename T, bool kMemory>
  static void handler(Cpu& cpu, const Insn& insn) {
    check_vex(cpu);
    const T a = read_rm<T, kMemory>(cpu, insn);
    const T result = F::template apply<T>(a);
    cpu.flags.set_result_with<T>(result, (a == 0) == F::kCarryIfZero, false);
    cpu.set<T>(insn.extra, result);
  }
};

// ---- Those that write no flags
struct Rotate {};
struct Product {};
struct Plain {
  template <typename F, typename T, bool kMemory>
  static void handler(Cpu& cpu, const Insn& insn) {
    check_vex(cpu);
    const T a = read_rm<T, kMemory>(cpu, insn);
    if constexpr (std::is_same_v<F, Rotate>) {
      cpu.set<T>(insn.reg, std::rotr(a, static_cast<int>(insn.immediate % kBits<T>)));
    } else {
      const auto product = Unsigned128{cpu.get<T>(gpr_number(x86::Gpr::Rdx))} * a;
      // The low half first: if both go to one register, it has the high one.
      cpu.set<T>(insn.extra, static_cast<T>(product));
      cpu.set<T>(insn.reg, static_cast<T>(product >> kBits<T>));
    }
  }
};

// ---- Zeros at one end; the number of bits where there is no one (SDM 2B LZCNT, TZCNT)
struct Leading {
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(std::countl_zero(a));
  }
};
struct Trailing {
  template <typename T>
  static T apply(T a) {
    return static_cast<T>(std::countr_zero(a));
  }
};
struct Count {
  template <typename F, typename T, bool kMemory>
  static void handler(Cpu& cpu, const Insn& insn) {
    const T a = read_rm<T, kMemory>(cpu, insn);
    const T result = F::template apply<T>(a);
    cpu.flags.set_result_with<T>(result, a == 0, false);
    cpu.set<T>(insn.reg, result);
  }
};

// ---- ADX: sums with a carry of their own, in CF or in OF; the other flags stay
struct CarryInCf {};
struct CarryInOf {};
struct Sum {
  template <typename F, typename T, bool kMemory>
  static void handler(Cpu& cpu, const Insn& insn) {
    constexpr bool kInCf = std::is_same_v<F, CarryInCf>;
    const T b = read_rm<T, kMemory>(cpu, insn);
    const auto sum = Unsigned128{cpu.get<T>(insn.reg)} + b +
                     static_cast<unsigned>(kInCf ? cpu.flags.cf() : cpu.flags.of());
    const bool carry = (sum >> kBits<T>) != 0;
    kInCf ? cpu.flags.set_cf(carry) : cpu.flags.set_of(carry);
    cpu.set<T>(insn.reg, static_cast<T>(sum));
  }
};

template <typename Shape, typename F>
bool lower(const Decoded& decoded, Insn& insn) {
  lower_vex_operands(decoded, insn);
  bool memory = false;
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i)
    memory = memory || decoded.is_memory(i);
  insn.execute =
      by_word_width_and_form(decoded.width(0), memory, [](auto t, auto in_memory) -> Handler {
        return Shape::template handler<F, decltype(t), decltype(in_memory)::value>;
      });
  return true;
}

}  // namespace

void register_bit_fields(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_ANDN, lower<Binary, AndNot>);
  table.add(ZYDIS_MNEMONIC_BEXTR, lower<Binary, ExtractField>);
  table.add(ZYDIS_MNEMONIC_BZHI, lower<Binary, ZeroHigh>);
  table.add(ZYDIS_MNEMONIC_PDEP, lower<Binary, Deposit>);
  table.add(ZYDIS_MNEMONIC_PEXT, lower<Binary, Extract>);
  table.add(ZYDIS_MNEMONIC_SHLX, lower<Binary, ShiftLeft>);
  table.add(ZYDIS_MNEMONIC_SHRX, lower<Binary, ShiftRight>);
  table.add(ZYDIS_MNEMONIC_SARX, lower<Binary, ShiftArithmetic>);
  table.add(ZYDIS_MNEMONIC_BLSI, lower<Lowest, LowestOne>);
  table.add(ZYDIS_MNEMONIC_BLSMSK, lower<Lowest, MaskToLowest>);
  table.add(ZYDIS_MNEMONIC_BLSR, lower<Lowest, ResetLowest>);
  table.add(ZYDIS_MNEMONIC_RORX, lower<Plain, Rotate>);
  table.add(ZYDIS_MNEMONIC_MULX, lower<Plain, Product>);
  table.add(ZYDIS_MNEMONIC_LZCNT, lower<Count, Leading>);
  table.add(ZYDIS_MNEMONIC_TZCNT, lower<Count, Trailing>);
  table.add(ZYDIS_MNEMONIC_ADCX, lower<Sum, CarryInCf>);
  table.add(ZYDIS_MNEMONIC_ADOX, lower<Sum, CarryInOf>);
}

}  // namespace ringside::soft

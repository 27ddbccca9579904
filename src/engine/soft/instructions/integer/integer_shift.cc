// SHL SHR SAR ROL ROR RCL RCR SHLD SHRD (SDM 2B). Flags that the manual leaves undefined are those
// of recent processors where they agree.
#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {
namespace {

constexpr std::uint8_t kRcx = 1;

template <typename T>
constexpr unsigned kBits = 8 * sizeof(T);
template <typename T>
constexpr unsigned kCountMask = sizeof(T) == 8 ? 63 : 31;
template <typename T>
constexpr bool top_bit(T value) {
  return (value >> (kBits<T> - 1)) != 0;
}
template <typename T>
constexpr bool second_bit(T value) {
  return ((value >> (kBits<T> - 2)) & 1) != 0;
}

// apply() gets a masked count that is not zero: with zero neither flags nor operand change.
struct Shl {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    if constexpr (sizeof(T) == 8) {
      const T r = a << count;
      const bool carry = ((a >> (64 - count)) & 1) != 0;
      flags.set_result_with<T>(r, carry, carry != top_bit(r));
      return r;
    } else {
      const std::uint64_t wide = std::uint64_t{a} << count;
      const T r = static_cast<T>(wide);
      const bool carry = ((wide >> kBits<T>)&1) != 0;
      flags.set_result_with<T>(r, carry, carry != top_bit(r));
      return r;
    }
  }
};
struct Shr {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    const std::uint64_t almost = std::uint64_t{a} >> (count - 1);
    const T r = static_cast<T>(almost >> 1);
    flags.set_result_with<T>(r, (almost & 1) != 0, top_bit(r) != second_bit(r));
    return r;
  }
};
struct Sar {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    const std::int64_t almost = std::int64_t{static_cast<std::make_signed_t<T>>(a)} >> (count - 1);
    const T r = static_cast<T>(almost >> 1);
    flags.set_result_with<T>(r, (almost & 1) != 0, false);
    return r;
  }
};
struct Rol {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    const T r = std::rotl(a, static_cast<int>(count % kBits<T>));
    const bool carry = (r & 1) != 0;
    flags.set_cf_of(carry, carry != top_bit(r));
    return r;
  }
};
struct Ror {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    const T r = std::rotr(a, static_cast<int>(count % kBits<T>));
    flags.set_cf_of(top_bit(r), top_bit(r) != second_bit(r));
    return r;
  }
};
// Rotation through a register of one bit more: CF above the operand.
struct Rcl {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    count %= kBits<T> + 1;
    bool carry = flags.cf();
    T r = a;
    if (count != 0) {
      const T low = static_cast<T>(static_cast<T>(carry) << (count - 1));
      const T high = count == 1 ? T{0} : static_cast<T>(a >> (kBits<T> + 1 - count));
      r = static_cast<T>((count == kBits<T> ? T{0} : static_cast<T>(a << count)) | low | high);
      carry = ((a >> (kBits<T> - count)) & 1) != 0;
    }
    flags.set_cf_of(carry, carry != top_bit(r));
    return r;
  }
};
struct Rcr {
  template <typename T>
  static T apply(Flags& flags, T a, unsigned count) {
    count %= kBits<T> + 1;
    bool carry = flags.cf();
    T r = a;
    if (count != 0) {
      const T high = static_cast<T>(static_cast<T>(carry) << (kBits<T> - count));
      const T low = count == 1 ? T{0} : static_cast<T>(a << (kBits<T> + 1 - count));
      r = static_cast<T>((count == kBits<T> ? T{0} : static_cast<T>(a >> count)) | low | high);
      carry = ((a >> (count - 1)) & 1) != 0;
    }
    flags.set_cf_of(carry, top_bit(r) != second_bit(r));
    return r;
  }
};

template <typename T, typename Op, bool kMemory>
void shift_by(Cpu& cpu, const Insn& insn, unsigned count) {
  update_rm<T, kMemory>(
      cpu, insn, [&](T a) { return count == 0 ? a : Op::template apply<T>(cpu.flags, a, count); });
}
// With the count from the instruction, masked when it was lowered.
template <typename T, typename Op, bool kMemory>
void shift_i(Cpu& cpu, const Insn& insn) {
  shift_by<T, Op, kMemory>(cpu, insn, insn.extra);
}
template <typename T, typename Op, bool kMemory>
void shift_cl(Cpu& cpu, const Insn& insn) {
  shift_by<T, Op, kMemory>(cpu, insn, cpu.gpr[kRcx] & kCountMask<T>);
}

std::uint8_t masked_count(const ZydisDecodedOperand& count, Width width) {
  return static_cast<std::uint8_t>(count.imm.value.u & (width == Width::Bits64 ? 63 : 31));
}

template <typename Op>
bool lower_shift(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  const Width width = decoded.width(0);
  const bool memory = decoded.is_memory(0);
  if (decoded.is_immediate(1)) {
    insn.extra = masked_count(decoded.op(1), width);
    insn.execute = by_width_and_form(width, memory, [](auto t, auto form) -> Handler {
      return shift_i<decltype(t), Op, decltype(form)::value>;
    });
  } else {
    insn.execute = by_width_and_form(width, memory, [](auto t, auto form) -> Handler {
      return shift_cl<decltype(t), Op, decltype(form)::value>;
    });
  }
  return true;
}

// A 16-bit operand with a count above 16 is undefined: here the destination follows the source
// again.
struct Shld {
  template <typename T>
  static T apply(Flags& flags, T a, T b, unsigned count) {
    bool carry;
    T r;
    if constexpr (sizeof(T) == 2) {
      const std::uint64_t whole = std::uint64_t{a} << 32 | std::uint64_t{b} << 16 | a;
      r = static_cast<T>((whole << count) >> 32);
      carry = ((whole >> (48 - count)) & 1) != 0;
    } else {
      r = static_cast<T>(a << count | b >> (kBits<T> - count));
      carry = ((a >> (kBits<T> - count)) & 1) != 0;
    }
    flags.set_result_with<T>(r, carry, top_bit(r) != top_bit(a));
    return r;
  }
};
struct Shrd {
  template <typename T>
  static T apply(Flags& flags, T a, T b, unsigned count) {
    bool carry;
    T r;
    if constexpr (sizeof(T) == 2) {
      const std::uint64_t whole = std::uint64_t{a} << 32 | std::uint64_t{b} << 16 | a;
      r = static_cast<T>(whole >> count);
      carry = ((whole >> (count - 1)) & 1) != 0;
    } else {
      r = static_cast<T>(a >> count | b << (kBits<T> - count));
      carry = ((a >> (count - 1)) & 1) != 0;
    }
    flags.set_result_with<T>(r, carry, top_bit(r) != top_bit(a));
    return r;
  }
};

template <typename T, typename Op, bool kMemory>
void double_shift_by(Cpu& cpu, const Insn& insn, unsigned count) {
  const T b = cpu.get<T>(insn.reg);
  update_rm<T, kMemory>(cpu, insn, [&](T a) {
    return count == 0 ? a : Op::template apply<T>(cpu.flags, a, b, count);
  });
}
template <typename T, typename Op, bool kMemory>
void double_shift_i(Cpu& cpu, const Insn& insn) {
  double_shift_by<T, Op, kMemory>(cpu, insn, insn.extra);
}
template <typename T, typename Op, bool kMemory>
void double_shift_cl(Cpu& cpu, const Insn& insn) {
  double_shift_by<T, Op, kMemory>(cpu, insn, cpu.gpr[kRcx] & kCountMask<T>);
}

template <typename Op>
bool lower_double_shift(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.reg = decoded.reg(1);
  const Width width = decoded.width(0);
  const bool memory = decoded.is_memory(0);
  if (decoded.is_immediate(2)) {
    insn.extra = masked_count(decoded.op(2), width);
    insn.execute = by_word_width_and_form(width, memory, [](auto t, auto form) -> Handler {
      return double_shift_i<decltype(t), Op, decltype(form)::value>;
    });
  } else {
    insn.execute = by_word_width_and_form(width, memory, [](auto t, auto form) -> Handler {
      return double_shift_cl<decltype(t), Op, decltype(form)::value>;
    });
  }
  return true;
}

}  // namespace

void register_shifts(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_SHL, lower_shift<Shl>);
  table.add(ZYDIS_MNEMONIC_SHR, lower_shift<Shr>);
  table.add(ZYDIS_MNEMONIC_SAR, lower_shift<Sar>);
  table.add(ZYDIS_MNEMONIC_ROL, lower_shift<Rol>);
  table.add(ZYDIS_MNEMONIC_ROR, lower_shift<Ror>);
  table.add(ZYDIS_MNEMONIC_RCL, lower_shift<Rcl>);
  table.add(ZYDIS_MNEMONIC_RCR, lower_shift<Rcr>);
  table.add(ZYDIS_MNEMONIC_SHLD, lower_double_shift<Shld>);
  table.add(ZYDIS_MNEMONIC_SHRD, lower_double_shift<Shrd>);
}

}  // namespace ringside::soft

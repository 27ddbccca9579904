// ADD ADC SUB SBB CMP AND OR XOR TEST INC DEC NEG NOT (SDM 2A, 2B).
#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {
namespace {

struct Add {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a + b);
    flags.set_add<T>(a, b, r);
    return r;
  }
};
struct Adc {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a + b + static_cast<T>(flags.cf()));
    flags.set_add<T>(a, b, r);
    return r;
  }
};
struct Sub {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a - b);
    flags.set_sub<T>(a, b, r);
    return r;
  }
};
struct Sbb {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a - b - static_cast<T>(flags.cf()));
    flags.set_sub<T>(a, b, r);
    return r;
  }
};
struct Cmp : Sub {
  static constexpr bool kWrites = false;
};
struct And {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a & b);
    flags.set_logic<T>(r);
    return r;
  }
};
struct Or {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a | b);
    flags.set_logic<T>(r);
    return r;
  }
};
struct Xor {
  static constexpr bool kWrites = true;
  template <typename T>
  static T apply(Flags& flags, T a, T b) {
    const T r = static_cast<T>(a ^ b);
    flags.set_logic<T>(r);
    return r;
  }
};
struct Test : And {
  static constexpr bool kWrites = false;
};

template <typename T, typename Op>
void binary_rr(Cpu& cpu, const Insn& insn) {
  const T r = Op::template apply<T>(cpu.flags, cpu.get<T>(insn.rm), cpu.get<T>(insn.reg));
  if constexpr (Op::kWrites) cpu.set<T>(insn.rm, r);
}
template <typename T, typename Op>
void binary_ri(Cpu& cpu, const Insn& insn) {
  const T r = Op::template apply<T>(cpu.flags, cpu.get<T>(insn.rm), static_cast<T>(insn.immediate));
  if constexpr (Op::kWrites) cpu.set<T>(insn.rm, r);
}
template <typename T, typename Op>
void binary_rm(Cpu& cpu, const Insn& insn) {
  const T b = load_operand<T>(cpu, insn);
  const T r = Op::template apply<T>(cpu.flags, cpu.get<T>(insn.reg), b);
  if constexpr (Op::kWrites) cpu.set<T>(insn.reg, r);
}
template <typename T, typename Op>
void to_memory(Cpu& cpu, const Insn& insn, T b) {
  if constexpr (Op::kWrites) {
    modify_operand<T>(cpu, insn, [&](T a) { return Op::template apply<T>(cpu.flags, a, b); });
  } else {
    Op::template apply<T>(cpu.flags, load_operand<T>(cpu, insn), b);
  }
}
template <typename T, typename Op>
void binary_mr(Cpu& cpu, const Insn& insn) {
  to_memory<T, Op>(cpu, insn, cpu.get<T>(insn.reg));
}
template <typename T, typename Op>
void binary_mi(Cpu& cpu, const Insn& insn) {
  to_memory<T, Op>(cpu, insn, static_cast<T>(insn.immediate));
}

template <typename Op>
bool lower_binary(const Decoded& decoded, Insn& insn) {
  const Width width = decoded.width(0);
  if (decoded.is_register(0) && decoded.is_memory(1)) {
    lower_load_form(decoded, insn);
    insn.execute = by_width(width, [](auto t) -> Handler { return binary_rm<decltype(t), Op>; });
    return true;
  }
  lower_destination(decoded, insn);
  if (decoded.is_register(1)) {
    insn.reg = decoded.reg(1);
    insn.execute =
        decoded.is_memory(0)
            ? by_width(width, [](auto t) -> Handler { return binary_mr<decltype(t), Op>; })
            : by_width(width, [](auto t) -> Handler { return binary_rr<decltype(t), Op>; });
    return true;
  }
  insn.execute =
      decoded.is_memory(0)
          ? by_width(width, [](auto t) -> Handler { return binary_mi<decltype(t), Op>; })
          : by_width(width, [](auto t) -> Handler { return binary_ri<decltype(t), Op>; });
  return true;
}

struct Inc {
  template <typename T>
  static T apply(Flags& flags, T a) {
    const T r = static_cast<T>(a + 1);
    flags.set_inc<T>(a, r);
    return r;
  }
};
struct Dec {
  template <typename T>
  static T apply(Flags& flags, T a) {
    const T r = static_cast<T>(a - 1);
    flags.set_dec<T>(a, r);
    return r;
  }
};
struct Neg {
  template <typename T>
  static T apply(Flags& flags, T a) {
    const T r = static_cast<T>(0 - a);
    flags.set_sub<T>(0, a, r);
    return r;
  }
};
struct Not {
  template <typename T>
  static T apply(Flags&, T a) {
    return static_cast<T>(~a);
  }
};

template <typename T, typename Op, bool kMemory>
void unary(Cpu& cpu, const Insn& insn) {
  update_rm<T, kMemory>(cpu, insn, [&](T a) { return Op::template apply<T>(cpu.flags, a); });
}

template <typename Op>
bool lower_unary(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute =
      by_width_and_form(decoded.width(0), decoded.is_memory(0), [](auto t, auto memory) -> Handler {
        return unary<decltype(t), Op, decltype(memory)::value>;
      });
  return true;
}

}  // namespace

void register_arithmetic(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_ADD, lower_binary<Add>);
  table.add(ZYDIS_MNEMONIC_ADC, lower_binary<Adc>);
  table.add(ZYDIS_MNEMONIC_SUB, lower_binary<Sub>);
  table.add(ZYDIS_MNEMONIC_SBB, lower_binary<Sbb>);
  table.add(ZYDIS_MNEMONIC_CMP, lower_binary<Cmp>);
  table.add(ZYDIS_MNEMONIC_AND, lower_binary<And>);
  table.add(ZYDIS_MNEMONIC_OR, lower_binary<Or>);
  table.add(ZYDIS_MNEMONIC_XOR, lower_binary<Xor>);
  table.add(ZYDIS_MNEMONIC_TEST, lower_binary<Test>);
  table.add(ZYDIS_MNEMONIC_INC, lower_unary<Inc>);
  table.add(ZYDIS_MNEMONIC_DEC, lower_unary<Dec>);
  table.add(ZYDIS_MNEMONIC_NEG, lower_unary<Neg>);
  table.add(ZYDIS_MNEMONIC_NOT, lower_unary<Not>);
}

}  // namespace ringside::soft

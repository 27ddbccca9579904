// Near JMP Jcc CALL RET LOOPcc JrCXZ. The target is checked before anything changes: in 64-bit mode
// it must be canonical, elsewhere within CS (SDM 2A JMP, CALL; 3A 5.3).
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

constexpr std::uint8_t kRcx = 1;

// How RIP is computed: W is the width of the code segment's offsets after the operand size is
// applied. 64-bit code has no other than 64 bits (an operand-size prefix is ignored).
template <Width kWidth>
std::uint64_t checked(const Cpu& cpu, std::uint64_t target) {
  if constexpr (kWidth == Width::Bits64) {
    // 48-bit canonical is canonical under 57 bits too.
    if (((target + (std::uint64_t{1} << 47)) >> 48) != 0 && !cpu.canonical(target)) [[unlikely]] {
      raise(x86::Vector::GeneralProtection, 0);
    }
    return target;
  } else {
    target = static_cast<std::uint32_t>(target);
    if constexpr (kWidth == Width::Bits16) target = static_cast<std::uint16_t>(target);
    if (target > cpu.seg(x86::SegmentName::Cs).limit) [[unlikely]] {
      raise(x86::Vector::GeneralProtection, 0);
    }
    return target;
  }
}

template <Width kWidth>
std::uint64_t relative_target(const Cpu& cpu, const Insn& insn) {
  return checked<kWidth>(cpu, cpu.rip() + insn.immediate);
}

template <Width kWidth>
void jmp(Cpu& cpu, const Insn& insn) {
  cpu.rip() = relative_target<kWidth>(cpu, insn);
}

template <Width kWidth, unsigned kCondition>
void jcc(Cpu& cpu, const Insn& insn) {
  if (cpu.flags.condition(kCondition)) cpu.rip() = relative_target<kWidth>(cpu, insn);
}

template <typename T>
constexpr Width kWidthOf = sizeof(T) == 8   ? Width::Bits64
                           : sizeof(T) == 4 ? Width::Bits32
                                            : Width::Bits16;

template <typename T, bool kMemory>
void jmp_indirect(Cpu& cpu, const Insn& insn) {
  cpu.rip() = checked<kWidthOf<T>>(cpu, read_rm<T, kMemory>(cpu, insn));
}

template <typename T>
void call(Cpu& cpu, const Insn& insn) {
  const std::uint64_t target = relative_target<kWidthOf<T>>(cpu, insn);
  cpu.push<T>(static_cast<T>(cpu.rip()));
  cpu.rip() = target;
}
template <typename T, bool kMemory>
void call_indirect(Cpu& cpu, const Insn& insn) {
  const std::uint64_t target = checked<kWidthOf<T>>(cpu, read_rm<T, kMemory>(cpu, insn));
  cpu.push<T>(static_cast<T>(cpu.rip()));
  cpu.rip() = target;
}

template <typename T>
void ret(Cpu& cpu, const Insn& insn) {
  const std::uint64_t target = checked<kWidthOf<T>>(cpu, cpu.peek<T>());
  cpu.set_rsp(cpu.rsp() + sizeof(T) + insn.immediate);
  cpu.rip() = target;
}

// LOOP LOOPE LOOPNE: the counter's width is the address size, that of RIP the operand size.
enum class LoopCondition { None, IfZero, IfNotZero };

template <Width kWidth, typename Counter, LoopCondition kCondition>
void loop(Cpu& cpu, const Insn& insn) {
  const auto count = static_cast<Counter>(cpu.get<Counter>(kRcx) - 1);
  bool taken = count != 0;
  if constexpr (kCondition == LoopCondition::IfZero) taken = taken && cpu.flags.zf();
  if constexpr (kCondition == LoopCondition::IfNotZero) taken = taken && !cpu.flags.zf();
  const std::uint64_t target = taken ? relative_target<kWidth>(cpu, insn) : cpu.rip();
  cpu.set<Counter>(kRcx, count);
  cpu.rip() = target;
}

template <Width kWidth, typename Counter>
void jump_if_counter_zero(Cpu& cpu, const Insn& insn) {
  if (cpu.get<Counter>(kRcx) == 0) cpu.rip() = relative_target<kWidth>(cpu, insn);
}

// choose(std::integral_constant<Width, W>{}) for the width that RIP is cut to.
template <typename Choose>
Handler by_target_width(const Decoded& decoded, const Insn& insn, Choose choose) {
  if (decoded.code64()) return choose(std::integral_constant<Width, Width::Bits64>{});
  if (insn.operand_width == Width::Bits16) {
    return choose(std::integral_constant<Width, Width::Bits16>{});
  }
  return choose(std::integral_constant<Width, Width::Bits32>{});
}

Width target_width(const Decoded& decoded, const Insn& insn) {
  return decoded.code64() ? Width::Bits64 : insn.operand_width;
}

bool is_far(const Decoded& decoded) {
  return decoded.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

bool lower_jcc(const Decoded& decoded, Insn& insn) {
  insn.execute = by_condition(decoded.insn.opcode & 15u, [&](auto condition) -> Handler {
    return by_target_width(decoded, insn, [](auto width) -> Handler {
      return jcc<decltype(width)::value, decltype(condition)::value>;
    });
  });
  return true;
}

bool lower_jmp(const Decoded& decoded, Insn& insn) {
  if (is_far(decoded)) return false;
  if (decoded.is_immediate(0)) {
    insn.execute = by_target_width(
        decoded, insn, [](auto width) -> Handler { return jmp<decltype(width)::value>; });
    return true;
  }
  lower_destination(decoded, insn);
  insn.execute = by_word_width_and_form(target_width(decoded, insn), decoded.is_memory(0),
                                        [](auto t, auto memory) -> Handler {
                                          return jmp_indirect<decltype(t), decltype(memory)::value>;
                                        });
  return true;
}

bool lower_call(const Decoded& decoded, Insn& insn) {
  if (is_far(decoded)) return false;
  const Width width = target_width(decoded, insn);
  if (decoded.is_immediate(0)) {
    insn.execute = by_word_width(width, [](auto t) -> Handler { return call<decltype(t)>; });
    return true;
  }
  lower_destination(decoded, insn);
  insn.execute =
      by_word_width_and_form(width, decoded.is_memory(0), [](auto t, auto memory) -> Handler {
        return call_indirect<decltype(t), decltype(memory)::value>;
      });
  return true;
}

bool lower_ret(const Decoded& decoded, Insn& insn) {
  if (is_far(decoded)) return false;
  insn.execute = by_word_width(target_width(decoded, insn),
                               [](auto t) -> Handler { return ret<decltype(t)>; });
  return true;
}

template <typename Choose>
Handler by_counter(const Decoded& decoded, const Insn& insn, Choose choose) {
  return by_word_width(insn.address_width, [&](auto counter) {
    return by_target_width(decoded, insn, [&](auto width) { return choose(width, counter); });
  });
}

template <LoopCondition kCondition>
bool lower_loop(const Decoded& decoded, Insn& insn) {
  insn.execute = by_counter(decoded, insn, [](auto width, auto counter) -> Handler {
    return loop<decltype(width)::value, decltype(counter), kCondition>;
  });
  return true;
}

bool lower_jrcxz(const Decoded& decoded, Insn& insn) {
  insn.execute = by_counter(decoded, insn, [](auto width, auto counter) -> Handler {
    return jump_if_counter_zero<decltype(width)::value, decltype(counter)>;
  });
  return true;
}

}  // namespace

void register_branches(LowerTable& table) {
  table.add({ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB, ZYDIS_MNEMONIC_JNB,
             ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
             ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP, ZYDIS_MNEMONIC_JNP,
             ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE},
            lower_jcc);
  table.add(ZYDIS_MNEMONIC_JMP, lower_jmp);
  table.add(ZYDIS_MNEMONIC_CALL, lower_call);
  table.add(ZYDIS_MNEMONIC_RET, lower_ret);
  table.add(ZYDIS_MNEMONIC_LOOP, lower_loop<LoopCondition::None>);
  table.add(ZYDIS_MNEMONIC_LOOPE, lower_loop<LoopCondition::IfZero>);
  table.add(ZYDIS_MNEMONIC_LOOPNE, lower_loop<LoopCondition::IfNotZero>);
  table.add({ZYDIS_MNEMONIC_JCXZ, ZYDIS_MNEMONIC_JECXZ, ZYDIS_MNEMONIC_JRCXZ}, lower_jrcxz);
}

}  // namespace ringside::soft

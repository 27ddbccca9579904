// MOV MOVZX MOVSX MOVSXD MOVNTI LEA CMOVcc SETcc CBW CWD and their widths, BSWAP MOVBE.
#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {
namespace {

template <typename T>
void mov_rr(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.rm, cpu.get<T>(insn.reg));
}
template <typename T>
void mov_ri(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.rm, static_cast<T>(insn.immediate));
}
template <typename T>
void mov_rm(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.reg, load_operand<T>(cpu, insn));
}
template <typename T>
void mov_mr(Cpu& cpu, const Insn& insn) {
  store_operand<T>(cpu, insn, cpu.get<T>(insn.reg));
}
template <typename T>
void mov_mi(Cpu& cpu, const Insn& insn) {
  store_operand<T>(cpu, insn, static_cast<T>(insn.immediate));
}
// The accumulator and a 64-bit absolute address, kept in `immediate`.
template <typename T>
void mov_from_absolute(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(0,
             cpu.load<T>(cpu.segmented(insn.segment, insn.immediate, sizeof(T), AccessKind::Read)));
}
template <typename T>
void mov_to_absolute(Cpu& cpu, const Insn& insn) {
  cpu.store<T>(cpu.segmented(insn.segment, insn.immediate, sizeof(T), AccessKind::Write),
               cpu.get<T>(0));
}

bool lower_mov(const Decoded& decoded, Insn& insn) {
  for (unsigned i = 0; i < 2; ++i) {
    if (decoded.is_register(i) && !is_general(decoded.op(i).reg.value)) return false;
  }
  const Width width = decoded.width(0);
  const unsigned memory = decoded.is_memory(0) ? 0 : 1;
  if (decoded.is_memory(memory) && decoded.insn.raw.disp.size == 64) {
    lower_memory(decoded, memory, insn);
    insn.execute =
        memory == 0
            ? by_width(width, [](auto t) -> Handler { return mov_to_absolute<decltype(t)>; })
            : by_width(width, [](auto t) -> Handler { return mov_from_absolute<decltype(t)>; });
  } else if (decoded.is_memory(1)) {
    lower_load_form(decoded, insn);
    insn.execute = by_width(width, [](auto t) -> Handler { return mov_rm<decltype(t)>; });
  } else if (decoded.is_register(1)) {
    lower_destination(decoded, insn);
    insn.reg = decoded.reg(1);
    insn.execute = decoded.is_memory(0)
                       ? by_width(width, [](auto t) -> Handler { return mov_mr<decltype(t)>; })
                       : by_width(width, [](auto t) -> Handler { return mov_rr<decltype(t)>; });
  } else {
    lower_destination(decoded, insn);
    insn.execute = decoded.is_memory(0)
                       ? by_width(width, [](auto t) -> Handler { return mov_mi<decltype(t)>; })
                       : by_width(width, [](auto t) -> Handler { return mov_ri<decltype(t)>; });
  }
  return true;
}

// From Source (signed for the sign-extending forms) to the unsigned Target.
template <typename Target, typename Source, bool kMemory>
void extend(Cpu& cpu, const Insn& insn) {
  using Unsigned = std::make_unsigned_t<Source>;
  const auto value = static_cast<Source>(read_rm<Unsigned, kMemory>(cpu, insn));
  cpu.set<Target>(insn.reg, static_cast<Target>(value));
}

template <bool kSigned>
bool lower_extend(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute = by_width_and_form(
      decoded.width(1), decoded.is_memory(1), [&](auto source, auto memory) -> Handler {
        using Source =
            std::conditional_t<kSigned, std::make_signed_t<decltype(source)>, decltype(source)>;
        return by_word_width(decoded.width(0), [](auto target) -> Handler {
          return extend<decltype(target), Source, decltype(memory)::value>;
        });
      });
  return true;
}

// To 16 bits it reads no more than 16 (SDM 2B MOVSXD; AMD's processors read 32).
bool lower_movsxd(const Decoded& decoded, Insn& insn) {
  if (decoded.width(0) == Width::Bits16) return lower_mov(decoded, insn);
  return lower_extend<true>(decoded, insn);
}

template <typename T>
void lea(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.reg, static_cast<T>(cpu.effective_offset(insn)));
}

bool lower_lea(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute =
      by_word_width(decoded.width(0), [](auto t) -> Handler { return lea<decltype(t)>; });
  return true;
}

// The source is read in any case, and the destination written: a 32-bit one loses its upper half.
template <typename T, unsigned kCondition, bool kMemory>
void cmov(Cpu& cpu, const Insn& insn) {
  const T value = read_rm<T, kMemory>(cpu, insn);
  cpu.set<T>(insn.reg, cpu.flags.condition(kCondition) ? value : cpu.get<T>(insn.reg));
}

bool lower_cmov(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute = by_condition(decoded.insn.opcode & 15u, [&](auto condition) -> Handler {
    return by_word_width_and_form(
        decoded.width(0), decoded.is_memory(1), [](auto t, auto memory) -> Handler {
          return cmov<decltype(t), decltype(condition)::value, decltype(memory)::value>;
        });
  });
  return true;
}

template <unsigned kCondition, bool kMemory>
void setcc(Cpu& cpu, const Insn& insn) {
  const auto value = static_cast<std::uint8_t>(cpu.flags.condition(kCondition));
  if constexpr (kMemory) {
    store_operand<std::uint8_t>(cpu, insn, value);
  } else {
    cpu.set<std::uint8_t>(insn.rm, value);
  }
}

bool lower_setcc(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  const bool memory = decoded.is_memory(0);
  insn.execute = by_condition(decoded.insn.opcode & 15u, [&](auto condition) -> Handler {
    constexpr unsigned kCondition = decltype(condition)::value;
    return memory ? setcc<kCondition, true> : setcc<kCondition, false>;
  });
  return true;
}

// CBW CWDE CDQE: the accumulator's lower half, extended.
template <typename Half, typename Whole>
void extend_accumulator(Cpu& cpu, const Insn&) {
  cpu.set<Whole>(0, static_cast<Whole>(static_cast<std::make_signed_t<Half>>(cpu.get<Half>(0))));
}
// CWD CDQ CQO: the accumulator's sign, in rDX.
template <typename T>
void extend_to_rdx(Cpu& cpu, const Insn&) {
  const bool negative = static_cast<std::make_signed_t<T>>(cpu.get<T>(0)) < 0;
  cpu.set<T>(gpr_number(x86::Gpr::Rdx), negative ? static_cast<T>(~T{0}) : T{0});
}

template <typename T>
void bswap(Cpu& cpu, const Insn& insn) {
  if constexpr (sizeof(T) == 8) {
    cpu.set<T>(insn.rm, __builtin_bswap64(cpu.get<T>(insn.rm)));
  } else if constexpr (sizeof(T) == 4) {
    cpu.set<T>(insn.rm, __builtin_bswap32(cpu.get<T>(insn.rm)));
  } else {
    cpu.set<T>(insn.rm, 0);  // undefined by the manual; what processors do
  }
}

template <typename T>
T swapped(T value) {
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  return __builtin_bswap16(value);
}
template <typename T>
void movbe_rm(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.reg, swapped<T>(load_operand<T>(cpu, insn)));
}
template <typename T>
void movbe_mr(Cpu& cpu, const Insn& insn) {
  store_operand<T>(cpu, insn, swapped<T>(cpu.get<T>(insn.reg)));
}

bool lower_movbe(const Decoded& decoded, Insn& insn) {
  const Width width = decoded.width(0);
  if (decoded.is_memory(1)) {
    lower_load_form(decoded, insn);
    insn.execute = by_word_width(width, [](auto t) -> Handler { return movbe_rm<decltype(t)>; });
  } else {
    lower_destination(decoded, insn);
    insn.reg = decoded.reg(1);
    insn.execute = by_word_width(width, [](auto t) -> Handler { return movbe_mr<decltype(t)>; });
  }
  return true;
}

bool lower_bswap(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute =
      by_word_width(decoded.width(0), [](auto t) -> Handler { return bswap<decltype(t)>; });
  return true;
}

}  // namespace

void register_moves(LowerTable& table) {
  table.add({ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_MOVNTI}, lower_mov);
  table.add(ZYDIS_MNEMONIC_MOVZX, lower_extend<false>);
  table.add(ZYDIS_MNEMONIC_MOVSX, lower_extend<true>);
  table.add(ZYDIS_MNEMONIC_MOVSXD, lower_movsxd);
  table.add(ZYDIS_MNEMONIC_LEA, lower_lea);
  table.add(
      {ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_CMOVNB,
       ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE,
       ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP, ZYDIS_MNEMONIC_CMOVNP,
       ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE},
      lower_cmov);
  table.add(
      {ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB, ZYDIS_MNEMONIC_SETNB,
       ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
       ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP, ZYDIS_MNEMONIC_SETNP,
       ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE},
      lower_setcc);
  table.add(ZYDIS_MNEMONIC_CBW, lower_plain<extend_accumulator<std::uint8_t, std::uint16_t>>);
  table.add(ZYDIS_MNEMONIC_CWDE, lower_plain<extend_accumulator<std::uint16_t, std::uint32_t>>);
  table.add(ZYDIS_MNEMONIC_CDQE, lower_plain<extend_accumulator<std::uint32_t, std::uint64_t>>);
  table.add(ZYDIS_MNEMONIC_CWD, lower_plain<extend_to_rdx<std::uint16_t>>);
  table.add(ZYDIS_MNEMONIC_CDQ, lower_plain<extend_to_rdx<std::uint32_t>>);
  table.add(ZYDIS_MNEMONIC_CQO, lower_plain<extend_to_rdx<std::uint64_t>>);
  table.add(ZYDIS_MNEMONIC_BSWAP, lower_bswap);
  table.add(ZYDIS_MNEMONIC_MOVBE, lower_movbe);
}

}  // namespace ringside::soft

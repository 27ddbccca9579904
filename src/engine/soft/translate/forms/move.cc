// MOV MOVNTI MOVZX MOVSX MOVSXD LEA CMOVcc SETcc XCHG CBW CWD and their widths, and what does
// nothing.
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

// A register that gets `width` new bits: with what it keeps, if it keeps something.
Xbyak::Reg64 destination(Emitter& emitter, unsigned to, Width width, const Xbyak::Reg64& scratch) {
  return width >= Width::Bits32 ? emitter.place(to, scratch) : emitter.read(to, scratch);
}

void mov_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  if (width == Width::Bits64 && kHostRegister[to] < 0) {
    emitter.written(to, source);
    return;
  }
  const Xbyak::Reg64 where = destination(emitter, to, width, emitter.kAddress);
  emitter.code().mov(Emitter::sized(where, width), Emitter::sized(source, width));
  emitter.written(to, where);
}
void mov_immediate(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 where = destination(emitter, to, width, emitter.kAddress);
  const std::uint64_t value = emitter.insn().immediate;
  switch (width) {
    case Width::Bits8:
      emitter.code().mov(where.cvt8(), static_cast<std::uint8_t>(value));
      break;
    case Width::Bits16:
      emitter.code().mov(where.cvt16(), static_cast<std::uint16_t>(value));
      break;
    case Width::Bits32:
      emitter.code().mov(where.cvt32(), static_cast<std::uint32_t>(value));
      break;
    default:
      emitter.code().mov(where, value);
      break;
  }
  emitter.written(to, where);
}
void mov_from_memory(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  emitter.reach_operand(bytes_of(width), AccessKind::Read);
  const Xbyak::Reg64 where = destination(emitter, to, width, emitter.kSecond);
  emitter.code().mov(Emitter::sized(where, width), Emitter::at(emitter.kAddress, width));
  emitter.written(to, where);
}
void mov_to_memory(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  emitter.code().mov(Emitter::at(emitter.kAddress, width), Emitter::sized(source, width));
}
void mov_immediate_to_memory(Emitter& emitter) {
  const Width width = emitter.decoded().width(0);
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  emitter.code().mov(Emitter::at(emitter.kAddress, width),
                     extended(immediate_of(emitter.insn(), width)));
}
Emit plan_mov(const Decoded& decoded, const Insn& insn) {
  const auto first = general_register(decoded, 0);
  const auto second = general_register(decoded, 1);
  if (first && second) return mov_register;
  if (first && decoded.is_immediate(1)) return mov_immediate;
  if (first && is_reachable(decoded, 1, insn)) return mov_from_memory;
  if (!is_reachable(decoded, 0, insn)) return nullptr;
  if (second) return mov_to_memory;
  return decoded.is_immediate(1) ? mov_immediate_to_memory : nullptr;
}

enum class Extension { Zero, Sign };

template <Extension kExtension>
void write_extension(Emitter& emitter, const Xbyak::Reg64& to, Width width,
                     const Xbyak::Operand& source, Width source_width) {
  Assembler& code = emitter.code();
  if constexpr (kExtension == Extension::Zero) {
    // The upper half is cleared by a 32-bit instruction.
    const Width enough = width == Width::Bits64 ? Width::Bits32 : width;
    code.movzx(Emitter::sized(to, enough), source);
  } else if (source_width == Width::Bits32) {
    code.movsxd(to, source);
  } else {
    code.movsx(Emitter::sized(to, width), source);
  }
}
template <Extension kExtension>
void extend_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0), source_width = decoded.width(1);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  const Xbyak::Reg64 where = destination(emitter, to, width, emitter.kAddress);
  write_extension<kExtension>(emitter, where, width, Emitter::sized(source, source_width),
                              source_width);
  emitter.written(to, where);
}
template <Extension kExtension>
void extend_memory(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0), source_width = decoded.width(1);
  const unsigned to = *general_register(decoded, 0);
  emitter.reach_operand(bytes_of(source_width), AccessKind::Read);
  const Xbyak::Reg64 where = destination(emitter, to, width, emitter.kSecond);
  write_extension<kExtension>(emitter, where, width, Emitter::at(emitter.kAddress, source_width),
                              source_width);
  emitter.written(to, where);
}
template <Extension kExtension>
Emit plan_extension(const Decoded& decoded, const Insn& insn) {
  const auto to = general_register(decoded, 0);
  // Forms that extend nothing are left to their handlers.
  if (!to || decoded.width(1) >= decoded.width(0)) return nullptr;
  if (decoded.width(1) == Width::Bits32 && decoded.width(0) != Width::Bits64) return nullptr;
  if (general_register(decoded, 1)) return extend_register<kExtension>;
  return is_reachable(decoded, 1, insn) ? extend_memory<kExtension> : nullptr;
}

void lea(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  emitter.offset_in_segment();
  if (width == Width::Bits64 && kHostRegister[to] < 0) {
    emitter.written(to, emitter.kAddress);
    return;
  }
  const Xbyak::Reg64 where = destination(emitter, to, width, emitter.kSecond);
  emitter.code().mov(Emitter::sized(where, width), Emitter::sized(emitter.kAddress, width));
  emitter.written(to, where);
}
Emit plan_lea(const Decoded& decoded, const Insn& insn) {
  return general_register(decoded, 0) && insn.address_width == Width::Bits64 ? lea : nullptr;
}

void write_cmov(Emitter& emitter, unsigned to, const Xbyak::Reg64& source, Width width) {
  using Member = void (Xbyak::CodeGenerator::*)(const Xbyak::Reg&, const Xbyak::Operand&);
  using G = Xbyak::CodeGenerator;
  static constexpr Member kMoves[16] = {
      &G::cmovo, &G::cmovno, &G::cmovb, &G::cmovnb, &G::cmovz, &G::cmovnz, &G::cmovbe, &G::cmova,
      &G::cmovs, &G::cmovns, &G::cmovp, &G::cmovnp, &G::cmovl, &G::cmovge, &G::cmovle, &G::cmovg};
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  const unsigned condition = condition_of(emitter.decoded());
  emitter.need_flags(condition);
  (emitter.code().*kMoves[condition])(Emitter::sized(where, width), Emitter::sized(source, width));
  emitter.written(to, where);
}
void cmov_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  write_cmov(emitter, *general_register(decoded, 0), source, decoded.width(0));
}
// The source is read in any case.
void cmov_memory(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  emitter.reach_operand(bytes_of(width), AccessKind::Read);
  emitter.code().mov(Emitter::sized(emitter.kSecond, width), Emitter::at(emitter.kAddress, width));
  write_cmov(emitter, *general_register(decoded, 0), emitter.kSecond, width);
}
Emit plan_cmov(const Decoded& decoded, const Insn& insn) {
  if (!general_register(decoded, 0)) return nullptr;
  if (general_register(decoded, 1)) return cmov_register;
  return is_reachable(decoded, 1, insn) ? cmov_memory : nullptr;
}

void write_set(Emitter& emitter, const Xbyak::Operand& to) {
  using Member = void (Xbyak::CodeGenerator::*)(const Xbyak::Operand&);
  using G = Xbyak::CodeGenerator;
  static constexpr Member kSets[16] = {
      &G::seto, &G::setno, &G::setb, &G::setnb, &G::setz, &G::setnz, &G::setbe, &G::seta,
      &G::sets, &G::setns, &G::setp, &G::setnp, &G::setl, &G::setge, &G::setle, &G::setg};
  const unsigned condition = condition_of(emitter.decoded());
  emitter.need_flags(condition);
  (emitter.code().*kSets[condition])(to);
}
void set_register(Emitter& emitter) {
  const unsigned to = *general_register(emitter.decoded(), 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  write_set(emitter, where.cvt8());
  emitter.written(to, where);
}
void set_memory(Emitter& emitter) {
  emitter.reach_operand(1, AccessKind::Write);
  write_set(emitter, Xbyak::util::byte[emitter.kAddress]);
}
Emit plan_set(const Decoded& decoded, const Insn& insn) {
  if (general_register(decoded, 0)) return set_register;
  return is_reachable(decoded, 0, insn) ? set_memory : nullptr;
}

void xchg_registers(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned first = *general_register(decoded, 0), second = *general_register(decoded, 1);
  const Xbyak::Reg64 one = emitter.read(first, emitter.kAddress);
  const Xbyak::Reg64 other = emitter.read(second, emitter.kSecond);
  emitter.code().xchg(Emitter::sized(one, width), Emitter::sized(other, width));
  emitter.written(first, one);
  emitter.written(second, other);
}
Emit plan_xchg(const Decoded& decoded, const Insn&) {
  const auto first = general_register(decoded, 0), second = general_register(decoded, 1);
  return first && second && first != second ? xchg_registers : nullptr;
}

constexpr unsigned kRax = 0, kRdx = 2;

void cdqe(Emitter& emitter) {
  const Xbyak::Reg64 where = emitter.read(kRax, emitter.kAddress);
  emitter.code().movsxd(where, where.cvt32());
  emitter.written(kRax, where);
}
void cwde(Emitter& emitter) {
  const Xbyak::Reg64 where = emitter.read(kRax, emitter.kAddress);
  emitter.code().movsx(where.cvt32(), where.cvt16());
  emitter.written(kRax, where);
}
template <Width kWidth>
void sign_to_rdx(Emitter& emitter) {
  const Xbyak::Reg64 source = emitter.read(kRax, emitter.kSecond);
  const Xbyak::Reg64 where = emitter.place(kRdx, emitter.kAddress);
  emitter.code().mov(Emitter::sized(where, kWidth), Emitter::sized(source, kWidth));
  emitter.code().sar(Emitter::sized(where, kWidth), kWidth == Width::Bits64 ? 63 : 31);
  emitter.written(kRdx, where);
  emitter.lose_host_flags();
}

void bswap(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  if (decoded.width(0) == Width::Bits64) {
    emitter.code().bswap(where);
  } else {
    emitter.code().bswap(where.cvt32());
  }
  emitter.written(to, where);
}

void nothing(Emitter&) {}

}  // namespace

Emit plan_move(const Decoded& decoded, const Insn& insn) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVNTI:
      return plan_mov(decoded, insn);
    case ZYDIS_MNEMONIC_MOVZX:
      return plan_extension<Extension::Zero>(decoded, insn);
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      return plan_extension<Extension::Sign>(decoded, insn);
    case ZYDIS_MNEMONIC_LEA:
      return plan_lea(decoded, insn);
    case ZYDIS_MNEMONIC_XCHG:
      return plan_xchg(decoded, insn);
    case ZYDIS_MNEMONIC_CDQE:
      return cdqe;
    case ZYDIS_MNEMONIC_CWDE:
      return cwde;
    case ZYDIS_MNEMONIC_CDQ:
      return sign_to_rdx<Width::Bits32>;
    case ZYDIS_MNEMONIC_CQO:
      return sign_to_rdx<Width::Bits64>;
    case ZYDIS_MNEMONIC_BSWAP:
      return decoded.width(0) >= Width::Bits32 ? bswap : nullptr;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
      return nothing;
    default:
      break;
  }
  switch (decoded.insn.meta.category) {
    case ZYDIS_CATEGORY_CMOV:
      return plan_cmov(decoded, insn);
    case ZYDIS_CATEGORY_SETCC:
      return plan_set(decoded, insn);
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft

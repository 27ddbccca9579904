// BT BTS BTR BTC BSF BSR.
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ptr;

enum class Bit { Test, Set, Reset, Complement };

template <Bit bit, typename Offset>
void apply(Assembler& code, const Xbyak::Operand& operand, const Offset& offset) {
  if constexpr (bit == Bit::Test) code.bt(operand, offset);
  if constexpr (bit == Bit::Set) code.bts(operand, offset);
  if constexpr (bit == Bit::Reset) code.btr(operand, offset);
  if constexpr (bit == Bit::Complement) code.btc(operand, offset);
}

template <Bit bit>
void of_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  if (decoded.is_immediate(1)) {
    apply<bit>(emitter.code(), Emitter::sized(where, width),
               static_cast<std::uint8_t>(emitter.insn().immediate));
  } else {
    const Xbyak::Reg64 offset = emitter.read(*general_register(decoded, 1), emitter.kSecond);
    apply<bit>(emitter.code(), Emitter::sized(where, width), Emitter::sized(offset, width));
  }
  if constexpr (bit != Bit::Test) emitter.written(to, where);
  emitter.keep_carry();
}

template <Bit bit>
constexpr AccessKind kKind = bit == Bit::Test ? AccessKind::Read : AccessKind::Write;

template <Bit bit>
void of_memory(Emitter& emitter) {
  const Width width = emitter.decoded().width(0);
  emitter.reach_operand(bytes_of(width), kKind<bit>);
  apply<bit>(emitter.code(), Emitter::at(emitter.kAddress, width),
             static_cast<std::uint8_t>(emitter.insn().immediate));
  emitter.keep_carry();
}

// The offset in a register is signed and reaches beyond the operand.
template <Bit bit>
void of_memory_by_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned offset = *general_register(decoded, 1);
  const int bytes = static_cast<int>(bytes_of(width));
  emitter.linear_address();
  const Xbyak::Reg64 number = emitter.read(offset, emitter.kSecond);
  if (width == Width::Bits64) {
    code.mov(emitter.kThird, number);
    code.sar(emitter.kThird, 6);
  } else {
    code.movsxd(emitter.kThird, number.cvt32());
    code.sar(emitter.kThird, 5);
  }
  code.lea(emitter.kAddress, ptr[emitter.kAddress + emitter.kThird * bytes]);
  emitter.reach(bytes_of(width), kKind<bit>);
  code.mov(Emitter::sized(emitter.kThird, width), Emitter::at(emitter.kAddress, width));
  const Xbyak::Reg64 again = emitter.read(offset, emitter.kSecond);
  apply<bit>(code, Emitter::sized(emitter.kThird, width), Emitter::sized(again, width));
  if constexpr (bit != Bit::Test)
    code.mov(Emitter::at(emitter.kAddress, width), Emitter::sized(emitter.kThird, width));
  emitter.keep_carry();
}

template <Bit bit>
Emit plan_bit(const Decoded& decoded, const Insn& insn) {
  const bool by_register = general_register(decoded, 1).has_value();
  if (general_register(decoded, 0))
    return by_register || decoded.is_immediate(1) ? of_register<bit> : nullptr;
  if (!is_reachable(decoded, 0, insn)) return nullptr;
  if (decoded.is_immediate(1)) return of_memory<bit>;
  return by_register && decoded.width(0) >= Width::Bits32 ? of_memory_by_register<bit> : nullptr;
}

enum class Scan { Forward, Reverse };

// A source of zero leaves the destination alone, all of it; the flags are those of the source, as
// after a logical instruction.
template <Scan scan>
void write_scan(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  if (decoded.is_memory(1)) {
    emitter.reach_operand(bytes_of(width), AccessKind::Read);
    code.mov(Emitter::sized(emitter.kSecond, width), Emitter::at(emitter.kAddress, width));
  } else {
    emitter.load(*general_register(decoded, 1), emitter.kSecond);
  }
  const Xbyak::Reg source = Emitter::sized(emitter.kSecond, width);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kThird);
  code.test(source, source);
  emitter.keep_flags(Emitter::Kind::Logical);
  if constexpr (scan == Scan::Forward) {
    code.bsf(Emitter::sized(emitter.kAddress, width), source);
  } else {
    code.bsr(Emitter::sized(emitter.kAddress, width), source);
  }
  code.cmovnz(where, emitter.kAddress);
  emitter.written(to, where);
  emitter.lose_host_flags();
}

template <Scan scan>
Emit plan_scan(const Decoded& decoded, const Insn& insn) {
  if (decoded.width(0) < Width::Bits32) return nullptr;
  return general_register(decoded, 1) || is_reachable(decoded, 1, insn) ? write_scan<scan>
                                                                        : nullptr;
}

}  // namespace

Emit plan_bits(const Decoded& decoded, const Insn& insn) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_BT:
      return plan_bit<Bit::Test>(decoded, insn);
    case ZYDIS_MNEMONIC_BTS:
      return plan_bit<Bit::Set>(decoded, insn);
    case ZYDIS_MNEMONIC_BTR:
      return plan_bit<Bit::Reset>(decoded, insn);
    case ZYDIS_MNEMONIC_BTC:
      return plan_bit<Bit::Complement>(decoded, insn);
    case ZYDIS_MNEMONIC_BSF:
      return plan_scan<Scan::Forward>(decoded, insn);
    case ZYDIS_MNEMONIC_BSR:
      return plan_scan<Scan::Reverse>(decoded, insn);
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft

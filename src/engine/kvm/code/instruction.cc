#include "engine/kvm/code/instruction.h"

#include <algorithm>
#include <array>

#include "engine/kvm/code/disassembly.h"

namespace ringside::kvm {
namespace {

using Kind = Instruction::Kind;

const ZydisDecoder& decoder(CodeSize size) {
  static const auto decoders = [] {
    std::array<ZydisDecoder, 3> made;
    ZydisDecoderInit(&made[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&made[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&made[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return made;
  }();
  return decoders[static_cast<std::size_t>(size)];
}

Kind kind_of(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand* operands) {
  switch (insn.mnemonic) {
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
      return Kind::PushFlags;
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
      return Kind::PopFlags;
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
      return Kind::InterruptReturn;
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INTO:
    case ZYDIS_MNEMONIC_BOUND:
      return Kind::SoftwareInterrupt;
    case ZYDIS_MNEMONIC_INT3:
      return Kind::Breakpoint;
    case ZYDIS_MNEMONIC_SYSCALL:
      return Kind::SystemCall;
    case ZYDIS_MNEMONIC_SYSENTER:
      return Kind::SystemEnter;
    case ZYDIS_MNEMONIC_SYSRET:
      return Kind::SystemReturn;
    case ZYDIS_MNEMONIC_SYSEXIT:
      return Kind::SystemExit;
    case ZYDIS_MNEMONIC_HLT:
      return Kind::Halt;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_POP:
      if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
          operands[0].reg.value == ZYDIS_REGISTER_SS) {
        return Kind::LoadStackSegment;
      }
      return Kind::Plain;
    default:
      return Kind::Plain;
  }
}

std::uint8_t vector_of(const ZydisDecodedInstruction& insn) {
  switch (insn.mnemonic) {
    case ZYDIS_MNEMONIC_INT:
      return static_cast<std::uint8_t>(insn.raw.imm[0].value.u);
    case ZYDIS_MNEMONIC_INT1:
      return 1;
    case ZYDIS_MNEMONIC_INTO:
      return 4;
    case ZYDIS_MNEMONIC_BOUND:
      return 5;
    default:
      return 0;
  }
}

bool is_system_register(const ZydisDecodedOperand& operand) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
  switch (ZydisRegisterGetClass(operand.reg.value)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
    case ZYDIS_REGCLASS_FLAGS:
    case ZYDIS_REGCLASS_IP:
      return false;
    default:
      return true;
  }
}

bool touches_memory_or_system(const ZydisDecodedOperand& operand) {
  if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) return true;
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) return operand.mem.type != ZYDIS_MEMOP_TYPE_AGEN;
  return is_system_register(operand);
}

// What functions begin with, and what else is certain.
bool falls_through(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand* operands) {
  switch (insn.meta.category) {
    case ZYDIS_CATEGORY_BINARY:
    case ZYDIS_CATEGORY_LOGICAL:
    case ZYDIS_CATEGORY_DATAXFER:
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_BITBYTE:
    case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_SETCC:
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_CONVERT:
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP:
    case ZYDIS_CATEGORY_MISC:
      break;
    default:
      return insn.mnemonic == ZYDIS_MNEMONIC_ENDBR64;
  }
  if (insn.meta.category == ZYDIS_CATEGORY_MISC && insn.mnemonic != ZYDIS_MNEMONIC_LEA)
    return false;
  return std::none_of(operands, operands + insn.operand_count, is_system_register);
}

// Only what is certain: arithmetic on general registers and direct jumps.
bool may_fault(const ZydisDecodedInstruction& insn, const ZydisDecodedOperand* operands) {
  switch (insn.meta.category) {
    case ZYDIS_CATEGORY_BINARY:
      if (insn.mnemonic == ZYDIS_MNEMONIC_DIV || insn.mnemonic == ZYDIS_MNEMONIC_IDIV) return true;
      break;
    case ZYDIS_CATEGORY_LOGICAL:
    case ZYDIS_CATEGORY_DATAXFER:
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_BITBYTE:
    case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_SETCC:
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_CONVERT:
    case ZYDIS_CATEGORY_MISC:
      if (insn.meta.category == ZYDIS_CATEGORY_MISC && insn.mnemonic != ZYDIS_MNEMONIC_LEA)
        return true;
      break;
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
      if (operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return true;
      break;
    default:
      return true;
  }
  if (insn.meta.isa_ext != ZYDIS_ISA_EXT_BASE && insn.meta.isa_ext != ZYDIS_ISA_EXT_LONGMODE)
    return true;
  return std::any_of(operands, operands + insn.operand_count, touches_memory_or_system);
}

}  // namespace

bool decode(std::span<const std::uint8_t> code, CodeSize size, Disassembly& result) {
  return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder(size), code.data(),
                                             std::min<std::size_t>(code.size(), 15), &result.insn,
                                             result.operands));
}

Instruction examine(std::span<const std::uint8_t> code, CodeSize size) {
  Disassembly decoded;
  Instruction result;
  if (!decode(code, size, decoded)) return result;
  const auto& [insn, operands] = decoded;
  result.kind = kind_of(insn, operands);
  result.length = insn.length;
  result.operand_size = static_cast<std::uint8_t>(insn.operand_width / 8);
  result.vector = vector_of(insn);
  result.falls_through = result.kind == Kind::Plain && falls_through(insn, operands);
  result.may_fault = result.kind != Kind::Plain || may_fault(insn, operands);
  return result;
}

std::uint8_t int3_length(std::span<const std::uint8_t> code, CodeSize size) {
  const Instruction insn = examine(code, size);
  return insn.kind == Kind::Breakpoint ? insn.length : 0;
}

}  // namespace ringside::kvm

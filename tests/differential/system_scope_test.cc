// What user code may do of the system's family, and that it may not do the rest: privileged
// instructions at privilege 3 fault alike, with the same vector and error code, and change nothing.
#include <gtest/gtest.h>

#include "differential/matches_the_host.h"
#include "differential/scopes.h"

namespace ringside::differential {
namespace {

bool is_segment(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

bool is_control_or_debug(const ZydisDecodedOperand& operand) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
  const ZydisRegisterClass reg_class = ZydisRegisterGetClass(operand.reg.value);
  return reg_class == ZYDIS_REGCLASS_CONTROL || reg_class == ZYDIS_REGCLASS_DEBUG;
}

}  // namespace

// Loading a segment register would change the test's own process; what Linux emulates or forbids by
// its own choice (SGDT and its like, RDPMC) cannot be compared.
bool claimed_as_system(const Encoding& encoding) {
  const auto& operands = encoding.operands;
  switch (encoding.insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
      return is_segment(operands[1]) || is_control_or_debug(operands[0]) ||
             is_control_or_debug(operands[1]);
    case ZYDIS_MNEMONIC_PUSH:  // 32 bits wide it writes two bytes or four, as the maker likes
      return is_segment(operands[0]) && encoding.insn.operand_width != 32;
    case ZYDIS_MNEMONIC_ARPL:  // whether memory that stays the same must be writable is open
      return operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
    case ZYDIS_MNEMONIC_SYSRET:  // elsewhere #UD (Intel) or #GP (AMD)
      return encoding.mode == Mode::Code64;
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
    case ZYDIS_MNEMONIC_LGDT:
    case ZYDIS_MNEMONIC_LIDT:
    case ZYDIS_MNEMONIC_LLDT:
    case ZYDIS_MNEMONIC_LTR:
    case ZYDIS_MNEMONIC_LMSW:
    case ZYDIS_MNEMONIC_CLTS:
    case ZYDIS_MNEMONIC_INVLPG:
    case ZYDIS_MNEMONIC_INVPCID:
    case ZYDIS_MNEMONIC_INVD:
    case ZYDIS_MNEMONIC_WBINVD:
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
    case ZYDIS_MNEMONIC_SWAPGS:
    case ZYDIS_MNEMONIC_STAC:
    case ZYDIS_MNEMONIC_CLAC:
      return true;
    default:
      return false;
  }
}

namespace {

class SystemDifferential : public testing::TestWithParam<Mode> {};

TEST_P(SystemDifferential, MatchesTheHost) {
  const Scope scope{claimed_as_system, nullptr, nullptr};
  expect_matches_the_host(GetParam(), scope, {"system", 120, 3, 80});
}

INSTANTIATE_TEST_SUITE_P(Modes, SystemDifferential,
                         testing::Values(Mode::Code64, Mode::Code32, Mode::Code16), mode_name);

}  // namespace
}  // namespace ringside::differential

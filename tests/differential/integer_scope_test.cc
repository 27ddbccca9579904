// The integer, branch and string families against the host's processor.
#include <gtest/gtest.h>

#include "differential/matches_the_host.h"
#include "differential/scopes.h"
#include "ringside/x86/bits.h"

namespace ringside::differential {
namespace {

using namespace x86::rflags;

bool has_register_class(const Encoding& encoding, ZydisRegisterClass wanted) {
  for (unsigned i = 0; i < encoding.insn.operand_count_visible; ++i) {
    const ZydisDecodedOperand& operand = encoding.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        ZydisRegisterGetClass(operand.reg.value) == wanted) {
      return true;
    }
  }
  return false;
}

bool has_prefix(const Encoding& encoding, std::uint8_t value) {
  for (unsigned i = 0; i < encoding.insn.raw.prefix_count; ++i) {
    if (encoding.insn.raw.prefixes[i].value == value) return true;
  }
  return false;
}

// What belongs to other families or cannot be compared (time, identification, privilege).
bool is_excluded(const Encoding& encoding) {
  for (const auto reg_class : {ZYDIS_REGCLASS_SEGMENT, ZYDIS_REGCLASS_CONTROL, ZYDIS_REGCLASS_DEBUG,
                               ZYDIS_REGCLASS_XMM, ZYDIS_REGCLASS_MMX}) {
    if (has_register_class(encoding, reg_class)) return true;
  }
  if (encoding.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return true;
  switch (encoding.insn.meta.category) {
    case ZYDIS_CATEGORY_INTERRUPT:
      return encoding.insn.mnemonic != ZYDIS_MNEMONIC_BOUND;
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_SEGOP:
    case ZYDIS_CATEGORY_X87_ALU:
      return true;
    default:
      break;
  }
  // In 64-bit code AMD's processors obey an operand-size prefix on near branches, Intel's and the
  // software CPU (as its CPUID says) do not.
  if (encoding.mode == Mode::Code64 && encoding.branches() && has_prefix(encoding, 0x66)) {
    return true;
  }
  // REP turns LOOPE into LOOPNE and back on AMD's; the manuals know nothing of it.
  if (encoding.is({ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE}) &&
      (has_prefix(encoding, 0xf2) || has_prefix(encoding, 0xf3))) {
    return true;
  }
  // F3 REX.B 90: PAUSE or an exchange with R8.
  if (encoding.insn.mnemonic == ZYDIS_MNEMONIC_PAUSE && encoding.insn.raw.rex.B != 0) return true;
  // PREFETCHW of a register: #UD or nothing, as the maker likes.
  if (encoding.insn.opcode_map == ZYDIS_OPCODE_MAP_0F && encoding.insn.opcode == 0x0d &&
      encoding.insn.raw.modrm.mod == 3) {
    return true;
  }
  // MOVSXD to 16 bits reads two bytes of memory (Intel's) or four (AMD's).
  if (encoding.is({ZYDIS_MNEMONIC_MOVSXD}) && encoding.operands[0].size == 16 &&
      encoding.operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY) {
    return true;
  }
  return encoding.is({ZYDIS_MNEMONIC_PUSHF, ZYDIS_MNEMONIC_PUSHFD, ZYDIS_MNEMONIC_PUSHFQ,
                      ZYDIS_MNEMONIC_POPF, ZYDIS_MNEMONIC_POPFD, ZYDIS_MNEMONIC_POPFQ,
                      ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ,
                      ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_CLI, ZYDIS_MNEMONIC_STI,
                      ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL, ZYDIS_MNEMONIC_VERR,
                      ZYDIS_MNEMONIC_VERW, ZYDIS_MNEMONIC_ARPL});
}

}  // namespace

bool claimed_as_integer(const Encoding& encoding) {
  if (encoding.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  if (is_excluded(encoding)) return false;
  switch (encoding.insn.meta.isa_set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_CMPXCHG16B:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_PREFETCH_NOP:
    case ZYDIS_ISA_SET_PREFETCHWT1:
    case ZYDIS_ISA_SET_SSE_PREFETCH:
    case ZYDIS_ISA_SET_PAUSE:
    case ZYDIS_ISA_SET_MOVBE:
    case ZYDIS_ISA_SET_CLFSH:
      break;
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE42:
      if (!encoding.is({ZYDIS_MNEMONIC_CRC32, ZYDIS_MNEMONIC_MOVNTI, ZYDIS_MNEMONIC_LFENCE,
                        ZYDIS_MNEMONIC_MFENCE, ZYDIS_MNEMONIC_SFENCE})) {
        return false;
      }
      break;
    default:
      return false;
  }
  return true;
}

namespace {

unsigned shift_count(const Encoding& encoding, const Case& test) {
  const unsigned mask = encoding.operands[0].size == 64 ? 63 : 31;
  const ZydisDecodedOperand& last = encoding.operands[encoding.insn.operand_count_visible - 1];
  if (last.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    return static_cast<unsigned>(last.imm.value.u) & mask;
  }
  return static_cast<unsigned>(test.state.gpr[1]) & mask;
}

// The decoder's tables know instructions, not counts (SDM 2B SAL/SAR/SHL/SHR, RCL…, SHLD, SHRD).
std::uint64_t undefined_flags(const Encoding& encoding, const Case& test) {
  std::uint64_t undefined = undefined_flags_of(encoding);
  const unsigned size = encoding.operands.empty() ? 0 : encoding.operands[0].size;
  switch (encoding.insn.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR: {
      const unsigned count = shift_count(encoding, test);
      if (count == 0) return 0;
      undefined = AF;
      if (count != 1) undefined |= OF;
      if (count >= size && encoding.insn.mnemonic != ZYDIS_MNEMONIC_SAR) undefined |= CF;
      return undefined;
    }
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR: {
      const unsigned count = shift_count(encoding, test);
      return count > 1 ? OF : 0;
    }
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
      const unsigned count = shift_count(encoding, test);
      if (count == 0) return 0;
      return count == 1 ? AF : AF | OF;
    }
    default:
      return undefined;
  }
}

bool undefined_result(const Encoding& encoding, const Case& test, bool faulted) {
  // Several accesses, of which the first may have taken effect.
  if (faulted) {
    return encoding.is({ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_POPA,
                        ZYDIS_MNEMONIC_POPAD, ZYDIS_MNEMONIC_ENTER});
  }
  if (encoding.is({ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD})) {
    return shift_count(encoding, test) > encoding.operands[0].size;
  }
  return encoding.is({ZYDIS_MNEMONIC_BSWAP}) && encoding.operands[0].size == 16;
}

bool is_compare_string(const Encoding& encoding) {
  return encoding.is(
      {ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ});
}
bool is_scan_string(const Encoding& encoding) {
  return encoding.is(
      {ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ});
}

Freedom freedom(const Encoding& encoding, const Case& test, bool faulted) {
  Freedom open;
  open.flags = undefined_flags(encoding, test);
  open.result = undefined_result(encoding, test, faulted);
  // CMPS and BOUND read twice; a call checks its target and writes the stack.
  open.fault = is_compare_string(encoding) || encoding.is({ZYDIS_MNEMONIC_BOUND}) ||
               encoding.is({ZYDIS_MNEMONIC_CALL});
  // Some processors check the target after the return address has been written.
  open.memory = faulted && encoding.is({ZYDIS_MNEMONIC_CALL});
  // The flags after a fault in the midst of a repetition: the manual has those before it (SDM 2B
  // REP), AMD's processors and the software CPU those of the last compare.
  open.flags_before =
      faulted && encoding.repeats() && (is_compare_string(encoding) || is_scan_string(encoding));
  // Whether a repetition without a single iteration still makes ESI and EDI out of RSI and RDI.
  const bool none = faulted || (test.state.gpr[1] & 0xffffffff) == 0;
  open.index_upper_halves = none && encoding.repeats() && encoding.insn.address_width == 32;
  return open;
}

// Now and then alignment is checked.
void prepare(const Encoding&, Case& test, std::span<std::uint8_t>, Random& random) {
  if (random() % 16 == 0) test.state.rflags |= AC;
}

class IntegerDifferential : public testing::TestWithParam<Mode> {};

TEST_P(IntegerDifferential, MatchesTheHost) {
  const Scope scope{claimed_as_integer, freedom, prepare};
  expect_matches_the_host(GetParam(), scope, {"integer", 240, 1, 500});
}

INSTANTIATE_TEST_SUITE_P(Modes, IntegerDifferential,
                         testing::Values(Mode::Code64, Mode::Code32, Mode::Code16), mode_name);

}  // namespace
}  // namespace ringside::differential

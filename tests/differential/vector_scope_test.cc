// The MMX, SSE, AES, SHA and x87 families against the host's processor: every form that the opcode
// maps hold, in every mode, with addressing, alignment and page faults. (What the forms compute
// with unmasked exceptions is the subject of sse_test.cc and x87_test.cc beside the sources.)
#include <gtest/gtest.h>

#include <cstring>

#include "differential/matches_the_host.h"
#include "differential/scopes.h"
#include "engine/soft/testing/vector_values.h"

namespace ringside::differential {
namespace {

using soft::testing::Data;
using soft::testing::VectorValues;

bool is_x87(const Encoding& encoding) {
  switch (encoding.insn.meta.isa_set) {
    case ZYDIS_ISA_SET_X87:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_SSE3X87:
      return true;
    default:
      return encoding.insn.meta.category == ZYDIS_CATEGORY_X87_ALU;
  }
}

}  // namespace

bool claimed_as_x87(const Encoding& encoding) {
  if (encoding.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !is_x87(encoding))
    return false;
  // The first two store pointers that processors report differently (see x87_test.cc). The last is
  // undocumented, and processors differ on an empty register.
  return !encoding.is({ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FSTPNCE});
}

bool claimed_as_vector(const Encoding& encoding) {
  if (encoding.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || is_x87(encoding)) return false;
  switch (encoding.insn.meta.isa_set) {
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE2MMX:
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
    case ZYDIS_ISA_SET_SSE4:
    case ZYDIS_ISA_SET_SSE42:
    case ZYDIS_ISA_SET_AES:
    case ZYDIS_ISA_SET_PCLMULQDQ:
    case ZYDIS_ISA_SET_SHA:
      break;
    default:
      return false;
  }
  // Another family's; without an exact result (RCP, RSQRT); or free to fault on bytes that the mask
  // leaves out (MASKMOVQ, MASKMOVDQU).
  return !encoding.is({ZYDIS_MNEMONIC_MASKMOVQ, ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_CRC32,
                       ZYDIS_MNEMONIC_POPCNT, ZYDIS_MNEMONIC_LFENCE, ZYDIS_MNEMONIC_MFENCE,
                       ZYDIS_MNEMONIC_SFENCE, ZYDIS_MNEMONIC_PAUSE, ZYDIS_MNEMONIC_MWAIT,
                       ZYDIS_MNEMONIC_MONITOR, ZYDIS_MNEMONIC_RCPPS, ZYDIS_MNEMONIC_RCPSS,
                       ZYDIS_MNEMONIC_RSQRTPS, ZYDIS_MNEMONIC_RSQRTSS});
}

namespace {

// What the operands should look like, from the decoder's element types.
Data data_of(const Encoding& encoding) {
  if (is_x87(encoding)) return Data::Extended;
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT32) return Data::Singles;
    if (operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT64) return Data::Doubles;
  }
  return encoding.insn.meta.isa_set == ZYDIS_ISA_SET_SSE42 ? Data::Strings : Data::Integers;
}

void prepare(const Encoding& encoding, Case& test, std::span<std::uint8_t> data, Random& random) {
  test.uses_fpu = true;
  VectorValues values(random);
  const Data kind = data_of(encoding);
  x86::FpuState& fpu = test.state.fpu;
  for (auto& reg : fpu.vector) {
    const auto value = values.vector(kind == Data::Extended ? Data::Integers : kind);
    std::memcpy(reg.data(), value.data(), 16);
  }
  for (auto& st : fpu.st)
    st = values.extended();
  const auto rounding = static_cast<unsigned>(values.bits() & 3);
  fpu.mxcsr = 0x1f80 | rounding << 13 | (values.bits() & 0x807f);
  fpu.control = static_cast<std::uint16_t>(0x37f | rounding << 10);
  fpu.status = static_cast<std::uint16_t>(values.bits() & 0x7f7f);
  fpu.tag = static_cast<std::uint16_t>(values.one_in(3) ? values.bits() : 0);
  // A part of the memory at a time, for the operand lies anywhere in it.
  const std::size_t part = data.size() / 8, first = values.bits() % 8 * part;
  for (std::size_t at = first; at < first + part; at += 16) {
    const auto value = values.in_memory(kind);
    std::memcpy(data.data() + at, value.data(), 16);
  }
  if (kind == Data::Strings && !values.one_in(4)) {
    test.state.gpr[0] = values.bits() % 20;
    if (test.mode == Mode::Code64) test.state.gpr[2] = 0 - values.bits() % 20;
  }
  if (encoding.is({ZYDIS_MNEMONIC_LDMXCSR})) {
    for (std::size_t at = 0; at < data.size(); at += 4) {
      const std::uint32_t value = values.bits() & 0xffff;
      std::memcpy(data.data() + at, &value, 4);
    }
  }
}

// Registers of x87 that the manual leaves open with these: compared in x87_test.cc, where rows say
// what. AMD's processors keep C1 where the manual clears it.
bool status_is_open(const Encoding& encoding) {
  return encoding.is(
      {ZYDIS_MNEMONIC_FCOMI, ZYDIS_MNEMONIC_FCOMIP, ZYDIS_MNEMONIC_FUCOMI, ZYDIS_MNEMONIC_FUCOMIP});
}

bool has_mmx_register(const Encoding& encoding) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_MMX) {
      return true;
    }
  }
  return false;
}

Freedom freedom(const Encoding& encoding, const Case&, bool faulted) {
  Freedom open;
  open.result = status_is_open(encoding);
  // Several accesses: which of them meets the fault is the maker's choice.
  open.fault = encoding.is({ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR});
  // FSTP of 80 bits writes in two parts, of which the first may have taken effect.
  open.memory = faulted && encoding.is({ZYDIS_MNEMONIC_FSTP});
  // Whether a store that faults has already made the x87 registers MMX registers (SDM 3A 12.2).
  open.x87 = faulted && has_mmx_register(encoding);
  // Intel's manual wants aligned operands (SDM 2A table 2-21), AMD's processors take any.
  open.alignment = encoding.insn.meta.isa_set == ZYDIS_ISA_SET_SHA;
  // Of several NaNs, the one that is found depends on the order of the sums.
  if (encoding.is({ZYDIS_MNEMONIC_DPPS})) open.nan_lane = 4;
  if (encoding.is({ZYDIS_MNEMONIC_DPPD})) open.nan_lane = 8;
  return open;
}

class VectorDifferential : public testing::TestWithParam<Mode> {
 protected:
  static Scope scope_of(Claim claims) { return {claims, freedom, prepare}; }
};

TEST_P(VectorDifferential, VectorFormsMatchTheHost) {
  expect_matches_the_host(GetParam(), scope_of(claimed_as_vector), {"MMX and SSE", 20, 1, 500});
}
TEST_P(VectorDifferential, X87FormsMatchTheHost) {
  expect_matches_the_host(GetParam(), scope_of(claimed_as_x87), {"x87", 30, 1, 200});
}

INSTANTIATE_TEST_SUITE_P(Modes, VectorDifferential,
                         testing::Values(Mode::Code64, Mode::Code32, Mode::Code16), mode_name);

}  // namespace
}  // namespace ringside::differential

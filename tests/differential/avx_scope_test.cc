// What x86-64-v3 has beyond v2 against the host's processor: AVX, AVX2, FMA and F16C, with
// exceptions masked and unmasked, and the general registers of BMI, LZCNT and ADX.
#include <gtest/gtest.h>

#include <cstring>

#include "differential/matches_the_host.h"
#include "differential/scopes.h"
#include "engine/soft/testing/vector_values.h"

namespace ringside::differential {

bool claimed_as_bit_fields(const Encoding& encoding) {
  switch (encoding.insn.meta.isa_set) {
    case ZYDIS_ISA_SET_BMI1:
    case ZYDIS_ISA_SET_BMI2:
    case ZYDIS_ISA_SET_LZCNT:
    case ZYDIS_ISA_SET_ADOX_ADCX:
      return true;
    default:
      return false;
  }
}

bool claimed_as_avx(const Encoding& encoding) {
  if (encoding.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) return false;
  switch (encoding.insn.meta.isa_set) {
    case ZYDIS_ISA_SET_AVX:
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVX2GATHER:
    case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_F16C:
    case ZYDIS_ISA_SET_FMA:
      break;
    default:
      return false;
  }
  // Without an exact result, or free to fault on bytes that the mask leaves out.
  return !encoding.is({ZYDIS_MNEMONIC_VRCPPS, ZYDIS_MNEMONIC_VRCPSS, ZYDIS_MNEMONIC_VRSQRTPS,
                       ZYDIS_MNEMONIC_VRSQRTSS, ZYDIS_MNEMONIC_VMASKMOVDQU});
}

namespace {

using soft::testing::Data;
using soft::testing::VectorValues;

bool is_gather(const Encoding& encoding) {
  return encoding.insn.meta.isa_set == ZYDIS_ISA_SET_AVX2GATHER;
}
bool compares_strings(const Encoding& encoding) {
  return encoding.is({ZYDIS_MNEMONIC_VPCMPESTRI, ZYDIS_MNEMONIC_VPCMPESTRM,
                      ZYDIS_MNEMONIC_VPCMPISTRI, ZYDIS_MNEMONIC_VPCMPISTRM});
}

Data data_of(const Encoding& encoding) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT32) return Data::Singles;
    if (operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT64) return Data::Doubles;
  }
  return compares_strings(encoding) ? Data::Strings : Data::Integers;
}

// Near the base, but now and then anywhere.
void spread_indices(const Encoding& encoding, Case& test, VectorValues& values) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.index == ZYDIS_REGISTER_NONE)
      continue;
    auto& reg =
        test.state.fpu.vector[static_cast<std::size_t>(ZydisRegisterGetId(operand.mem.index))];
    const bool wild = values.one_in(16);
    const auto fill = [&](auto zero) {
      using T = decltype(zero);
      for (std::size_t at = 0; at < reg.size(); at += sizeof(T)) {
        const auto index =
            static_cast<T>(wild && values.one_in(4) ? values.bits() : values.bits() % 64 - 32);
        std::memcpy(reg.data() + at, &index, sizeof index);
      }
    };
    const bool narrow = encoding.is({ZYDIS_MNEMONIC_VPGATHERDD, ZYDIS_MNEMONIC_VPGATHERDQ,
                                     ZYDIS_MNEMONIC_VGATHERDPS, ZYDIS_MNEMONIC_VGATHERDPD});
    narrow ? fill(std::int32_t{}) : fill(std::int64_t{});
  }
}

void prepare(const Encoding& encoding, Case& test, std::span<std::uint8_t> data, Random& random) {
  test.uses_fpu = true;
  VectorValues values(random);
  const Data kind = data_of(encoding);
  x86::FpuState& fpu = test.state.fpu;
  for (auto& reg : fpu.vector) {
    for (const unsigned half : {0u, 16u}) {
      const auto value = values.vector(kind);
      std::memcpy(reg.data() + half, value.data(), 16);
    }
  }
  if (is_gather(encoding)) spread_indices(encoding, test, values);
  fpu.mxcsr = static_cast<std::uint32_t>(0x1f80 | (values.bits() & 0xe07f));
  // The flags of exceptions that are unmasked would be found as if they had just come.
  if (values.one_in(4)) {
    fpu.mxcsr &= ~(static_cast<std::uint32_t>(values.bits()) & 0x1f80);
    fpu.mxcsr &= ~0x3fu;
  }
  const std::size_t part = data.size() / 8, first = values.bits() % 8 * part;
  for (std::size_t at = first; at < first + part; at += 16) {
    const auto value = values.in_memory(kind);
    std::memcpy(data.data() + at, value.data(), 16);
  }
  if (kind == Data::Strings && !values.one_in(4)) {
    test.state.gpr[0] = values.bits() % 20;
    if (test.mode == Mode::Code64) test.state.gpr[2] = 0 - values.bits() % 20;
  }
  if (encoding.is({ZYDIS_MNEMONIC_VLDMXCSR})) {
    for (std::size_t at = 0; at < data.size(); at += 4) {
      const std::uint32_t value = values.bits() & 0xffff;
      std::memcpy(data.data() + at, &value, 4);
    }
  }
}

Freedom freedom(const Encoding& encoding, const Case&, bool faulted) {
  Freedom open;
  // What was loaded before the fault, and which of several faults it is.
  open.result = open.fault = faulted && is_gather(encoding);
  // Of several NaNs, the one that is found depends on the order of the sums.
  if (encoding.is({ZYDIS_MNEMONIC_VDPPS})) open.nan_lane = 4;
  if (encoding.is({ZYDIS_MNEMONIC_VDPPD})) open.nan_lane = 8;
  return open;
}

class AvxDifferential : public testing::TestWithParam<Mode> {};

TEST_P(AvxDifferential, AvxFormsMatchTheHost) {
  expect_matches_the_host(GetParam(), {claimed_as_avx, freedom, prepare}, {"AVX", 40, 1, 500});
}
TEST_P(AvxDifferential, BitFieldsMatchTheHost) {
  expect_matches_the_host(GetParam(), {claimed_as_bit_fields, nullptr, nullptr},
                          {"BMI, LZCNT and ADX", 240, 1, 20});
}

INSTANTIATE_TEST_SUITE_P(Modes, AvxDifferential,
                         testing::Values(Mode::Code64, Mode::Code32, Mode::Code16), mode_name);

}  // namespace
}  // namespace ringside::differential

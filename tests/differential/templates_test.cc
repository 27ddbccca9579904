// What has a template and what has none: each mnemonic of x86-64-v3 that the translator leaves to
// its handler is named here. That a template does what the handler does, translated_test.cc says of
// the same encodings.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "differential/scopes.h"
#include "engine/soft/instructions/instructions.h"
#include "engine/soft/testing/host_features.h"
#include "engine/soft/translate/forms/forms.h"

namespace ringside::differential {
namespace {

using soft::Processor;
using soft::Width;

bool is_claimed(const Encoding& encoding) {
  return claimed_as_avx(encoding) || claimed_as_bit_fields(encoding);
}

bool has_template(const Encoding& encoding) {
  const auto decoded = soft::decode_form(encoding.bytes, Width::Bits64, Processor::V3);
  const soft::Insn insn = soft::decode(encoding.bytes, Width::Bits64, Processor::V3);
  return decoded && (soft::plan_form(*decoded, insn) != nullptr ||
                     soft::plan_vector(*decoded, insn).emit != nullptr);
}

// Addresses of 32 bits are nobody's but the handlers'.
bool has_plain_address(const Encoding& encoding) { return encoding.insn.address_width == 64; }

const std::set<std::string> kWithoutTemplate = {
    "vcvtph2ps",  "vcvtps2ph",  "vdppd",      "vdpps",      "vgatherdpd", "vgatherdps",
    "vgatherqpd", "vgatherqps", "vldmxcsr",   "vmaskmovpd", "vmaskmovps", "vpcmpestri",
    "vpcmpestrm", "vpcmpistri", "vpcmpistrm", "vpgatherdd", "vpgatherdq", "vpgatherqd",
    "vpgatherqq", "vpmaskmovd", "vpmaskmovq", "vstmxcsr",   "vzeroall"};

TEST(Templates, AreThereForAllButThese) {
  for (const auto set :
       {ZYDIS_ISA_SET_AVX2, ZYDIS_ISA_SET_FMA, ZYDIS_ISA_SET_BMI2, ZYDIS_ISA_SET_LZCNT,
        ZYDIS_ISA_SET_ADOX_ADCX, ZYDIS_ISA_SET_PCLMULQDQ, ZYDIS_ISA_SET_AES}) {
    if (!soft::testing::host_has(set))
      GTEST_SKIP() << "the host has no " << ZydisISASetGetString(set);
  }
  Random random(70);
  std::set<std::string> without;
  std::size_t forms = 0, with = 0;
  for (const auto& [name, form] : enumerate_forms(Mode::Code64, is_claimed, 12, random)) {
    for (const Encoding& encoding : form.encodings) {
      if (!has_plain_address(encoding)) continue;
      ++forms;
      const std::string mnemonic = ZydisMnemonicGetString(encoding.insn.mnemonic);
      if (has_template(encoding)) {
        ++with;
        EXPECT_FALSE(kWithoutTemplate.contains(mnemonic)) << name << " has one";
      } else {
        without.insert(mnemonic);
      }
    }
  }
  EXPECT_EQ(without, kWithoutTemplate);
  fmt::print("{} of {} encodings\n", with, forms);
}

}  // namespace
}  // namespace ringside::differential

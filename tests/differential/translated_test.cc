// The translator's vector instructions against the interpreter's: every form of MMX, SSE and AVX in
// 64-bit code, among others of them and integer instructions in one block, with every rounding and
// exception mask, with faults, and where SSE is not available. RINGSIDE_DIFFERENTIAL=N multiplies.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "differential/campaign.h"
#include "differential/inputs.h"
#include "differential/scopes.h"
#include "differential/translated_pair.h"
#include "engine/soft/instructions/vector/sse_float.h"
#include "engine/soft/testing/vector_values.h"

namespace ringside::differential {
namespace {

using soft::testing::Data;
using soft::testing::VectorValues;
using soft::xstate::kAvx, soft::xstate::kSse;

// With what the integer scope has of SSE, and the approximations: they need no host to compare to.
bool is_claimed(const Encoding& encoding) {
  return claimed_as_vector(encoding) || claimed_as_avx(encoding) ||
         claimed_as_bit_fields(encoding) ||
         encoding.is({ZYDIS_MNEMONIC_CRC32, ZYDIS_MNEMONIC_POPCNT, ZYDIS_MNEMONIC_MOVNTI,
                      ZYDIS_MNEMONIC_RCPPS, ZYDIS_MNEMONIC_RCPSS, ZYDIS_MNEMONIC_RSQRTPS,
                      ZYDIS_MNEMONIC_RSQRTSS, ZYDIS_MNEMONIC_MASKMOVDQU});
}

bool in_memory(const Encoding& encoding) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) return true;
  }
  return false;
}

// Integer instructions between them: that write flags, that read them, and some that the translator
// leaves to their handlers.
constexpr std::initializer_list<std::uint8_t> kOthers[] = {
    {0x48, 0x01, 0xd8},        // add rax, rbx
    {0x39, 0xca},              // cmp edx, ecx
    {0x4d, 0x85, 0xc9},        // test r9, r9
    {0x11, 0xf0},              // adc eax, esi
    {0x0f, 0x92, 0xc0},        // setb al
    {0x0f, 0x9a, 0xc2},        // setp dl
    {0x4c, 0x0f, 0x4c, 0xd1},  // cmovl r10, rcx
    {0x48, 0xff, 0xc2},        // inc rdx
    {0xf8},                    // clc
    {0x9f},                    // lahf
    {0xd9, 0xe8},              // fld1
    {0x0f, 0x31},              // rdtsc
};

class Campaigner {
 public:
  explicit Campaigner(std::uint64_t seed) : random_(seed), values_(random_) {
    forms_ = enumerate_forms(Mode::Code64, is_claimed, 12, random_);
    for (const auto& [name, form] : forms_) {
      for (const Encoding& encoding : form.encodings)
        (in_memory(encoding) ? with_memory_ : without_memory_).push_back(&encoding);
    }
    for (std::uint8_t& byte : pair_.data())
      byte = static_cast<std::uint8_t>(random_());
  }

  const std::map<std::string, Form>& forms() const { return forms_; }
  std::size_t translated() const { return pair_.translated(); }
  unsigned faults() const { return faults_; }

  // What differs with this instruction among some others, in words.
  std::string run_case(const Encoding& encoding) {
    Case test = make_case(encoding, pair_.data(), random_);
    prepare(encoding, test);
    std::vector<std::uint8_t> code;
    std::string text;
    unsigned count = 0;
    const auto append = [&](std::span<const std::uint8_t> bytes) {
      code.insert(code.end(), bytes.begin(), bytes.end());
      text += hex({bytes.begin(), bytes.end()}) + " ";
      ++count;
    };
    // Now and then more than one block has.
    const std::uint64_t before = one_in(24) ? 31 : random_() % 4, after = random_() % 4;
    for (std::uint64_t i = 0; i < before; ++i)
      append(another());
    append(test.bytes);
    for (std::uint64_t i = 0; i < after; ++i)
      append(another());
    Surroundings surroundings;
    surroundings.pages_are_known = one_in(2);
    if (one_in(24)) surroundings.cr0 |= one_in(2) ? x86::cr0::TS : x86::cr0::EM;
    if (one_in(32)) surroundings.cr4 = x86::cr4::OSXMMEXCPT | x86::cr4::OSXSAVE;
    if (one_in(8)) surroundings.cr4 = x86::cr4::OSFXSR | x86::cr4::OSXSAVE;
    if (one_in(32)) surroundings.cr4 &= ~x86::cr4::OSXSAVE;
    if (one_in(32)) surroundings.xcr0 &= ~(one_in(2) ? kAvx : kAvx | kSse);
    const std::string difference = pair_.run(test.state, surroundings, code, count);
    if (pair_.arrived() >= 0) ++faults_;
    if (difference.empty()) return "";
    return fmt::format("[{}] mxcsr {:x} cr0 {:x} cr4 {:x} xcr0 {:x}:{}", text, test.state.fpu.mxcsr,
                       surroundings.cr0, surroundings.cr4, surroundings.xcr0, difference);
  }

 private:
  bool one_in(unsigned n) { return random_() % n == 0; }

  std::vector<std::uint8_t> another() {
    if (one_in(4)) return kOthers[random_() % std::size(kOthers)];
    const auto& from = one_in(16) ? with_memory_ : without_memory_;
    return from[random_() % from.size()]->bytes;
  }

  static Data data_of(const Encoding& encoding) {
    for (const ZydisDecodedOperand& operand : encoding.operands) {
      if (operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT32) return Data::Singles;
      if (operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT64) return Data::Doubles;
    }
    return Data::Integers;
  }

  void prepare(const Encoding& encoding, Case& test) {
    const Data kind = data_of(encoding);
    x86::FpuState& fpu = test.state.fpu;
    for (auto& reg : fpu.vector) {
      for (const unsigned half : {0u, 16u}) {
        const auto value = values_.vector(kind);
        std::memcpy(reg.data() + half, value.data(), 16);
      }
    }
    for (auto& st : fpu.st)
      st = values_.extended();
    fpu.tag = static_cast<std::uint16_t>(one_in(3) ? random_() : 0);
    fpu.mxcsr = static_cast<std::uint32_t>(0x1f80 | (random_() & 0xe07f));
    if (one_in(8)) fpu.mxcsr &= ~(static_cast<std::uint32_t>(random_()) & 0x1f80);
    if (one_in(64)) fpu.mxcsr |= 0x10000;  // a debugger's
    const std::span<std::uint8_t> data = pair_.data();
    const std::size_t part = data.size() / 8, first = random_() % 8 * part;
    for (std::size_t at = first; at < first + part; at += 16) {
      const auto value = values_.in_memory(kind);
      std::memcpy(data.data() + at, value.data(), 16);
    }
    if (!encoding.is({ZYDIS_MNEMONIC_LDMXCSR})) return;
    std::uint32_t control = random_() & 0xffff;
    if (!one_in(4)) control |= 0x1f80;
    if (one_in(16)) control |= 0x10000;
    for (std::size_t at = 0; at < data.size(); at += 4)
      std::memcpy(data.data() + at, &control, 4);
  }

  Random random_;
  VectorValues values_;
  TranslatedPair pair_;
  std::map<std::string, Form> forms_;
  std::vector<const Encoding*> with_memory_, without_memory_;
  unsigned faults_ = 0;
};

TEST(Translated, VectorFormsAreTheInterpreters) {
  const std::uint32_t own_control = soft::host_mxcsr() & soft::mxcsr::kControl;
  const unsigned cases = 24 * effort();
  Campaigner campaigner(14);
  std::uint64_t ran = 0;
  unsigned wrong = 0;
  for (const auto& [name, form] : campaigner.forms()) {
    unsigned shown = 0;
    for (unsigned i = 0; i < cases; ++i, ++ran) {
      const std::string difference = campaigner.run_case(form.encodings[i % form.encodings.size()]);
      if (difference.empty()) continue;
      ++wrong;
      if (shown++ < 2) ADD_FAILURE() << name << " " << difference;
    }
    ASSERT_EQ(soft::host_mxcsr() & soft::mxcsr::kControl, own_control) << name;
    ASSERT_LT(wrong, 40u) << "and so on";
  }
  fmt::print("{} forms, {} cases, {} of them faults\n", campaigner.forms().size(), ran,
             campaigner.faults());
  EXPECT_GT(campaigner.forms().size(), 500u);
  EXPECT_GE(campaigner.translated(), ran);
  EXPECT_GT(campaigner.faults(), ran / 20);
}

}  // namespace
}  // namespace ringside::differential

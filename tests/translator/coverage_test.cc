// Random programs meet what they are for, and are translated: otherwise that they are the same
// would say nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "support/host.h"
#include "translator/alike.h"
#include "translator/bare_twins.h"
#include "translator/insn_text.h"
#include "translator/random_program.h"
#include "x86/linear_address.h"

namespace ringside::testing {
namespace {

struct Expected {
  Setting setting;
  std::vector<unsigned> vectors;  // whose handlers run, beside the calls
  std::size_t mnemonics;          // different instructions executed, at least
  std::uint64_t aliased;          // instructions executed at second addresses of code, at least
  std::uint64_t compatible;       // of 32-bit code in long mode
  std::size_t vex;                // different instructions with VEX
};
void PrintTo(const Expected& expected, std::ostream* out) { *out << name_of(expected.setting); }

// What a run of the interpreter came by, an instruction at a time.
struct Met {
  std::map<unsigned, std::uint64_t> vectors;
  std::set<std::string> mnemonics, vex;
  std::uint64_t aliased = 0, compatible = 0;

  void look_at(soft::SoftEngine& engine) {
    const x86::CpuState state = *engine.vcpu({0}).state();
    const InsnText insn = next_insn(engine, {0}, state);
    const bool is_handler = insn.linear >= stage::kHandlers && insn.linear < stage::kCounters;
    if (is_handler || insn.length == 0) return;
    const std::string meaning = insn.text.substr(insn.text.find("  ") + 2);
    const std::string mnemonic = meaning.substr(0, meaning.find(' '));
    mnemonics.insert(mnemonic);
    if (mnemonic.starts_with('v')) vex.insert(mnemonic);
    if (insn.linear >= stage::kCodeAlias && insn.linear < stage::kMoving + kPageSize) ++aliased;
    const bool is_wide = x86::in_64_bit_mode(state);
    if ((state.efer & x86::efer::LMA) != 0 && !is_wide) ++compatible;
  }
  void count_vectors(const BareMachine& machine) {
    for (unsigned vector = 0; vector < 256; ++vector) {
      std::uint64_t count = 0;
      std::memcpy(&count, machine.ram().host({stage::kCounters + 8 * vector}, 8), 8);
      vectors[vector] += count;
    }
  }
};

class Coverage : public ::testing::TestWithParam<Expected> {};

TEST_P(Coverage, OfRandomPrograms) {
  constexpr unsigned kPrograms = 150;
  constexpr std::uint64_t kInstructions = 3000;
  const Expected& expected = GetParam();
  Met met;
  for (unsigned seed = 0; seed < kPrograms; ++seed) {
    BareMachine machine(random_program(expected.setting, seed), interpreted());
    for (std::uint64_t count = 1; count <= kInstructions; ++count) {
      met.look_at(machine.engine());
      if (!machine.run_to({count})) break;
    }
    met.count_vectors(machine);
  }
  for (const unsigned vector : expected.vectors)
    EXPECT_GT(met.vectors[vector], 0u) << "vector " << vector;
  for (unsigned call = 0; call < stage::kCalls; ++call)
    EXPECT_GT(met.vectors[stage::kFirstCall + call], 0u) << "call " << call;
  EXPECT_GE(met.mnemonics.size(), expected.mnemonics);
  EXPECT_GE(met.aliased, expected.aliased);
  EXPECT_GE(met.compatible, expected.compatible);
  EXPECT_GE(met.vex.size(), expected.vex);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, Coverage,
    ::testing::Values(
        Expected{Setting::User64, {0, 1, 2, 6, 7, 13, 14, 17, 19, 0x20, 0x21}, 300, 500, 500, 150},
        Expected{Setting::Kernel64, {0, 1, 2, 6, 7, 13, 14, 19, 0x20, 0x21}, 300, 500, 500, 150},
        Expected{Setting::User32, {0, 1, 2, 6, 7, 13, 14, 17, 19, 0x20}, 300, 500, 0, 0},
        Expected{Setting::Kernel32, {0, 1, 2, 6, 7, 13, 14, 19, 0x20}, 300, 500, 0, 0},
        Expected{Setting::Real16, {0, 1, 2, 6, 13, 19, 0x20}, 250, 0, 0, 0}),
    [](const auto& expected) { return std::string(name_of(expected.param.setting)); });

class Counter final : public soft::HostCodeListener {
 public:
  void written(const void*, std::size_t, std::string_view name) override {
    if (!name.starts_with("stub_")) ++blocks;
  }
  void thrown_away() override {}
  std::uint64_t blocks = 0;
};

TEST(TranslatedSide, HasHostCode) {
  SKIP_IF(no_translator());
  const auto counter = std::make_shared<Counter>();
  for (unsigned seed = 0; seed < 20; ++seed) {
    soft::TranslatorOptions options = translated();
    options.listener = counter;
    BareMachine machine(random_program(Setting::User64, seed), options);
    machine.run_to({3000});
  }
  // Code that changes itself is translated again.
  EXPECT_GT(counter->blocks, 20u * 100u);
}

}  // namespace
}  // namespace ringside::testing

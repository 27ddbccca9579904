// Guests that no translator likes run as they do in the interpreter, with much room for host code
// and with little.
#include <gtest/gtest.h>

#include "support/host.h"
#include "translator/alike.h"
#include "translator/bad_input.h"
#include "translator/bare_twins.h"
#include "translator/comparison.h"
#include "translator/random_program.h"

namespace ringside::testing {
namespace {

constexpr std::size_t kLittle = 64u << 10;

class BadInputs : public ::testing::TestWithParam<BadInput> {
 protected:
  void SetUp() override { SKIP_IF(no_translator()); }
};

TEST_P(BadInputs, AreTheSame) {
  const Scene scene = GetParam().make();
  for (const std::size_t room : {std::size_t{1} << 20, kLittle}) {
    const MakeTwins make = [&] { return std::make_unique<BareTwins>(scene, translated(room)); };
    Comparison comparison;
    comparison.every = 20'000;
    comparison.until = GetParam().instructions;
    const Compared compared = compare(make, comparison);
    EXPECT_TRUE(alike(compared.difference)) << room << " bytes of host code";
    EXPECT_EQ(compared.instructions, comparison.until) << "it came to an end";
  }
}

INSTANTIATE_TEST_SUITE_P(Guests, BadInputs, ::testing::ValuesIn(all_bad_inputs()),
                         [](const auto& input) { return std::string(input.param.name); });

class LittleRoom : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override { SKIP_IF(no_translator()); }
};

TEST_P(LittleRoom, IsEnoughForRandomPrograms) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Scene scene = random_program(GetParam(), 2000 + seed);
    const MakeTwins make = [&] { return std::make_unique<BareTwins>(scene, translated(kLittle)); };
    Comparison comparison;
    comparison.every = 3000;
    comparison.until = 12'000;
    ASSERT_TRUE(alike(compare(make, comparison).difference)) << scene.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, LittleRoom, ::testing::ValuesIn(kSettings),
                         [](const auto& setting) { return std::string(name_of(setting.param)); });

}  // namespace
}  // namespace ringside::testing

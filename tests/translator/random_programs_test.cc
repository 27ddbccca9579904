// Programs at random run the same way in the translator and in the interpreter, at every
// instruction. RINGSIDE_TRANSLATOR=N multiplies their number; a failure names the seed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/host.h"
#include "translator/alike.h"
#include "translator/bare_twins.h"
#include "translator/first_difference.h"
#include "translator/random_program.h"
#include "translator/refusals.h"

namespace ringside::testing {
namespace {

unsigned effort() {
  const char* const text = std::getenv("RINGSIDE_TRANSLATOR");
  return text == nullptr ? 1 : static_cast<unsigned>(std::max(1, std::atoi(text)));
}

class RandomPrograms : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override { SKIP_IF(no_translator()); }
};

TEST_P(RandomPrograms, AreTheSame) {
  const unsigned programs = is_64(GetParam()) ? 400 : 120;
  constexpr std::uint64_t kInstructions = 6000;
  std::uint64_t executed = 0;
  const Refusals refusals;
  for (unsigned seed = 0; seed < programs * effort(); ++seed) {
    const Scene scene = random_program(GetParam(), seed);
    BareTwins twins(scene);
    twins.run_to({kInstructions});
    executed += twins.engine(Side::Interpreted).total_instructions().value;
    if (twins.difference().empty()) continue;
    const MakeTwins make = [&] { return std::make_unique<BareTwins>(scene); };
    FAIL() << scene.name << "\n" << first_difference(make, {0}, {kInstructions});
  }
  EXPECT_TRUE(refusals.lines().empty()) << refusals.lines().front();
  std::printf("%llu instructions\n", static_cast<unsigned long long>(executed));
}

INSTANTIATE_TEST_SUITE_P(Settings, RandomPrograms, ::testing::ValuesIn(kSettings),
                         [](const auto& setting) { return std::string(name_of(setting.param)); });

}  // namespace
}  // namespace ringside::testing

// Code that does not fit into the memory for host code: what has been translated stays until it has
// paid for itself, and then makes room. Counted in blocks and instructions, never in time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/host.h"
#include "translator/alike.h"
#include "translator/bad_input.h"
#include "translator/bare_twins.h"
#include "translator/comparison.h"

namespace ringside::testing {
namespace {

// As the program translates, but for the room.
soft::TranslatorOptions usual_with_little_room() {
  soft::TranslatorOptions options;
  options.code_bytes = 64u << 10;
  return options;
}

// How much was translated, and how much executed, from one time that the memory was empty to the
// next.
class Lifetimes final : public soft::HostCodeListener {
 public:
  struct Lifetime {
    std::uint64_t blocks = 0, instructions = 0;
  };

  void written(const void*, std::size_t, std::string_view name) override {
    if (name.starts_with("guest ")) ++blocks_;
  }
  void thrown_away() override {
    const std::uint64_t now = engine_->total_instructions().value;
    ended_.push_back({blocks_, now - began_});
    began_ = now;
    blocks_ = 0;
  }
  void watch(const soft::SoftEngine& engine) { engine_ = &engine; }
  // Those that are over.
  const std::vector<Lifetime>& ended() const { return ended_; }

 private:
  const soft::SoftEngine* engine_ = nullptr;
  std::vector<Lifetime> ended_;
  std::uint64_t blocks_ = 0, began_ = 0;
};

std::vector<Lifetimes::Lifetime> lifetimes(const Scene& scene, soft::TranslatorOptions options,
                                           std::uint64_t instructions) {
  const auto listener = std::make_shared<Lifetimes>();
  options.listener = listener;
  BareMachine machine(scene, options);
  listener->watch(machine.engine());
  EXPECT_TRUE(machine.run_to({instructions}));
  return listener->ended();
}

class CodeThatDoesNotFit : public ::testing::TestWithParam<Scene (*)()> {
 protected:
  void SetUp() override { SKIP_IF(no_translator()); }
};

// Before host code is thrown away, the guest executes so much that the time for writing it does not
// count; what is thrown away was full; and nothing stays for ever.
TEST_P(CodeThatDoesNotFit, IsTranslatedAgainOnlyAfterItHasPaid) {
  constexpr std::uint64_t kLeastForABlock = 1500, kInstructions = 10'000'000;
  const auto all = lifetimes(GetParam()(), usual_with_little_room(), kInstructions);
  for (const Lifetimes::Lifetime& one : all) {
    EXPECT_GE(one.blocks, 100u);
    EXPECT_GE(one.instructions, one.blocks * kLeastForABlock);
  }
  EXPECT_GE(all.size(), 5u);
}

// Where blocks are translated at their first execution, as other tests do it, nothing waits.
TEST_P(CodeThatDoesNotFit, IsTranslatedAtOnceWithoutAThreshold) {
  soft::TranslatorOptions options = usual_with_little_room();
  options.threshold = 0;
  EXPECT_GE(lifetimes(GetParam()(), options, 500'000).size(), 100u);
}

TEST_P(CodeThatDoesNotFit, IsTheSameInterpretedInPart) {
  const Scene scene = GetParam()();
  const MakeTwins make = [&] {
    return std::make_unique<BareTwins>(scene, usual_with_little_room());
  };
  Comparison comparison;
  comparison.every = 100'000;
  comparison.until = 3'000'000;
  EXPECT_TRUE(alike(compare(make, comparison).difference));
}

INSTANTIATE_TEST_SUITE_P(Guests, CodeThatDoesNotFit,
                         ::testing::Values(&thousands_of_pages, &walks_through_blocks),
                         [](const auto& guest) {
                           return guest.param == &thousands_of_pages ? "ThousandsOfPages"
                                                                     : "WalksThroughBlocks";
                         });

}  // namespace
}  // namespace ringside::testing

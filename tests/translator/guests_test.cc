// All of our own guests as whole machines, with one vCPU and with four, compared at many counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "support/host.h"
#include "translator/alike.h"
#include "translator/comparison.h"
#include "translator/whole_machine.h"

namespace ringside::testing {
namespace {

std::vector<std::string> guest_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(RINGSIDE_GUESTS)) {
    // Not the bench's program, which runs on the host.
    const std::string name = entry.path().stem();
    if (entry.path().extension() == ".elf" && !name.starts_with("native_")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Guests : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { SKIP_IF(no_translator()); }
  static cli::Options options(unsigned cpus) {
    cli::Options options;
    options.kernel = std::string(RINGSIDE_GUESTS) + "/" + GetParam() + ".elf";
    // The symbols of firmware are an ELF file too.
    if (GetParam() == "reset") {
      options.bios = std::string(RINGSIDE_GUESTS) + "/reset.bin";
      options.kernel.clear();
    }
    options.memory = 32u << 20;
    options.cpus = cpus;
    if (GetParam().ends_with("_v3")) options.processor = hypervisor::Processor::V3;
    options.debug_exit = true;
    return options;
  }
};

TEST_P(Guests, AreTheSame) {
  for (const unsigned cpus : {1u, 4u}) {
    const cli::Options machine = options(cpus);
    const MakeTwins make = [&] { return std::make_unique<WholeTwins>(machine, translated()); };
    Comparison comparison;
    comparison.every = 100'000;
    // What changes its own code all the time takes long on both.
    comparison.until = GetParam() == "selfmod" ? 200'000 : 1'000'000;
    comparison.seed = cpus;
    EXPECT_TRUE(alike(compare(make, comparison).difference)) << cpus << " vCPUs";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Guests, ::testing::ValuesIn(guest_names()),
                         [](const auto& guest) { return guest.param; });

}  // namespace
}  // namespace ringside::testing

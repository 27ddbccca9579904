// The same few instructions of 64-bit code on two software CPUs, one that interprets them and one
// that translates them: in the states that make_case gives, with the same pages at the same linear
// addresses, at privilege 3. Faults arrive at handlers that do nothing.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "differential/state.h"
#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"
#include "engine/soft/translate/translator.h"

namespace ringside::differential {

// What else the instructions find.
struct Surroundings {
  std::uint64_t cr0 = 0;  // bits beyond those that 64-bit code has to have
  std::uint64_t cr4 = x86::cr4::OSFXSR | x86::cr4::OSXMMEXCPT | x86::cr4::OSXSAVE;
  std::uint64_t xcr0 = soft::xstate::kAll;
  bool pages_are_known = false;  // the TLB has them
};

class TranslatedPair {
 public:
  TranslatedPair();

  // The bytes at kData of both before they run.
  std::span<std::uint8_t> data() { return data_; }
  // Runs `code`, which has `count` instructions, a few times and gives what differs afterwards, in
  // words. Nothing does: empty.
  std::string run(const UserState& state, const Surroundings& surroundings,
                  std::span<const std::uint8_t> code, unsigned count);
  // The vector whose handler was reached, or -1.
  int arrived() const { return interpreted_->cpu.arrived(); }
  std::size_t translated() const { return translated_->translator->translated(); }

 private:
  struct Side {
    Side();
    void prepare(const UserState& state, const Surroundings& surroundings,
                 std::span<const std::uint8_t> data, std::span<const std::uint8_t> code);
    soft::testing::TestCpu cpu{soft::testing::TestCpu::Mode::Long64};
    std::unique_ptr<soft::Translator> translator;
  };

  std::unique_ptr<Side> interpreted_, translated_;
  std::array<std::uint8_t, kDataSize> data_{};
};

}  // namespace ringside::differential

// The way of one step into the guest and back, as often as it takes until it is certain what became
// of the instruction. A part of the step, on its vCPU's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/kvm/code/gates.h"
#include "engine/kvm/entry/parts.h"
#include "engine/kvm/step/step_pages.h"
#include "engine/kvm/step/step_points.h"

namespace ringside::kvm {

class StepAttempt {
 public:
  enum class Outcome : std::uint8_t {
    Undone,   // nothing was executed: there is something else to look at first
    Trapped,  // the instruction is complete
    Arrived,  // at a step point
    Int3,     // before an int3 that is not ours
    Event,    // event() says it
  };

  StepAttempt(EntryParts& parts, StepPoints& points, StepPages& pages)
      : parts_(parts), points_(points), pages_(pages) {}

  // The step begins with these registers.
  void note_start(const kvm_regs& before) { before_ = before; }
  // The vCPU was in HLT, and an interrupt waits for it: it comes in a moment or not at all.
  void expect_interrupt() { waking_ = true; }
  // With KVM_GUESTDBG_ flags.
  Outcome run(std::uint32_t flags);

  // ---- Afterwards
  const std::optional<Exit>& event() const { return event_; }
  const std::vector<EntryPoint>& arrived() const { return arrived_; }
  // The debug registers that struck, as in DR6.
  std::uint64_t slot_hits() const { return slot_hits_; }

 private:
  Outcome run_until_certain();
  std::optional<Outcome> judge_failure(int error, bool completing);
  std::optional<Outcome> judge();
  Outcome at_int3();
  std::optional<Outcome> at_debug(std::uint64_t dr6);
  bool is_premature();

  EntryParts& parts_;
  StepPoints& points_;
  StepPages& pages_;
  kvm_regs before_{};
  unsigned traps_ = 0;
  bool waking_ = false;
  std::optional<Exit> event_;
  std::vector<EntryPoint> arrived_;
  std::uint64_t slot_hits_ = 0;
};

}  // namespace ringside::kvm

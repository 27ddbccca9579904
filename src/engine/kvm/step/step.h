// One instruction, exactly. KVM steps with the processor's trap flag, which a guest can see (PUSHF,
// interrupt frames, R11 of SYSCALL) and which is lost where control goes to a handler. So the
// instruction is looked at first (Instruction); all the handlers that it may go to are step points
// (StepTargets); and what it shows of the flag is put right afterwards (TrapFlag).
// docs/decisions/0009 has the cases.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/code/instruction.h"
#include "engine/kvm/entry/parts.h"
#include "engine/kvm/step/step_attempt.h"
#include "engine/kvm/step/step_pages.h"
#include "engine/kvm/step/step_points.h"
#include "engine/kvm/step/trap_flag.h"

namespace ringside::kvm {

// The step of one vCPU, from its beginning to its event. A value on the thread's stack, taken once.
class Step {
 public:
  explicit Step(EntryParts& parts);
  // An event; nothing when the vCPU has to look after something else first and the instruction has
  // not been executed, or when the machine has ended.
  std::optional<Exit> take();

 private:
  using Outcome = StepAttempt::Outcome;

  Result<void> load();
  // Before the instruction. False if the step cannot be made now.
  bool begin();
  bool begin_interrupt();
  bool begin_with_kernel_apic();
  bool is_interrupt_due() const;
  void look();
  // The instruction, or the delivery of an event.
  std::optional<Exit> execute();
  bool ends_at_next() const;
  bool intercepts_int3() const;
  std::uint32_t blocked() const;
  // After it.
  std::optional<Exit> finish(Outcome outcome);
  std::optional<Exit> complete(Outcome outcome);
  void settle(Outcome outcome);

  EntryParts& parts_;
  VcpuCore& core_;
  RegisterFile& registers_;
  StepPoints points_;
  StepPages pages_;
  StepAttempt attempt_;
  TrapFlag trap_flag_;
  Instruction instruction_;
  Gva start_;
  bool delivering_ = false;           // an exception or interrupt instead of an instruction
  bool waking_ = false;               // in HLT, and the kernel's local APIC has something for it
  bool interrupts_may_come_ = false;  // from the kernel's local APIC
};

// A step of the vCPU that `parts` are of: its thread.
std::optional<Exit> step(EntryParts& parts);

}  // namespace ringside::kvm

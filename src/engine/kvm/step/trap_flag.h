// The trap flag that KVM steps with, as far as the instruction shows it to the guest: in PUSHF's
// image, in a handler's frame, in R11 of SYSCALL. What it shows is put right after the instruction,
// and the guest keeps its own trap flag. A part of one step, on its vCPU's thread.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/kvm/code/gates.h"
#include "engine/kvm/code/instruction.h"
#include "engine/kvm/entry/core.h"

namespace ringside::kvm {

class TrapFlag {
 public:
  explicit TrapFlag(VcpuCore& core) : core_(core), registers_(core.registers) {}

  // ---- Before the instruction; General and System are loaded
  void note_start();
  // Of the flags that it loads from memory or a register.
  void note_loaded(const Instruction& instruction);

  // The guest's own.
  bool is_guests() const { return guests_; }
  // A step has executed nothing.
  void put_back();

  // ---- After the instruction; General and System are loaded
  // It was executed and no handler was entered.
  void settle_completion(const Instruction& instruction);
  // It has ended at one of these step points. `delivering`: an event was delivered instead of it.
  void settle_arrival(const Instruction& instruction, const std::vector<EntryPoint>& points,
                      bool delivering);
  // The guest was stepping itself: its own trap is due (SDM 3A 6.9, priority 4).
  bool is_trap_due() const { return trap_due_; }

 private:
  void set();
  bool settle_system_call();
  void clean_frame(const Instruction& instruction, const std::vector<EntryPoint>& points);
  void clear_at(Gva flags);

  VcpuCore& core_;
  RegisterFile& registers_;
  std::uint64_t start_rip_ = 0;
  bool guests_ = false;
  bool loaded_ = false;
  bool trap_due_ = false;
};

}  // namespace ringside::kvm

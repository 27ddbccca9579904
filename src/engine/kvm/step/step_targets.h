// Where a step may come out besides at the next instruction: each place becomes a step point. A
// part of one step, on its vCPU's thread, made when it is known what the step begins with.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/code/gates.h"
#include "engine/kvm/code/guest_view.h"
#include "engine/kvm/code/instruction.h"
#include "engine/kvm/entry/core.h"
#include "engine/kvm/step/step_points.h"

namespace ringside::kvm {

class StepTargets {
 public:
  // What the step begins with, at `start`: the instruction there, or the delivery of an event
  // instead.
  enum class Begins : std::uint8_t { WithInstruction, WithDelivery };
  StepTargets(VcpuCore& core, StepPoints& points, Gva start, Begins begins)
      : core_(core),
        registers_(core.registers),
        points_(points),
        start_(start),
        delivering_(begins == Begins::WithDelivery) {}

  // General, System and Events are loaded for these.
  void add_all(const Instruction& instruction);
  // Of every interrupt that the kernel's local APIC may deliver.
  void add_interrupts();
  void add_direct(std::uint64_t address);

 private:
  void add(const std::optional<EntryPoint>& point);
  void add_goals(const Instruction& instruction, const GuestView& memory);
  void add_msr(std::uint32_t number);
  void add_system_call();

  VcpuCore& core_;
  RegisterFile& registers_;
  StepPoints& points_;
  const Gva start_;
  const bool delivering_;
};

}  // namespace ringside::kvm

// One vCPU as a debugger sees it: the main thread, while the vCPU is out of the guest, and the
// vCPU's own thread, while the debugger's filter looks at a hit. Has no state of its own. Owned by
// the vCPU.
#pragma once

#include <cstdint>

#include "engine/kvm/entry/parts.h"
#include "engine/kvm/step/range_steps.h"

namespace ringside::kvm {

class DebuggedVcpu final : public hypervisor::Vcpu {
 public:
  DebuggedVcpu(EntryParts& parts, RangeSteps& range_steps)
      : parts_(parts), core_(parts.core), handover_(parts.handover), range_steps_(range_steps) {}

  bool active() const override { return handover_.active(); }
  bool in_guest() const override { return handover_.given(); }
  bool halted() const override { return core_.activity.load() != Activity::Running; }
  Activity activity() const override { return core_.activity; }

  Result<x86::RegisterValue> read_register(x86::Register r) override;
  Result<void> write_register(x86::Register r, const x86::RegisterValue& value) override;
  Result<x86::CpuState> state() override;
  Result<void> set_state(const x86::CpuState& state) override;
  Result<std::uint64_t> read_msr(std::uint32_t number) override;
  Result<void> write_msr(std::uint32_t number, std::uint64_t value) override;

  std::optional<hypervisor::PendingEvents> pending_events() override;

  bool offers(hypervisor::Capability capability) const override;
  Result<void> set_capability(hypervisor::Capability capability, bool on) override;
  bool step_within(Gva start, Gva end) override;
  Result<void> inject_exception(const x86::Exception& exception) override;
  Result<void> set_entry_insn_length(std::uint8_t length) override;
  Result<std::uint8_t> entry_insn_length() override;

 private:
  template <typename Write>
  Result<void> keep_if_taken(Write write);
  Result<DeviceAccesses::PortOutput> note_move();

  EntryParts& parts_;
  VcpuCore& core_;
  Handover& handover_;
  RangeSteps& range_steps_;
};

}  // namespace ringside::kvm

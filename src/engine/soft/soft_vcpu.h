// One vCPU of the software engine as the debug server sees it. Owned by the engine.
#pragma once

#include <cstddef>
#include <new>

#include "base/populate.h"
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "hypervisor/step_range.h"
#include "platform/halted_for_good.h"
#include "ringside/vm.h"

namespace ringside::soft {

class SoftVcpu final : public hypervisor::Vcpu {
 public:
  SoftVcpu(VcpuId id, Board& board) : cpu(id, board) {}
  // It is large, and its constructor writes all of it.
  static void* operator new(std::size_t size) {
    void* const memory = ::operator new(size);
    populate(memory, size);
    return memory;
  }
  static void operator delete(void* memory) { ::operator delete(memory); }

  Cpu cpu;
  bool is_active = false;
  bool is_in_guest = false;
  bool is_held = false;  // by the run that is repeated: it is in the guest, and does not get on
  bool travels() const { return cpu.board().listener != nullptr; }
  // What it does is what it did in the run that is repeated, whatever the debugger lets run.
  bool follows() const { return travels() || cpu.board().repeats == Board::Repeats::Running; }
  bool runs() const { return (follows() ? is_active : is_in_guest) && !is_held; }
  hypervisor::Hope hope() const {
    const bool wakeable = cpu.flags.interrupts() || cpu.nmi_pending;
    return is_active ? hypervisor::hope_of(cpu.activity, is_in_guest, wakeable)
                     : hypervisor::Hope::Absent;
  }
  // Who wants no interrupts to come: the debugger, except where a run is repeated; and that run.
  bool debugger_masks = false, run_masks = false;
  void update_mask() {
    const bool repeats = travels() || cpu.board().repeats != Board::Repeats::Nothing;
    cpu.mask_interrupts = (debugger_masks && !repeats) || run_masks;
  }
  // A monitor trap comes only outside of it.
  std::optional<hypervisor::StepRange> step_range;
  // It is out of the guest because of a breakpoint at this linear address, which does not stop it
  // when it is resumed.
  std::optional<std::uint64_t> left_at_breakpoint;

  bool active() const override { return is_active; }
  bool in_guest() const override { return is_in_guest; }
  bool halted() const override { return cpu.activity != Activity::Running; }
  Activity activity() const override { return cpu.activity; }
  Result<x86::RegisterValue> read_register(x86::Register r) override;
  Result<void> write_register(x86::Register r, const x86::RegisterValue& value) override;
  Result<x86::CpuState> state() override;
  Result<void> set_state(const x86::CpuState& state) override;
  Result<std::uint64_t> read_msr(std::uint32_t number) override;
  Result<void> write_msr(std::uint32_t number, std::uint64_t value) override;
  bool offers(hypervisor::Capability) const override { return true; }
  Result<void> set_capability(hypervisor::Capability capability, bool on) override;
  bool step_within(Gva start, Gva end) override;
  Result<void> inject_exception(const x86::Exception& exception) override;
  Result<void> set_entry_insn_length(std::uint8_t length) override;
  Result<std::uint8_t> entry_insn_length() override;
  std::optional<hypervisor::PendingEvents> pending_events() override;
  std::optional<InsnCount> instructions() override { return InsnCount{cpu.icount}; }

 private:
  void note_move();
  void tell(const hypervisor::Change& change) const { cpu.board().tell(change); }
  std::optional<std::uint64_t> read_plain(x86::Register r) const;
};
static_assert(alignof(SoftVcpu) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

}  // namespace ringside::soft

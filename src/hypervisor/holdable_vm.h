// A Vm that can be held: while it is, no vCPU executes anything, whoever resumes it. For an owner
// who has reasons of his own to stop the guest beside a debug server, which is given this Vm
// instead of the engine, sees its vCPUs in the guest as it wants them, and cannot tell that they
// wait. What it asks for meanwhile works as ever: a vCPU that it suspends has its event, and one
// that it steps makes that step once the guest is let go.
//
// On the one thread that may use the Vm; the Vm outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ringside/vm.h"

namespace ringside::hypervisor {

class HoldableVm final : public Vm {
 public:
  explicit HoldableVm(Vm& vm) : vm_(vm), vcpus_(vm.vcpu_count()) {}

  // From here on nobody gets into the guest. Who is in it leaves as take_event() is called.
  void hold();
  // Those that the debug server wants in the guest go on.
  void let_go();
  bool is_held() const { return held_; }
  // Every vCPU is out of the guest. Once it is so while held, it stays so.
  bool all_out() const;

  // ---- Vm
  unsigned vcpu_count() const override { return vm_.vcpu_count(); }
  Vcpu& vcpu(VcpuId id) override { return vm_.vcpu(id); }
  Memory& memory() override { return vm_.memory(); }
  void suspend(VcpuId id) override;
  void resume(VcpuId id) override;
  std::optional<VcpuEvent> take_event() override;
  int event_fd() const override { return vm_.event_fd(); }
  const std::optional<VmEnd>& ended() const override { return vm_.ended(); }
  void stop_instead_of_death(bool on) override { vm_.stop_instead_of_death(on); }
  Breakpoints* breakpoints() override { return vm_.breakpoints(); }
  PhysicalBreakpoints* physical_breakpoints() override { return vm_.physical_breakpoints(); }
  SpareBreakpoints* spare_breakpoints() override { return vm_.spare_breakpoints(); }
  Watchpoints* watchpoints() override { return vm_.watchpoints(); }
  PhysicalWatchpoints* physical_watchpoints() override { return vm_.physical_watchpoints(); }
  Catches* catches() override { return vm_.catches(); }
  FilteredStops* filtered_stops() override { return vm_.filtered_stops(); }
  ExtraRegisters* extra_registers() override { return vm_.extra_registers(); }

 private:
  struct VcpuState {
    bool resumed = false;    // its event has not been taken
    bool waits = false;      // it is to be in the guest, and kept out of it
    bool called = false;     // it was suspended from here, and has not come out yet
    bool suspended = false;  // the debug server has suspended it, and its event has not been taken
  };
  void call_out(VcpuId id);

  Vm& vm_;
  std::vector<VcpuState> vcpus_;
  std::deque<VcpuEvent> parked_;  // of vCPUs that were kept out when they were suspended
  bool held_ = false;
};

}  // namespace ringside::hypervisor

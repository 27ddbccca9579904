// One vCPU and its thread, put together from parts with one job each.
//
// The thread (VcpuThread) waits until resume(), has the guest run until something is worth an event
// (RunLoop), posts it and waits again. While the vCPU is in the guest its registers belong to the
// thread; while it is out, to whoever holds the lock of the hand-over. Devices raise interrupts and
// the like from any thread, with the machine's lock held: they only set flags and kick the thread.
//
// Owned by the engine.
#pragma once

#include <memory>

#include "engine/kvm/entry/parts.h"
#include "engine/kvm/host/power_on.h"
#include "engine/kvm/step/range_steps.h"
#include "engine/kvm/vcpu/debugged_vcpu.h"
#include "engine/kvm/vcpu/hope.h"
#include "engine/kvm/vcpu/kernel_local_apic.h"
#include "engine/kvm/vcpu/run_loop.h"
#include "engine/kvm/vcpu/start_up.h"

namespace ringside::kvm {

class KvmVcpu {
 public:
  static Result<std::unique_ptr<KvmVcpu>> create(System& system, VcpuId id, unsigned vcpus);
  ~KvmVcpu();
  KvmVcpu(const KvmVcpu&) = delete;

  VcpuId id() const { return parts_.core.id; }
  // The parts that the engine speaks to, which say on which threads.
  DebuggedVcpu& debugged() { return debugged_; }
  VcpuThread& thread() { return parts_.thread; }
  StartUp& start_up() { return start_up_; }
  Interrupts& interrupts() { return parts_.interrupts; }
  DeviceAccesses& devices() { return parts_.devices; }
  PageAccesses& pages() { return parts_.pages; }
  KernelLocalApic& local_apic() { return local_apic_; }

  // ---- The main thread
  // Before start(): the boot processor's state.
  Result<void> begin(const x86::CpuState& entry);
  void start();
  void resume();
  void suspend();
  // As at power-on; the boot processor in `entry`. While there is EverybodyOut, and no vCPU is in
  // the guest.
  Result<void> reset(const x86::CpuState& entry);
  // The main thread has taken this vCPU's event: only now is it out, as the main thread sees it.
  void event_taken() { parts_.handover.event_taken(); }
  bool active() const { return parts_.handover.active(); }
  bool in_guest() const { return parts_.handover.given(); }

  // ---- Any thread
  // Makes the thread look at what is asked of it.
  void kick() { parts_.thread.kick(); }
  void await_out() { parts_.handover.await_out(); }
  bool is_this_thread() const { return VcpuThread::of_this_thread() == &parts_.thread; }
  Hope hope() const { return kvm::hope(parts_); }
  Hope kernel_hope() const { return kvm::kernel_hope(parts_); }

 private:
  KvmVcpu(System& system, VcpuId id, VcpuFile file, PowerOnState power_on, unsigned kilohertz,
          const Identity& identity);

  const PowerOnState power_on_;
  EntryParts parts_;
  RangeSteps range_steps_{parts_.core, parts_.handover};
  StartUp start_up_{parts_, power_on_};
  RunLoop run_loop_{parts_, range_steps_, start_up_};
  DebuggedVcpu debugged_{parts_, range_steps_};
  KernelLocalApic local_apic_{parts_.core, parts_.handover};
};

}  // namespace ringside::kvm

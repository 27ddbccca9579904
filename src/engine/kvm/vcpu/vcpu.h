// One vCPU and its thread.
//
// The thread sleeps until resume(), runs the guest until something is worth an event, posts it and
// sleeps again. While the vCPU is in the guest its registers and everything marked "thread" belong
// to the thread; while it is out, to whoever holds the lock (Handover).
//
// Devices call set_interrupt_pin and the like from any thread, with the machine's lock held: they
// only set flags and kick the thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "engine/kvm/entry/parts.h"
#include "engine/kvm/host/api.h"
#include "engine/kvm/host/cpuid.h"
#include "engine/kvm/host/power_on.h"
#include "engine/kvm/host/registers.h"
#include "engine/kvm/host/tsc_offset.h"
#include "engine/kvm/step/range_steps.h"

namespace ringside::kvm {

class KvmVcpu final : public hypervisor::Vcpu {
 public:
  static Result<std::unique_ptr<KvmVcpu>> create(System& system, VcpuId id, unsigned vcpus);
  ~KvmVcpu() override;
  KvmVcpu(const KvmVcpu&) = delete;

  // ---- Main thread
  VcpuId id() const override { return parts_.core.id; }
  bool active() const override { return parts_.handover.active(); }
  bool in_guest() const override { return parts_.handover.given(); }
  bool halted() const override { return parts_.core.activity.load() != Activity::Running; }
  Activity activity() const override { return parts_.core.activity; }
  Result<x86::RegisterValue> read_register(x86::Register r) override;
  Result<void> write_register(x86::Register r, const x86::RegisterValue& value) override;
  Result<x86::CpuState> state() override;
  Result<void> set_state(const x86::CpuState& state) override;
  Result<std::uint64_t> read_msr(std::uint32_t number) override;
  Result<void> write_msr(std::uint32_t number, std::uint64_t value) override;
  bool offers(hypervisor::Capability capability) const override;
  Result<void> set_capability(hypervisor::Capability capability, bool on) override;
  bool step_within(Gva start, Gva end) override;
  Result<void> inject_exception(const x86::Exception& exception) override;
  Result<void> set_entry_insn_length(std::uint8_t length) override;
  Result<std::uint8_t> entry_insn_length() override;

  // Before start(): the boot processor's state.
  Result<void> begin(const x86::CpuState& entry);
  void start();
  void stop();  // ends the thread
  void resume();
  void suspend();
  // The host's thread of this vCPU.
  VcpuThread& thread() { return parts_.thread; }
  bool is_this_thread() const { return VcpuThread::of_this_thread() == &parts_.thread; }
  // As at power-on; the boot processor in `entry`. While there is EverybodyOut, and no vCPU is in
  // the guest.
  Result<void> reset(const x86::CpuState& entry);
  // The main thread has taken this vCPU's event: only now is it out, as the main thread sees it.
  void event_taken() { parts_.handover.event_taken(); }

  // ---- Any thread
  void set_interrupt_pin(bool level) { parts_.interrupts.set_pin(level); }
  void non_maskable_interrupt() { parts_.interrupts.raise_nmi(); }
  void init();
  void start_up(std::uint8_t vector);
  void retry() { parts_.devices.retry(); }
  // Makes the thread look at its flags.
  void kick() { parts_.thread.kick(); }
  // Where the local APIC is the kernel's: says so, if the guest has started it.
  void note_started();
  // On its own thread: a device has done something watched.
  void note_hits(const PageWatches::Hits& hits) { parts_.pages.note(hits); }
  // Likewise: the access under way says that the guest cannot go on.
  void panic(const char* reason) { parts_.devices.panic(reason); }
  // In the guest, or absent, and nothing inside the machine can make it run again.
  enum class Hope { None, Absent, Some };
  Hope hope() const;

  // ---- With a local APIC in the kernel: any thread, while there is EverybodyOut
  // The same as hope(), from KVM's own mouth.
  Hope kernel_hope() const;
  Result<hypervisor::LocalApicImage> local_apic() const;
  // A debugger's access to the APIC's page; nothing there in x2APIC mode.
  Result<std::uint32_t> read_apic(std::uint64_t offset) const;
  Result<void> write_apic(std::uint64_t offset, std::uint32_t value);

 private:
  using Lock = Handover::Lock;

  KvmVcpu(System& system, VcpuId id, VcpuFile file, PowerOnState power_on, unsigned kilohertz,
          const Identity& identity);

  // vcpu.cc: the thread and what moves it.
  void thread_main();
  std::optional<Exit> run();  // until an event; nothing once the machine has ended
  std::optional<Exit> run_freely();
  std::optional<Exit> park();
  void leave(Exit why);
  bool can_run() const;
  void sleep();
  void take_init_and_start_up(const Lock& lock);
  template <typename Write>
  Result<void> keep_if_taken(Write write);
  Result<void> become(const x86::CpuState& state);
  Result<DeviceAccesses::PortOutput> note_move();
  Result<void> prepare();

  // vcpu_kernel.cc: what differs where the local APIC is the kernel's.
  std::uint32_t take_start(const Lock& lock);
  bool await_start();
  void await_start_up();
  Result<void> find_apic_page() const;
  void send(ApicMessage message);

  const PowerOnState power_on_;
  EntryParts parts_;
  // Set under the lock; out of KVM_RUN, between INIT and the start-up IPI.
  std::atomic<bool> asks_for_start_{false};
  RangeSteps range_steps_{parts_.core, parts_.handover};
};

}  // namespace ringside::kvm

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

#include "engine/kvm/code/gates.h"
#include "engine/kvm/code/instruction.h"
#include "engine/kvm/entry/handover.h"
#include "engine/kvm/entry/system.h"
#include "engine/kvm/entry/vcpu_thread.h"
#include "engine/kvm/host/api.h"
#include "engine/kvm/host/cpuid.h"
#include "engine/kvm/host/power_on.h"
#include "engine/kvm/host/registers.h"
#include "engine/kvm/host/tsc_offset.h"

namespace ringside::kvm {

class Stepper;

using Activity = hypervisor::VcpuActivity;

class KvmVcpu final : public hypervisor::Vcpu {
 public:
  static Result<std::unique_ptr<KvmVcpu>> create(System& system, VcpuId id, unsigned vcpus);
  ~KvmVcpu() override;
  KvmVcpu(const KvmVcpu&) = delete;

  // ---- Main thread
  VcpuId id() const override { return id_; }
  bool active() const override { return handover_.active(); }
  bool in_guest() const override { return handover_.given(); }
  bool halted() const override { return activity_.load() != Activity::Running; }
  Activity activity() const override { return activity_; }
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
  VcpuThread& thread() { return thread_; }
  bool is_this_thread() const { return VcpuThread::of_this_thread() == &thread_; }
  // As at power-on; the boot processor in `entry`. While there is EverybodyOut, and no vCPU is in
  // the guest.
  Result<void> reset(const x86::CpuState& entry);
  // The main thread has taken this vCPU's event: only now is it out, as the main thread sees it.
  void event_taken() { handover_.event_taken(); }

  // ---- Any thread
  void set_interrupt_pin(bool level);
  void non_maskable_interrupt();
  void init();
  void start_up(std::uint8_t vector);
  void retry();
  // Makes the thread look at its flags.
  void kick() { thread_.kick(); }
  // Where the local APIC is the kernel's: says so, if the guest has started it.
  void note_started();
  // On its own thread: a device has done something watched.
  void note_hits(const PageWatches::Hits& hits);
  // Likewise: the access under way says that the guest cannot go on.
  void panic(const char* reason) { panic_ = reason; }
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
  friend class Stepper;
  using Exit = hypervisor::Exit;
  using Lock = Handover::Lock;

  KvmVcpu(System& system, VcpuId id, VcpuFile file, PowerOnState power_on, unsigned kilohertz,
          const Identity& identity);

  // vcpu.cc: the thread and what moves it.
  void thread_main();
  std::optional<Exit> run();  // until an event; nothing once the machine has ended
  void leave(Exit why);
  bool can_run() const;
  void sleep();
  void take_init_and_start_up(const Lock& lock);
  template <typename Write>
  Result<void> keep_if_taken(Write write);
  Result<void> become(const x86::CpuState& state);
  // Bytes of an OUT that waits for its device.
  struct PortOutput {
    std::uint16_t port = 0;
    unsigned width = 1;
    std::vector<std::uint8_t> bytes;
  };
  Result<PortOutput> note_move();
  void drop_access();
  Result<void> prepare();
  bool passes_breakpoint();
  bool wants_stop(const Exit& hit);
  void let_pass(const Exit& hit);

  // vcpu_run.cc: into the guest and back.
  std::optional<Exit> run_once();
  int enter();  // KVM_RUN; an errno. EINTR also when there is something to do before
  void prepare_events();
  bool window_open();
  bool inject_interrupt();
  void inject_nmi();
  void after_run();
  // Whether the guest's accesses to its debug registers are exits, while some of ours are in use.
  enum class DebugAccess : std::uint8_t { Free, Exit };
  Result<void> apply_debug(std::uint32_t flags, const DebugSlots& slots,
                           DebugAccess access = DebugAccess::Free);
  Result<void> apply_free_debug();
  DebugSlots make_slots(Stoppoints::Which which);
  std::optional<Exit> handle_failed_run(int error);
  std::optional<Exit> handle_exit();
  std::optional<Exit> handle_debug();
  std::optional<Exit> handle_internal_error();
  std::optional<Exit> handle_int3(std::uint8_t length);
  bool left_behind(std::uint64_t dr6);
  std::optional<Exit> handle_slots(std::uint64_t dr6);
  std::optional<Exit> die(std::string reason, hypervisor::VmEnd::Kind kind);
  void raise_breakpoint(std::uint8_t length);
  void left_at_int3(std::uint8_t length);
  void raise_debug(std::uint64_t dr6_bits);
  void give_back();
  std::optional<Exit> park();
  void withdraw_events();
  Result<void> push_queued();

  // vcpu_kernel.cc: what differs where the local APIC is the kernel's.
  bool kernel_apic() const { return system_.controllers.has_value(); }
  Result<void> set_kernel_activity(std::uint32_t state);
  void note_activity();
  std::uint32_t take_start(const Lock& lock);
  bool await_start();
  Result<void> take_messages();
  void await_start_up();
  bool await_interrupt();
  void settle_interrupt();
  Result<void> find_apic_page() const;
  void send(ApicMessage message);

  // vcpu_devices.cc
  void handle_port();
  PortOutput unsent_output();
  void send(const PortOutput& output);
  void handle_mmio();
  void handle_msr_read();
  void handle_msr_write();
  bool write_apic_msr(std::uint32_t number, std::uint64_t value);
  std::optional<Exit> finish_access();

  // vcpu_watch.cc: watchpoints by page protection.
  bool is_blocked(int error);
  bool access_watched(Gpa address, std::uint8_t* data, unsigned width, bool write);
  std::optional<Exit> settle_watch_hits();
  void drop_failed_instruction();

  // vcpu_range.cc: step after step.
  bool goes_on_stepping();
  std::optional<Exit> breakpoint_ahead();
  void let_others_run();
  Result<void> note_halt();

  // vcpu_step.cc
  std::optional<Exit> step();
  CodeSize code_size() const;
  GuestView view();
  bool wanted_elsewhere() const;
  std::uint8_t int3_at_rip();

  System& system_;
  const VcpuId id_;
  VcpuFile file_;
  const PowerOnState power_on_;
  TscOffset tsc_offset_;
  Handover handover_;
  VcpuThread thread_;

  // ---- Between threads
  // Set under the lock; out of KVM_RUN, between INIT and the start-up IPI.
  std::atomic<bool> asks_for_start_{false};
  std::atomic<Activity> activity_{Activity::WaitingForStartUp};
  std::atomic<bool> interrupts_on_{false};  // RFLAGS.IF at the last HLT
  std::atomic<bool> pin_{false};
  std::atomic<bool> nmi_{false};
  std::atomic<bool> retry_{false};

  // ---- While out: under the lock; in the guest: the thread's
  RegisterFile registers_;
  const Identity identity_;
  bool breakpoint_exit_ = false;
  bool monitor_trap_ = false;
  bool mask_interrupts_ = false;
  struct Range {
    std::uint64_t start, end;
  };
  std::optional<Range> step_range_;       // a step ends only outside of it
  std::optional<x86::Exception> queued_;  // for the next resume
  std::uint8_t entry_length_ = 1;
  // The instruction length that KVM will add for a software exception: that of the last int3 exit.
  std::uint8_t int3_length_ = 1;

  // ---- The thread's
  std::optional<std::uint8_t> held_interrupt_;  // acknowledged, not yet delivered
  std::uint8_t task_priority_ = 0;              // as the platform and KVM know it
  // Whether an interrupt can be injected now.
  enum class Window : std::uint8_t { Unknown, Open, Shut } window_ = Window::Unknown;
  bool access_pending_ = false;  // KVM_RUN has yet to complete a device access
  unsigned port_progress_ = 0;   // of a string of port accesses
  kvm_guest_debug applied_debug_{};
  DebugSlots slots_;
  unsigned slots_generation_ = ~0u;
  std::optional<Gva> left_at_breakpoint_;  // to be passed
  // An access to a protected page is to be executed, with the page open and nobody else about.
  bool blocked_ = false;
  // An access to a debug register is to be executed, after which there may be other slots.
  bool at_debug_access_ = false;
  std::optional<Gva> stepped_to_;  // where the last step ended, until the guest runs
  const char* panic_ = nullptr;
  PageWatches::Hits watch_hits_;  // of the instruction under way
  bool left_under_int3_ = false;  // it has an int3, which the filter can take out
  std::chrono::steady_clock::time_point others_ran_{};  // while this one went on stepping
};

}  // namespace ringside::kvm

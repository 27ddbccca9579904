#include "engine/kvm/vcpu/vcpu.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "base/log.h"
#include "engine/kvm/host/kick.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
using Lock = std::unique_lock<std::mutex>;

constexpr std::uint64_t kBootProcessor = 1u << 8;  // of IA32_APIC_BASE

thread_local KvmVcpu* this_threads_vcpu = nullptr;

}  // namespace

KvmVcpu::KvmVcpu(System& system, VcpuId id, VcpuFile file, PowerOnState power_on,
                 unsigned kilohertz, const Identity& identity)
    : system_(system),
      id_(id),
      file_(std::move(file)),
      power_on_(std::move(power_on)),
      tsc_offset_(system.facts.tsc_offset ? kilohertz : 0),
      registers_(file_),
      identity_(identity) {}

Result<std::unique_ptr<KvmVcpu>> KvmVcpu::create(System& system, VcpuId id, unsigned vcpus) {
  VcpuFile file = TRY(VcpuFile::create(system.kvm, system.vm, id.value));
  const auto rate =
      control(file.fd(), KVM_GET_TSC_KHZ, 0ul, "to tell the time-stamp counter's rate");
  const unsigned kilohertz = rate ? static_cast<unsigned>(*rate) : 0;
  const auto supported = TRY(supported_cpuid(system.kvm));
  const ApicFeatures apic = !system.controllers         ? ApicFeatures::None
                            : system.facts.tsc_deadline ? ApicFeatures::KernelWithTscDeadline
                                                        : ApicFeatures::Kernel;
  TRY(set_cpuid(file.fd(), guest_cpuid(supported, id, vcpus, kilohertz, apic, system.facts)));
  PowerOnState power_on =
      TRY(PowerOnState::take(system.kvm, file.fd(), system.controllers.has_value()));
  return std::unique_ptr<KvmVcpu>(new KvmVcpu(system, id, std::move(file), std::move(power_on),
                                              kilohertz, identity_of(supported)));
}

KvmVcpu::~KvmVcpu() { stop(); }

KvmVcpu* KvmVcpu::of_this_thread() { return this_threads_vcpu; }

Result<void> KvmVcpu::begin(const x86::CpuState& entry) {
  TRY(become(entry));
  TRY(registers_.flush());
  alive_ = true;
  activity_ = Activity::Running;
  return {};
}

Result<void> KvmVcpu::become(const x86::CpuState& state) {
  x86::CpuState mine = state;
  if (id_.value == 0) mine.apic_base |= kBootProcessor;
  return registers_.set_state(mine);
}

void KvmVcpu::start() {
  thread_ = std::thread([this] { thread_main(); });
  ::pthread_getcpuclockid(thread_.native_handle(), &processor_clock_);
}

void KvmVcpu::stop() {
  if (!thread_.joinable()) return;
  {
    const Lock lock(lock_);
    quit_ = true;
  }
  kick();
  thread_.join();
}

// ---- Main thread

bool KvmVcpu::active() const {
  const Lock lock(lock_);
  return alive_;
}

void KvmVcpu::resume() {
  {
    const Lock lock(lock_);
    if (!alive_ || in_guest_) return;
    in_guest_ = true;
    place_ = Place::InGuest;
    suspend_ = false;
  }
  if (system_.clock.entered()) system_.clock_changed();
  wake_.notify_all();
}

void KvmVcpu::suspend() {
  {
    const Lock lock(lock_);
    if (place_ != Place::InGuest) return;  // its event is on the way already
    suspend_ = true;
  }
  kick();
}

Result<void> KvmVcpu::reset(const x86::CpuState& entry) {
  const bool boots = id_.value == 0;
  {
    const Lock lock(lock_);
    if (kernel_apic()) TRY(take_messages());
    drop_access();
    nmi_ = retry_ = init_ = asks_for_start_ = false;
    start_up_.reset();
    held_interrupt_.reset();
    queued_.reset();
    entry_length_ = 1;
    left_at_breakpoint_.reset();
    blocked_ = false;
    panic_ = nullptr;
    watch_hits_.clear();
    window_ = Window::Unknown;
    TRY(power_on_.restore_fpu(file_.fd()));
    TRY(become(boots ? entry : x86::reset_state(identity_.signature)));
    registers_.events() = {};
    registers_.changed_nmi();
    TRY(registers_.flush());
    TRY(power_on_.restore_rest(file_.fd()));
    if (kernel_apic())
      TRY(set_kernel_activity(boots ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED));
    registers_.drop();
    alive_ = boots;
    activity_ = boots ? Activity::Running : Activity::WaitingForStartUp;
  }
  wake_.notify_all();
  return {};
}

// ---- Any thread

// The flag that the thread is wanted for is set before. Either the thread sees attention_ before it
// enters the guest, or it is seen running here and gets the signal; and a signal that comes before
// KVM_RUN has begun is made up for by immediate_exit.
void KvmVcpu::kick() {
  if (this == this_threads_vcpu) return;
  attention_ = true;
  if (running_) {
    std::atomic_ref<std::uint8_t>(file_.run().immediate_exit).store(1);
    ::pthread_kill(thread_.native_handle(), kick_signal());
  }
  { const Lock lock(lock_); }  // not between the thread's look at its flags and its sleep
  wake_.notify_all();
}

void KvmVcpu::set_interrupt_pin(bool level) {
  pin_ = level;
  if (level) kick();
}

void KvmVcpu::non_maskable_interrupt() {
  nmi_ = true;
  kick();
}

void KvmVcpu::retry() {
  retry_ = true;
  kick();
}

void KvmVcpu::init() {
  {
    const Lock lock(lock_);
    init_ = true;
    start_up_.reset();
    if (place_ == Place::Out) take_init_and_start_up();
  }
  kick();
}

void KvmVcpu::start_up(std::uint8_t vector) {
  {
    const Lock lock(lock_);
    // Ignored by a processor that does not wait for it (SDM 3A 8.4.4).
    if (!init_ && activity_ != Activity::WaitingForStartUp) return;
    start_up_ = vector;
    if (place_ == Place::Out) take_init_and_start_up();
  }
  kick();
}

KvmVcpu::Hope KvmVcpu::hope() const {
  const Lock lock(lock_);
  if (init_ || start_up_) return Hope::Some;
  if (!alive_) return Hope::Absent;
  return hypervisor::hope_of(activity_, place_ == Place::InGuest, interrupts_on_ || nmi_);
}

// lock_ is held. Whoever calls may touch the registers.
void KvmVcpu::take_init_and_start_up() {
  if (std::exchange(init_, false)) {
    nmi_ = false;
    held_interrupt_.reset();
    queued_.reset();
    const auto before = registers_.state();
    const Result<void> done =
        before ? become(x86::init_state(*before, identity_.signature)) : fail(before.error());
    if (!done) log::error("vCPU {}: INIT: {}", id_.value, done.error().text());
    registers_.events() = {};
    registers_.changed(RegisterFile::kEvents);
    // The boot processor starts at the reset vector, the others wait (SDM 3A 8.4.2).
    activity_ = id_.value == 0 ? Activity::Running : Activity::WaitingForStartUp;
  }
  if (!start_up_) return;
  const std::uint8_t vector = *std::exchange(start_up_, std::nullopt);
  if (activity_ != Activity::WaitingForStartUp) return;
  auto state = registers_.state();
  if (state) {
    x86::Segment& code = state->seg(x86::SegmentName::Cs);
    code = x86::start_up_segment(code, vector);
    state->rip = 0;
    (void)become(*state);
  }
  activity_ = Activity::Running;
  if (alive_) return;
  alive_ = true;
  system_.events.push({id_, exit::Started{}});
}

// ---- The thread

void KvmVcpu::thread_main() {
  take_only_kicks();
  this_threads_vcpu = this;
  thread_number_ = ::gettid();
  for (;;) {
    if (kernel_apic() && !await_start()) return;
    {
      Lock lock(lock_);
      const auto reset = [this] { return kernel_apic() && !alive_; };
      wake_.wait(lock, [&] { return quit_ || place_ == Place::InGuest || reset(); });
      if (quit_) return;
      if (reset()) continue;
    }
    std::optional<Exit> why = run();
    if (!why) break;
    leave(std::move(*why));
  }
  Lock lock(lock_);
  wake_.wait(lock, [this] { return quit_; });
}

std::optional<hypervisor::Exit> KvmVcpu::run() {
  if (activity_ == Activity::Dead) {
    auto still = die("resumed after it died", VmEnd::Kind::TripleFault);
    if (still) return still;
  }
  if (const Result<void> ready = prepare(); !ready)
    return die(ready.error().text(), VmEnd::Kind::Error);
  bool passing = passes_breakpoint();
  for (;;) {
    attention_ = false;
    {
      Lock lock(lock_);
      if (quit_ || system_.ended) return std::nullopt;
      if (init_ || start_up_) {
        take_init_and_start_up();
        (void)registers_.flush();
        window_ = Window::Unknown;
        passing = false;
        left_at_breakpoint_.reset();
      }
      if (suspend_) {
        lock.unlock();
        return park();
      }
    }
    if (kernel_apic() && activity_ == Activity::WaitingForStartUp && monitor_trap_) {
      await_start_up();
      continue;
    }
    if (system_.device_hits_waiting) {
      if (std::optional<Exit> hit = settle_watch_hits()) return hit;
    }
    if (!can_run()) {
      if (!kernel_apic() && hope() == Hope::None) system_.halted();
      sleep();
      continue;
    }
    if (activity_ == Activity::WaitingForDevice) {
      retry_ = false;
      handle_port();
      if (!monitor_trap_ || !access_pending_) continue;
      // The step was begun before; it ends with the access.
      if (std::optional<Exit> why = finish_access()) return why;
      return exit::MonitorTrap{};
    }
    // A step that is none of the debugger's.
    const bool aside = passing || blocked_ || at_debug_access_;
    std::optional<Exit> why = monitor_trap_ || aside ? step() : run_once();
    if (panic_ != nullptr) {
      left_at_breakpoint_.reset();
      if (std::optional<Exit> other = finish_access()) return other;
      return exit::GuestPanic{std::exchange(panic_, nullptr)};
    }
    if (!watch_hits_.empty()) {
      if (std::optional<Exit> hit = settle_watch_hits()) {
        left_at_breakpoint_.reset();
        return hit;
      }
    }
    if (!why) continue;
    if (!wants_stop(*why)) {
      let_pass(*why);
      passing = left_at_breakpoint_.has_value();
      if (passing || !monitor_trap_) continue;
      why = exit::MonitorTrap{};
    }
    // Not before: a vCPU may be called out of the guest without having executed anything.
    if (std::holds_alternative<exit::MonitorTrap>(*why)) {
      left_at_breakpoint_.reset();
      if (goes_on_stepping()) {
        if (std::optional<Exit> hit = breakpoint_ahead()) {
          if (wants_stop(*hit)) return hit;
          let_pass(*hit);
        }
        let_others_run();
        continue;
      }
    }
    if (!aside || monitor_trap_ || !std::holds_alternative<exit::MonitorTrap>(*why)) return why;
    passing = false;
  }
}

// Whether a hit is one for the debugger: its filter is asked here, on this thread, so that a false
// condition wakes nobody.
bool KvmVcpu::wants_stop(const Exit& hit) {
  hypervisor::StopFilter* filter = system_.filter;
  const bool is_hit = std::holds_alternative<exit::Breakpoint>(hit) ||
                      std::holds_alternative<exit::HardwareBreakpoint>(hit) ||
                      std::holds_alternative<exit::Watchpoint>(hit) ||
                      std::holds_alternative<exit::PhysicalWatchpoint>(hit);
  if (filter == nullptr || !is_hit) return true;
  bool stop = false;
  {
    const auto bytes_stay = system_.gate.keep(*this);
    stop = filter->wants_stop(id_, hit);
  }
  if (!stop && filter->has_news()) system_.events.wake();
  return stop;
}

// A hit that does not count. At a breakpoint the instruction has yet to be executed, and must not
// hit again, even if the vCPU is called out of the guest before.
void KvmVcpu::let_pass(const Exit& hit) {
  left_at_breakpoint_.reset();
  const bool by_register = std::holds_alternative<exit::HardwareBreakpoint>(hit);
  left_under_int3_ = std::holds_alternative<exit::Breakpoint>(hit);
  if (!left_under_int3_ && !by_register) return;
  if (by_register) left_under_int3_ = int3_at_rip() != 0;
  if (registers_.load(RegisterFile::kGeneral | RegisterFile::kSystem))
    left_at_breakpoint_ = registers_.linear_rip();
}

// From what the debugger left to what the guest needs.
Result<void> KvmVcpu::prepare() {
  TRY(push_queued());
  if (activity_ == Activity::Halted) {
    TRY(registers_.load(RegisterFile::kGeneral));
    interrupts_on_ = (registers_.general().rflags & x86::rflags::IF) != 0;
  }
  if (kernel_apic()) {
    // The debugger may have switched interrupts off.
    TRY(registers_.load(RegisterFile::kGeneral | RegisterFile::kEvents));
    if ((registers_.general().rflags & x86::rflags::IF) == 0) settle_interrupt();
  }
  TRY(registers_.flush());
  if (!kernel_apic()) task_priority_ = system_.platform.task_priority(id_);
  window_ = Window::Unknown;
  slots_generation_ = ~0u;
  return {};
}

// A breakpoint in a debug register strikes before its instruction; to go on from there the
// instruction is stepped without it. Not where it has gone meanwhile, as with the client who set
// it: a step takes long, and a vCPU that is called out again and again would never get through one.
bool KvmVcpu::passes_breakpoint() {
  if (!left_at_breakpoint_) return false;
  bool there = false;
  if (registers_.load(RegisterFile::kGeneral | RegisterFile::kSystem) &&
      registers_.linear_rip() == *left_at_breakpoint_) {
    there = int3_at_rip() != 0;
    const std::lock_guard lock(system_.stoppoints_lock);
    there |= system_.stoppoints.has_breakpoint(*left_at_breakpoint_);
  }
  if (!there) left_at_breakpoint_.reset();
  return there && !monitor_trap_;
}

bool KvmVcpu::can_run() const {
  switch (activity_.load()) {
    case Activity::Running:
      return true;
    case Activity::Halted:
      if (kernel_apic()) return !mask_interrupts_;
      return !mask_interrupts_ && (nmi_ || (interrupts_on_ && (pin_ || held_interrupt_)));
    case Activity::WaitingForDevice:
      return retry_;
    case Activity::WaitingForStartUp:
      return kernel_apic();  // which waits in KVM_RUN
    default:
      return false;
  }
}

void KvmVcpu::sleep() {
  Lock lock(lock_);
  wake_.wait(lock, [this] {
    return quit_ || suspend_ || init_ || start_up_ || system_.ended ||
           system_.device_hits_waiting || can_run();
  });
}

void KvmVcpu::leave(Exit why) {
  withdraw_events();
  if (kernel_apic()) {
    note_activity();
    note_started_others();
  }
  const Lock lock(lock_);
  place_ = Place::Out;
  suspend_ = false;
  step_range_.reset();
  // What came too late for the thread.
  if (init_ || start_up_) take_init_and_start_up();
  system_.clock.left();
  system_.events.push({id_, std::move(why)});
}

}  // namespace ringside::kvm

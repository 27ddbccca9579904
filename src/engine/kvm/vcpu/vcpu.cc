#include "engine/kvm/vcpu/vcpu.h"

#include <fmt/format.h>

#include "base/log.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
using Lock = Handover::Lock;

constexpr std::uint64_t kBootProcessor = 1u << 8;  // of IA32_APIC_BASE

}  // namespace

KvmVcpu::KvmVcpu(System& system, VcpuId id, VcpuFile file, PowerOnState power_on,
                 unsigned kilohertz, const Identity& identity)
    : system_(system),
      id_(id),
      file_(std::move(file)),
      power_on_(std::move(power_on)),
      tsc_offset_(system.facts.tsc_offset ? kilohertz : 0),
      thread_(handover_, system.gate, file_),
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

Result<void> KvmVcpu::begin(const x86::CpuState& entry) {
  TRY(become(entry));
  TRY(registers_.flush());
  handover_.set_alive(handover_.lock(), true);
  activity_ = Activity::Running;
  return {};
}

Result<void> KvmVcpu::become(const x86::CpuState& state) {
  x86::CpuState mine = state;
  if (id_.value == 0) mine.apic_base |= kBootProcessor;
  return registers_.set_state(mine);
}

void KvmVcpu::start() {
  thread_.start([this] { thread_main(); });
}

void KvmVcpu::stop() { thread_.stop(); }

// ---- Main thread

void KvmVcpu::resume() {
  if (!handover_.give()) return;
  if (system_.clock.entered()) system_.clock_changed();
  handover_.notify();
}

void KvmVcpu::suspend() {
  if (handover_.ask_back()) kick();
}

Result<void> KvmVcpu::reset(const x86::CpuState& entry) {
  const bool boots = id_.value == 0;
  {
    const Lock lock = handover_.lock();
    if (kernel_apic()) TRY(take_messages());
    drop_access();
    nmi_ = retry_ = asks_for_start_ = false;
    handover_.requests(lock).init = false;
    handover_.requests(lock).start_up.reset();
    held_interrupt_.reset();
    queued_.reset();
    entry_length_ = 1;
    left_at_breakpoint_.reset();
    blocked_ = false;
    panic_ = nullptr;
    watch_hits_.clear();
    window_ = Window::Unknown;
    TRY(power_on_.restore_fpu(file_.fd()));
    x86::CpuState waiting = x86::reset_state();
    waiting.reg(x86::Gpr::Rdx) = identity_.signature;
    TRY(become(boots ? entry : waiting));
    registers_.events() = {};
    registers_.changed_nmi();
    TRY(registers_.flush());
    TRY(power_on_.restore_rest(file_.fd()));
    if (kernel_apic())
      TRY(set_kernel_activity(boots ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED));
    registers_.drop();
    handover_.set_alive(lock, boots);
    activity_ = boots ? Activity::Running : Activity::WaitingForStartUp;
  }
  handover_.notify();
  return {};
}

// ---- Any thread

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
    const Lock lock = handover_.lock();
    Handover::Requests& requests = handover_.requests(lock);
    requests.init = true;
    requests.start_up.reset();
    if (!handover_.is_in_guest(lock)) take_init_and_start_up(lock);
  }
  kick();
}

void KvmVcpu::start_up(std::uint8_t vector) {
  {
    const Lock lock = handover_.lock();
    // Ignored by a processor that does not wait for it (SDM 3A 8.4.4).
    Handover::Requests& requests = handover_.requests(lock);
    if (!requests.init && activity_ != Activity::WaitingForStartUp) return;
    requests.start_up = vector;
    if (!handover_.is_in_guest(lock)) take_init_and_start_up(lock);
  }
  kick();
}

KvmVcpu::Hope KvmVcpu::hope() const {
  const Lock lock = handover_.lock();
  if (handover_.requests(lock).starts()) return Hope::Some;
  if (!handover_.alive(lock) || activity_ == Activity::WaitingForStartUp) return Hope::Absent;
  if (!handover_.is_in_guest(lock) || activity_ != Activity::Halted) return Hope::Some;
  return interrupts_on_ || nmi_ ? Hope::Some : Hope::None;
}

// Whoever calls may touch the registers.
void KvmVcpu::take_init_and_start_up(const Lock& lock) {
  Handover::Requests& requests = handover_.requests(lock);
  if (std::exchange(requests.init, false)) {
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
  if (!requests.start_up) return;
  const std::uint8_t vector = *std::exchange(requests.start_up, std::nullopt);
  if (activity_ != Activity::WaitingForStartUp) return;
  auto state = registers_.state();
  if (state) {
    x86::Segment& code = state->seg(x86::SegmentName::Cs);
    code.selector = static_cast<std::uint16_t>(vector << 8);
    code.base = std::uint64_t{vector} << 12;
    state->rip = 0;
    (void)become(*state);
  }
  activity_ = Activity::Running;
  if (handover_.alive(lock)) return;
  handover_.set_alive(lock, true);
  system_.events.push({id_, exit::Started{}});
}

// ---- The thread

void KvmVcpu::thread_main() {
  for (;;) {
    if (kernel_apic() && !await_start()) return;
    {
      Lock lock = handover_.lock();
      const Handover::Requests& requests = handover_.requests(lock);
      const auto reset = [&] { return kernel_apic() && !handover_.alive(lock); };
      handover_.wait(lock, [&] { return requests.quit || handover_.is_in_guest(lock) || reset(); });
      if (requests.quit) return;
      if (reset()) continue;
    }
    std::optional<Exit> why = run();
    if (!why) break;
    leave(std::move(*why));
  }
  Lock lock = handover_.lock();
  handover_.wait(lock, [&] { return handover_.requests(lock).quit; });
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
    thread_.looks();
    {
      Lock lock = handover_.lock();
      const Handover::Requests& requests = handover_.requests(lock);
      if (requests.quit || system_.ended) return std::nullopt;
      if (requests.starts()) {
        take_init_and_start_up(lock);
        (void)registers_.flush();
        window_ = Window::Unknown;
        passing = false;
        left_at_breakpoint_.reset();
      }
      if (requests.suspend) {
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
    const auto bytes_stay = system_.gate.keep(thread_);
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
  Lock lock = handover_.lock();
  handover_.wait(lock, [&] {
    return handover_.requests(lock).any() || system_.ended || system_.device_hits_waiting ||
           can_run();
  });
}

void KvmVcpu::leave(Exit why) {
  withdraw_events();
  if (kernel_apic()) {
    note_activity();
    system_.note_started();
  }
  const Lock lock = handover_.lock();
  handover_.give_back(lock);
  step_range_.reset();
  // What came too late for the thread.
  if (handover_.requests(lock).starts()) take_init_and_start_up(lock);
  system_.clock.left();
  system_.events.push({id_, std::move(why)});
}

}  // namespace ringside::kvm

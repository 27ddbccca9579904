#include "engine/kvm/vcpu/vcpu.h"

#include <fmt/format.h>

#include "base/log.h"
#include "engine/kvm/step/step.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
using Lock = Handover::Lock;

constexpr std::uint64_t kBootProcessor = 1u << 8;  // of IA32_APIC_BASE

}  // namespace

KvmVcpu::KvmVcpu(System& system, VcpuId id, VcpuFile file, PowerOnState power_on,
                 unsigned kilohertz, const Identity& identity)
    : power_on_(std::move(power_on)),
      parts_(system, id, std::move(file), identity,
             TscOffset(system.facts.tsc_offset ? kilohertz : 0)) {}

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
  TRY(parts_.core.registers.flush());
  parts_.handover.set_alive(parts_.handover.lock(), true);
  parts_.core.activity = Activity::Running;
  return {};
}

Result<void> KvmVcpu::become(const x86::CpuState& state) {
  x86::CpuState mine = state;
  if (parts_.core.id.value == 0) mine.apic_base |= kBootProcessor;
  return parts_.core.registers.set_state(mine);
}

void KvmVcpu::start() {
  parts_.thread.start([this] { thread_main(); });
}

void KvmVcpu::stop() { parts_.thread.stop(); }

// ---- Main thread

void KvmVcpu::resume() {
  if (!parts_.handover.give()) return;
  if (parts_.core.system.clock.entered()) parts_.core.system.clock_changed();
  parts_.handover.notify();
}

void KvmVcpu::suspend() {
  if (parts_.handover.ask_back()) kick();
}

Result<void> KvmVcpu::reset(const x86::CpuState& entry) {
  const bool boots = parts_.core.id.value == 0;
  {
    const Lock lock = parts_.handover.lock();
    if (parts_.core.kernel_apic()) TRY(parts_.kernel_activity.take_messages());
    parts_.entry.drop_access();
    parts_.devices.forget();
    asks_for_start_ = false;
    parts_.handover.requests(lock).init = false;
    parts_.handover.requests(lock).start_up.reset();
    parts_.interrupts.forget();
    parts_.interrupts.forget_window();
    parts_.exceptions.reset();
    parts_.passed.forget();
    parts_.pages.set_blocked(false);
    parts_.pages.forget_hits();
    (void)parts_.devices.take_panic();
    TRY(power_on_.restore_fpu(parts_.core.file.fd()));
    x86::CpuState waiting = x86::reset_state();
    waiting.reg(x86::Gpr::Rdx) = parts_.core.identity.signature;
    TRY(become(boots ? entry : waiting));
    parts_.core.registers.events() = {};
    parts_.core.registers.changed_nmi();
    TRY(parts_.core.registers.flush());
    TRY(power_on_.restore_rest(parts_.core.file.fd()));
    if (parts_.core.kernel_apic())
      TRY(parts_.kernel_activity.set(boots ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED));
    parts_.core.registers.drop();
    parts_.handover.set_alive(lock, boots);
    parts_.core.activity = boots ? Activity::Running : Activity::WaitingForStartUp;
  }
  parts_.handover.notify();
  return {};
}

// ---- Any thread

void KvmVcpu::init() {
  {
    const Lock lock = parts_.handover.lock();
    Handover::Requests& requests = parts_.handover.requests(lock);
    requests.init = true;
    requests.start_up.reset();
    if (!parts_.handover.is_in_guest(lock)) take_init_and_start_up(lock);
  }
  kick();
}

void KvmVcpu::start_up(std::uint8_t vector) {
  {
    const Lock lock = parts_.handover.lock();
    // Ignored by a processor that does not wait for it (SDM 3A 8.4.4).
    Handover::Requests& requests = parts_.handover.requests(lock);
    if (!requests.init && parts_.core.activity != Activity::WaitingForStartUp) return;
    requests.start_up = vector;
    if (!parts_.handover.is_in_guest(lock)) take_init_and_start_up(lock);
  }
  kick();
}

KvmVcpu::Hope KvmVcpu::hope() const {
  const Lock lock = parts_.handover.lock();
  if (parts_.handover.requests(lock).starts()) return Hope::Some;
  if (!parts_.handover.alive(lock) || parts_.core.activity == Activity::WaitingForStartUp)
    return Hope::Absent;
  if (!parts_.handover.is_in_guest(lock) || parts_.core.activity != Activity::Halted)
    return Hope::Some;
  return parts_.core.interrupts_on || parts_.interrupts.nmi_waits() ? Hope::Some : Hope::None;
}

// Whoever calls may touch the registers.
void KvmVcpu::take_init_and_start_up(const Lock& lock) {
  Handover::Requests& requests = parts_.handover.requests(lock);
  if (std::exchange(requests.init, false)) {
    parts_.interrupts.forget();
    parts_.exceptions.forget();
    const auto before = parts_.core.registers.state();
    const Result<void> done = before
                                  ? become(x86::init_state(*before, parts_.core.identity.signature))
                                  : fail(before.error());
    if (!done) log::error("vCPU {}: INIT: {}", parts_.core.id.value, done.error().text());
    parts_.core.registers.events() = {};
    parts_.core.registers.changed(RegisterFile::kEvents);
    // The boot processor starts at the reset vector, the others wait (SDM 3A 8.4.2).
    parts_.core.activity =
        parts_.core.id.value == 0 ? Activity::Running : Activity::WaitingForStartUp;
  }
  if (!requests.start_up) return;
  const std::uint8_t vector = *std::exchange(requests.start_up, std::nullopt);
  if (parts_.core.activity != Activity::WaitingForStartUp) return;
  auto state = parts_.core.registers.state();
  if (state) {
    x86::Segment& code = state->seg(x86::SegmentName::Cs);
    code.selector = static_cast<std::uint16_t>(vector << 8);
    code.base = std::uint64_t{vector} << 12;
    state->rip = 0;
    (void)become(*state);
  }
  parts_.core.activity = Activity::Running;
  if (parts_.handover.alive(lock)) return;
  parts_.handover.set_alive(lock, true);
  parts_.core.system.events.push({parts_.core.id, exit::Started{}});
}

// ---- The thread

void KvmVcpu::thread_main() {
  for (;;) {
    if (parts_.core.kernel_apic() && !await_start()) return;
    {
      Lock lock = parts_.handover.lock();
      const Handover::Requests& requests = parts_.handover.requests(lock);
      const auto reset = [&] { return parts_.core.kernel_apic() && !parts_.handover.alive(lock); };
      parts_.handover.wait(
          lock, [&] { return requests.quit || parts_.handover.is_in_guest(lock) || reset(); });
      if (requests.quit) return;
      if (reset()) continue;
    }
    std::optional<Exit> why = run();
    if (!why) break;
    leave(std::move(*why));
  }
  Lock lock = parts_.handover.lock();
  parts_.handover.wait(lock, [&] { return parts_.handover.requests(lock).quit; });
}

std::optional<Exit> KvmVcpu::run() {
  if (parts_.core.activity == Activity::Dead) {
    auto still = parts_.core.die("resumed after it died", VmEnd::Kind::TripleFault);
    if (still) return still;
  }
  if (const Result<void> ready = prepare(); !ready) return parts_.core.die(ready);
  bool passing = parts_.passed.is_due();
  for (;;) {
    parts_.thread.looks();
    {
      Lock lock = parts_.handover.lock();
      const Handover::Requests& requests = parts_.handover.requests(lock);
      if (requests.quit || parts_.core.system.ended) return std::nullopt;
      if (requests.starts()) {
        take_init_and_start_up(lock);
        (void)parts_.core.registers.flush();
        parts_.interrupts.forget_window();
        passing = false;
        parts_.passed.forget();
      }
      if (requests.suspend) {
        lock.unlock();
        return park();
      }
    }
    if (parts_.core.kernel_apic() && parts_.core.activity == Activity::WaitingForStartUp &&
        parts_.core.monitor_trap) {
      await_start_up();
      continue;
    }
    if (parts_.core.system.device_hits_waiting) {
      if (std::optional<Exit> hit = parts_.exits.settle_page_hits()) return hit;
    }
    if (!can_run()) {
      if (!parts_.core.kernel_apic() && hope() == Hope::None) parts_.core.system.halted();
      sleep();
      continue;
    }
    if (parts_.core.activity == Activity::WaitingForDevice) {
      parts_.devices.port_again();
      if (!parts_.core.monitor_trap || !parts_.devices.pending()) continue;
      // The step was begun before; it ends with the access.
      if (std::optional<Exit> why = parts_.exits.finish_access()) return why;
      return exit::MonitorTrap{};
    }
    // A step that is none of the debugger's.
    const bool aside = passing || parts_.pages.is_blocked() || parts_.exits.is_at_debug_access();
    std::optional<Exit> why = parts_.core.monitor_trap || aside ? step(parts_) : run_freely();
    if (parts_.devices.panicked() != nullptr) {
      parts_.passed.forget();
      if (std::optional<Exit> other = parts_.exits.finish_access()) return other;
      return exit::GuestPanic{parts_.devices.take_panic()};
    }
    if (parts_.pages.has_hits()) {
      if (std::optional<Exit> hit = parts_.exits.settle_page_hits()) {
        parts_.passed.forget();
        return hit;
      }
    }
    if (!why) continue;
    if (!parts_.core.wants_stop(*why)) {
      parts_.passed.let_pass(*why);
      passing = parts_.passed.waits();
      if (passing || !parts_.core.monitor_trap) continue;
      why = exit::MonitorTrap{};
    }
    // Not before: a vCPU may be called out of the guest without having executed anything.
    if (std::holds_alternative<exit::MonitorTrap>(*why)) {
      parts_.passed.forget();
      if (range_steps_.goes_on()) {
        if (std::optional<Exit> hit = parts_.passed.ahead()) {
          if (parts_.core.wants_stop(*hit)) return hit;
          parts_.passed.let_pass(*hit);
        }
        range_steps_.let_others_run();
        continue;
      }
    }
    if (!aside || parts_.core.monitor_trap || !std::holds_alternative<exit::MonitorTrap>(*why))
      return why;
    passing = false;
  }
}

// From what the debugger left to what the guest needs.
Result<void> KvmVcpu::prepare() {
  TRY(parts_.exceptions.push());
  if (parts_.core.activity == Activity::Halted) {
    TRY(parts_.core.registers.load(RegisterFile::kGeneral));
    parts_.core.interrupts_on = (parts_.core.registers.general().rflags & x86::rflags::IF) != 0;
  }
  if (parts_.core.kernel_apic()) {
    // The debugger may have switched interrupts off.
    TRY(parts_.core.registers.load(RegisterFile::kGeneral | RegisterFile::kEvents));
    if ((parts_.core.registers.general().rflags & x86::rflags::IF) == 0)
      parts_.interrupts.give_back();
  }
  TRY(parts_.core.registers.flush());
  parts_.interrupts.take_task_priority();
  parts_.interrupts.forget_window();
  parts_.debug.forget_slots();
  return {};
}

bool KvmVcpu::can_run() const {
  switch (parts_.core.activity.load()) {
    case Activity::Running:
      return true;
    case Activity::Halted:
      if (parts_.core.kernel_apic()) return !parts_.core.mask_interrupts;
      return !parts_.core.mask_interrupts && parts_.interrupts.ends_halt();
    case Activity::WaitingForDevice:
      return parts_.devices.may_retry();
    case Activity::WaitingForStartUp:
      return parts_.core.kernel_apic();  // which waits in KVM_RUN
    default:
      return false;
  }
}

void KvmVcpu::sleep() {
  Lock lock = parts_.handover.lock();
  parts_.handover.wait(lock, [&] {
    return parts_.handover.requests(lock).any() || parts_.core.system.ended ||
           parts_.core.system.device_hits_waiting || can_run();
  });
}

std::optional<Exit> KvmVcpu::run_freely() {
  parts_.interrupts.prepare();
  if (const Result<void> debug = parts_.debug.apply_free(); !debug) return parts_.core.die(debug);
  if (const int error = parts_.entry.run(); error != 0) return parts_.exits.handle_failure(error);
  // A HLT is no exit where the local APIC is the kernel's; it has ended.
  if (parts_.core.kernel_apic()) parts_.core.activity = Activity::Running;
  return parts_.exits.handle();
}

std::optional<Exit> KvmVcpu::park() {
  if (std::optional<Exit> why = parts_.exits.finish_access()) {
    if (parts_.core.wants_stop(*why)) return why;
    parts_.passed.let_pass(*why);
  }
  if (parts_.core.system.ended) return std::nullopt;
  return exit::Parked{};
}

void KvmVcpu::leave(Exit why) {
  parts_.interrupts.withdraw();
  if (parts_.core.kernel_apic()) {
    parts_.kernel_activity.note();
    parts_.core.system.note_started();
  }
  const Lock lock = parts_.handover.lock();
  parts_.handover.give_back(lock);
  range_steps_.forget(lock);
  // What came too late for the thread.
  if (parts_.handover.requests(lock).starts()) take_init_and_start_up(lock);
  parts_.core.system.clock.left();
  parts_.core.system.events.push({parts_.core.id, std::move(why)});
}

}  // namespace ringside::kvm

#include "engine/kvm/vcpu/start_up.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using Lock = Handover::Lock;

constexpr std::chrono::microseconds kShortestNap{50}, kLongestNap{10'000};

}  // namespace

Result<void> StartUp::become(const x86::CpuState& state) {
  x86::CpuState mine = state;
  if (core_.id.value == 0) mine.apic_base |= x86::apic::kBaseBoot;
  return core_.registers.set_state(mine);
}

void StartUp::reset(const Lock& lock, Role role) {
  asks_for_start_ = false;
  Handover::Requests& requests = handover_.requests(lock);
  requests.init = requests.sleep = requests.lose_power = false;
  requests.start_up.reset();
  requests.wake.reset();
  handover_.set_alive(lock, role == Role::Boots);
  core_.activity = role == Role::Boots ? Activity::Running : Activity::WaitingForStartUp;
}

Result<void> StartUp::power_cycle(const Lock&, const x86::CpuState& state, Role role) {
  RegisterFile& registers = core_.registers;
  const bool kernel_apic = core_.kernel_apic();
  if (kernel_apic) TRY(parts_.kernel_activity.take_messages());
  parts_.entry.drop_access();
  parts_.devices.reset();
  parts_.interrupts.reset();
  parts_.exceptions.reset();
  parts_.passed.forget();
  parts_.pages.reset();
  TRY(power_on_.restore_fpu(parts_.file.fd()));
  TRY(become(state));
  registers.events() = {};
  registers.changed_nmi();
  TRY(registers.flush());
  TRY(power_on_.restore_rest(parts_.file.fd()));
  if (kernel_apic) {
    TRY(parts_.kernel_activity.set(role == Role::Boots ? KVM_MP_STATE_RUNNABLE
                                                       : KVM_MP_STATE_UNINITIALIZED));
  }
  registers.drop();
  return {};
}

template <typename Ask>
void StartUp::ask(Ask ask) {
  {
    const Lock lock = handover_.lock();
    ask(handover_.requests(lock));
    if (!handover_.is_in_guest(lock)) take(lock);
  }
  parts_.thread.kick();
}

void StartUp::fall_asleep() {
  ask([](Handover::Requests& requests) { requests.sleep = true; });
}

void StartUp::lose_power() {
  ask([](Handover::Requests& requests) { requests.lose_power = true; });
}

void StartUp::wake(const x86::CpuState& entry) {
  ask([&](Handover::Requests& requests) { requests.wake = entry; });
}

void StartUp::init() {
  ask([](Handover::Requests& requests) {
    requests.init = true;
    requests.start_up.reset();
  });
}

void StartUp::start_up(std::uint8_t vector) {
  {
    const Lock lock = handover_.lock();
    // Ignored by a processor that does not wait for it (SDM 3A 8.4.4).
    Handover::Requests& requests = handover_.requests(lock);
    if (!requests.init && core_.activity != Activity::WaitingForStartUp) return;
    requests.start_up = vector;
    if (!handover_.is_in_guest(lock)) take(lock);
  }
  parts_.thread.kick();
}

void StartUp::take_init() {
  RegisterFile& registers = core_.registers;
  parts_.interrupts.forget();
  parts_.exceptions.forget();
  const auto before = registers.state();
  const Result<void> done =
      before ? become(x86::init_state(*before, core_.identity.signature)) : fail(before.error());
  if (!done) log::error("vCPU {}: INIT: {}", core_.id.value, done.error().text());
  registers.events() = {};
  registers.changed(RegisterFile::kEvents);
  // The boot processor starts at the reset vector, the others wait (SDM 3A 8.4.2).
  core_.activity = core_.id.value == 0 ? Activity::Running : Activity::WaitingForStartUp;
}

void StartUp::take_power(const Lock& lock) {
  Handover::Requests& requests = handover_.requests(lock);
  const auto cycle = [&](const x86::CpuState& state, Role role) {
    const Result<void> done = power_cycle(lock, state, role);
    if (!done) log::error("vCPU {}: sleep: {}", core_.id.value, done.error().text());
    core_.activity = role == Role::Boots ? Activity::Running : Activity::WaitingForStartUp;
  };
  if (std::exchange(requests.lose_power, false)) {
    cycle(x86::reset_state(core_.identity.signature), Role::Waits);
    core_.system.lost_power();
  }
  if (std::exchange(requests.sleep, false)) core_.activity = Activity::Asleep;
  if (const auto entry = std::exchange(requests.wake, std::nullopt)) cycle(*entry, Role::Boots);
}

void StartUp::take(const Lock& lock) {
  Handover::Requests& requests = handover_.requests(lock);
  take_power(lock);
  if (std::exchange(requests.init, false)) take_init();
  if (!requests.start_up) return;
  const std::uint8_t vector = *std::exchange(requests.start_up, std::nullopt);
  if (core_.activity != Activity::WaitingForStartUp) return;
  auto state = core_.registers.state();
  if (state) {
    x86::Segment& code = state->seg(x86::SegmentName::Cs);
    code = x86::start_up_segment(code, vector);
    state->rip = 0;
    (void)become(*state);
  }
  core_.activity = Activity::Running;
  if (!handover_.alive(lock)) come_alive(lock);
}

void StartUp::come_alive(const Lock& lock) {
  handover_.set_alive(lock, true);
  core_.system.events.push({core_.id, exit::Started{}});
}

// ---- Where the local APIC is the kernel's

// Out of KVM_RUN: is alive if the start-up IPI has come.
std::uint32_t StartUp::take_start(const Lock& lock) {
  const std::uint32_t state =
      parts_.kernel_activity.get().value_or(std::uint32_t{KVM_MP_STATE_UNINITIALIZED});
  if (state != KVM_MP_STATE_RUNNABLE || handover_.alive(lock)) return state;
  core_.registers.drop();
  core_.activity = Activity::Running;
  asks_for_start_ = false;
  come_alive(lock);
  return state;
}

// Those that a vCPU has started are known before its own exit, so that the client finds them when
// it has stepped over the IPI.
void StartUp::note_started() {
  if (!asks_for_start_) return;
  const Lock lock = handover_.lock();
  if (!asks_for_start_) return;
  take_start(lock);
  handover_.notify();
}

// KVM_RUN comes back with EAGAIN when INIT has arrived, or INIT and the start-up IPI; but once it
// has seen INIT alone, it would go from the IPI straight to the first instruction. So between the
// two the vCPU stays out and asks.
bool StartUp::await() {
  if (handover_.active()) return true;
  for (auto nap = kShortestNap;;) {
    parts_.thread.looks();
    {
      Lock lock = handover_.lock();
      const Handover::Requests& requests = handover_.requests(lock);
      if (requests.quit) return false;
      const std::uint32_t state = take_start(lock);
      if (handover_.alive(lock)) return true;
      asks_for_start_ = state != KVM_MP_STATE_UNINITIALIZED;
      if (asks_for_start_) {
        handover_.wait_for(lock, nap, [&] { return requests.quit || handover_.alive(lock); });
        nap = std::min(2 * nap, kLongestNap);
        continue;
      }
    }
    nap = kShortestNap;
    const int error = parts_.entry.run();
    if (error == 0 || error == EINTR || error == EAGAIN) continue;
    log::error("vCPU {}: KVM_RUN: {}", core_.id.value, std::strerror(error));
    Lock lock = handover_.lock();
    handover_.wait(lock, [&] { return handover_.requests(lock).quit; });
  }
}

void StartUp::await_again() {
  {
    Lock lock = handover_.lock();
    const Handover::Requests& requests = handover_.requests(lock);
    handover_.wait_for(lock, kLongestNap,
                       [&] { return requests.quit || requests.suspend || core_.system.ended; });
  }
  parts_.kernel_activity.note();
}

}  // namespace ringside::kvm

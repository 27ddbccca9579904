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
  handover_.requests(lock).init = false;
  handover_.requests(lock).start_up.reset();
  handover_.set_alive(lock, role == Role::Boots);
  core_.activity = role == Role::Boots ? Activity::Running : Activity::WaitingForStartUp;
}

void StartUp::init() {
  {
    const Lock lock = handover_.lock();
    Handover::Requests& requests = handover_.requests(lock);
    requests.init = true;
    requests.start_up.reset();
    if (!handover_.is_in_guest(lock)) take(lock);
  }
  parts_.thread.kick();
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

void StartUp::take(const Lock& lock) {
  Handover::Requests& requests = handover_.requests(lock);
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

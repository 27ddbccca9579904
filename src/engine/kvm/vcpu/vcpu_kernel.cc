// What is different for a vCPU whose local APIC is the kernel's (docs/decisions/0022): it is
// started, halted and interrupted inside KVM_RUN, and KVM_GET_MP_STATE tells what became of it.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/log.h"
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using Lock = Handover::Lock;

constexpr std::chrono::microseconds kShortestNap{50}, kLongestNap{10'000};

}  // namespace

// Out of KVM_RUN: is alive if the start-up IPI has come.
std::uint32_t KvmVcpu::take_start(const Lock& lock) {
  const std::uint32_t state =
      parts_.kernel_activity.get().value_or(std::uint32_t{KVM_MP_STATE_UNINITIALIZED});
  if (state != KVM_MP_STATE_RUNNABLE || parts_.handover.alive(lock)) return state;
  parts_.core.registers.drop();
  parts_.core.activity = Activity::Running;
  parts_.handover.set_alive(lock, true);
  asks_for_start_ = false;
  parts_.core.system.events.push({parts_.core.id, exit::Started{}});
  return state;
}

// Those that a vCPU has started are known before its own exit, so that the client finds them when
// it has stepped over the IPI.
void KvmVcpu::note_started() {
  if (!asks_for_start_) return;
  const Lock lock = parts_.handover.lock();
  if (!asks_for_start_) return;
  take_start(lock);
  parts_.handover.notify();
}

// Until the guest has started this vCPU. KVM_RUN comes back with EAGAIN when INIT has arrived, or
// INIT and the start-up IPI; but once it has seen INIT alone, it would go from the IPI straight to
// the first instruction. So between the two the vCPU stays out and asks. False: the thread is to
// end.
bool KvmVcpu::await_start() {
  if (active()) return true;
  for (auto nap = kShortestNap;;) {
    parts_.thread.looks();
    {
      Lock lock = parts_.handover.lock();
      const Handover::Requests& requests = parts_.handover.requests(lock);
      if (requests.quit) return false;
      const std::uint32_t state = take_start(lock);
      if (parts_.handover.alive(lock)) return true;
      asks_for_start_ = state != KVM_MP_STATE_UNINITIALIZED;
      if (asks_for_start_) {
        parts_.handover.wait_for(lock, nap,
                                 [&] { return requests.quit || parts_.handover.alive(lock); });
        nap = std::min(2 * nap, kLongestNap);
        continue;
      }
    }
    nap = kShortestNap;
    const int error = parts_.entry.run();
    if (error == 0 || error == EINTR || error == EAGAIN) continue;
    log::error("vCPU {}: KVM_RUN: {}", parts_.core.id.value, std::strerror(error));
    Lock lock = parts_.handover.lock();
    parts_.handover.wait(lock, [&] { return parts_.handover.requests(lock).quit; });
  }
}

// A step of a vCPU that was started before and has got INIT: it has no instruction to step.
void KvmVcpu::await_start_up() {
  {
    Lock lock = parts_.handover.lock();
    const Handover::Requests& requests = parts_.handover.requests(lock);
    parts_.handover.wait_for(lock, kLongestNap, [&] {
      return requests.quit || requests.suspend || parts_.core.system.ended;
    });
  }
  parts_.kernel_activity.note();
}

// ---- Any thread, while everybody is out

KvmVcpu::Hope KvmVcpu::kernel_hope() const {
  const Lock lock = parts_.handover.lock();
  const std::uint32_t state =
      parts_.kernel_activity.get().value_or(std::uint32_t{KVM_MP_STATE_RUNNABLE});
  if (state == KVM_MP_STATE_UNINITIALIZED || state == KVM_MP_STATE_INIT_RECEIVED)
    return Hope::Absent;
  if (state != KVM_MP_STATE_HALTED || !parts_.handover.is_in_guest(lock) ||
      parts_.interrupts.nmi_waits())
    return Hope::Some;
  kvm_regs registers{};
  kvm_vcpu_events events{};
  if (!control(parts_.core.file.fd(), KVM_GET_REGS, &registers, "to read registers") ||
      !control(parts_.core.file.fd(), KVM_GET_VCPU_EVENTS, &events, "to read pending events"))
    return Hope::Some;
  const bool wakes = (registers.rflags & x86::rflags::IF) != 0 || events.nmi.pending != 0;
  return wakes ? Hope::Some : Hope::None;
}

Result<hypervisor::LocalApicImage> KvmVcpu::local_apic() const {
  const LocalApicPage page = TRY(LocalApicPage::get(parts_.core.file.fd()));
  return page.image(parts_.core.id, TRY(get_msr(parts_.core.file.fd(), x86::msr::kApicBase)));
}

Result<void> KvmVcpu::find_apic_page() const {
  constexpr std::uint64_t kX2apic = 1 << 10, kOn = 1 << 11;
  const std::uint64_t base = TRY(get_msr(parts_.core.file.fd(), x86::msr::kApicBase));
  if ((base & (kX2apic | kOn)) == kOn) return {};
  return fail(ErrorCode::BadAddress, "the local APIC is not in memory");
}

Result<std::uint32_t> KvmVcpu::read_apic(std::uint64_t offset) const {
  TRY(find_apic_page());
  if ((offset & 0xc) != 0) return 0u;  // registers are 32 bits wide, one in each 16 bytes
  return TRY(LocalApicPage::get(parts_.core.file.fd())).reg(static_cast<unsigned>(offset >> 4)) >>
         (8 * (offset & 3));
}

Result<void> KvmVcpu::write_apic(std::uint64_t offset, std::uint32_t value) {
  TRY(find_apic_page());
  if ((offset & 0xf) != 0) return {};
  std::optional<ApicMessage> message;
  {
    const Lock lock = parts_.handover.lock();
    if (!parts_.handover.is_in_guest(lock)) TRY(parts_.core.registers.flush());
    const auto lines = parts_.core.system.controllers->hold_lines();
    LocalApicPage page = TRY(LocalApicPage::get(parts_.core.file.fd()));
    message = page.write(static_cast<unsigned>(offset >> 4), value);
    TRY(page.set(parts_.core.file.fd()));
    if (!parts_.handover.is_in_guest(lock)) parts_.core.registers.drop();  // CR8 is the APIC's
  }
  if (message) send(*message);
  return {};
}

void KvmVcpu::send(ApicMessage message) {
  using Shorthand = ApicMessage::Shorthand;
  if (message.shorthand == Shorthand::None) return parts_.core.system.controllers->send(message);
  message.logical = false;
  for (std::uint32_t vcpu = 0; vcpu < parts_.core.system.vcpus; ++vcpu) {
    const bool self = vcpu == parts_.core.id.value;
    if (self ? message.shorthand == Shorthand::Others : message.shorthand == Shorthand::Self)
      continue;
    message.destination = vcpu;
    parts_.core.system.controllers->send(message);
  }
}

}  // namespace ringside::kvm

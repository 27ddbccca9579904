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

Result<std::uint32_t> get_activity(const Fd& vcpu) {
  kvm_mp_state state{};
  TRY(control(vcpu, KVM_GET_MP_STATE, &state, "to tell what a vCPU does"));
  return state.mp_state;
}

}  // namespace

Result<void> KvmVcpu::set_kernel_activity(std::uint32_t state) {
  kvm_mp_state request{};
  request.mp_state = state;
  TRY(control(file_.fd(), KVM_SET_MP_STATE, &request, "to say what a vCPU does"));
  return {};
}

// Where INIT or a start-up IPI has come already, asking for the state takes it.
Result<void> KvmVcpu::take_messages() {
  TRY(get_activity(file_.fd()));
  registers_.drop();
  return {};
}

// The thread, out of KVM_RUN: takes INIT and a start-up IPI that have come, if any.
void KvmVcpu::note_activity() {
  if (activity_ == Activity::Dead || activity_ == Activity::WaitingForDevice) return;
  (void)registers_.flush();
  const auto state = get_activity(file_.fd());
  if (!state) return;
  registers_.drop();
  switch (*state) {
    case KVM_MP_STATE_HALTED:
      activity_ = Activity::Halted;
      break;
    case KVM_MP_STATE_UNINITIALIZED:
    case KVM_MP_STATE_INIT_RECEIVED:
      activity_ = Activity::WaitingForStartUp;
      left_at_breakpoint_.reset();
      break;
    default:
      activity_ = Activity::Running;
      break;
  }
}

// Out of KVM_RUN: is alive if the start-up IPI has come.
std::uint32_t KvmVcpu::take_start(const Lock& lock) {
  const std::uint32_t state =
      get_activity(file_.fd()).value_or(std::uint32_t{KVM_MP_STATE_UNINITIALIZED});
  if (state != KVM_MP_STATE_RUNNABLE || handover_.alive(lock)) return state;
  registers_.drop();
  activity_ = Activity::Running;
  handover_.set_alive(lock, true);
  asks_for_start_ = false;
  system_.events.push({id_, exit::Started{}});
  return state;
}

// Those that a vCPU has started are known before its own exit, so that the client finds them when
// it has stepped over the IPI.
void KvmVcpu::note_started() {
  if (!asks_for_start_) return;
  const Lock lock = handover_.lock();
  if (!asks_for_start_) return;
  take_start(lock);
  handover_.notify();
}

// Until the guest has started this vCPU. KVM_RUN comes back with EAGAIN when INIT has arrived, or
// INIT and the start-up IPI; but once it has seen INIT alone, it would go from the IPI straight to
// the first instruction. So between the two the vCPU stays out and asks. False: the thread is to
// end.
bool KvmVcpu::await_start() {
  if (active()) return true;
  for (auto nap = kShortestNap;;) {
    thread_.looks();
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
    const int error = enter();
    if (error == 0 || error == EINTR || error == EAGAIN) continue;
    log::error("vCPU {}: KVM_RUN: {}", id_.value, std::strerror(error));
    Lock lock = handover_.lock();
    handover_.wait(lock, [&] { return handover_.requests(lock).quit; });
  }
}

// A step of a vCPU that was started before and has got INIT: it has no instruction to step.
void KvmVcpu::await_start_up() {
  {
    Lock lock = handover_.lock();
    const Handover::Requests& requests = handover_.requests(lock);
    handover_.wait_for(lock, kLongestNap,
                       [&] { return requests.quit || requests.suspend || system_.ended; });
  }
  note_activity();
}

// In HLT, with a step to do: until there is an interrupt for it, which is not taken yet. KVM_RUN of
// an uninitialized vCPU waits for interrupts all the same and only comes back with EAGAIN.
bool KvmVcpu::await_interrupt() {
  int error = EINTR;
  Result<void> done = registers_.flush();
  if (done) done = set_kernel_activity(KVM_MP_STATE_UNINITIALIZED);
  if (done) error = enter();
  const auto state = get_activity(file_.fd());
  if (!state || *state == KVM_MP_STATE_UNINITIALIZED) {
    done = set_kernel_activity(KVM_MP_STATE_HALTED);
  } else {
    note_activity();
    error = EINTR;
  }
  if (!done) log::error("vCPU {}: a step in HLT: {}", id_.value, done.error().text());
  return error == EAGAIN;
}

// An interrupt that a controller has given away and KVM has not delivered would come before the
// next instruction, whatever is held back: the controller gets it back.
void KvmVcpu::settle_interrupt() {
  if (!registers_.load(RegisterFile::kEvents)) return;
  kvm_vcpu_events& events = registers_.events();
  if (events.nmi.injected != 0) {
    events.nmi.injected = 0;
    events.nmi.pending = 1;
    registers_.changed_nmi();
  }
  if (events.interrupt.injected == 0 || events.interrupt.soft != 0) return;
  events.interrupt.injected = 0;
  registers_.changed(RegisterFile::kEvents);
  const std::uint8_t vector = events.interrupt.nr;
  bool taken_back = false;
  system_.gate.close(&thread_);
  {
    const auto lines = system_.controllers->hold_lines();
    auto page = LocalApicPage::get(file_.fd());
    taken_back = page && page->take_back(vector) && page->set(file_.fd());
  }
  system_.gate.open();
  if (!taken_back) system_.controllers->take_back_from_pics(vector);
}

// ---- Any thread, while everybody is out

KvmVcpu::Hope KvmVcpu::kernel_hope() const {
  const Lock lock = handover_.lock();
  const std::uint32_t state =
      get_activity(file_.fd()).value_or(std::uint32_t{KVM_MP_STATE_RUNNABLE});
  if (state == KVM_MP_STATE_UNINITIALIZED || state == KVM_MP_STATE_INIT_RECEIVED)
    return Hope::Absent;
  if (state != KVM_MP_STATE_HALTED || !handover_.is_in_guest(lock) || nmi_) return Hope::Some;
  kvm_regs registers{};
  kvm_vcpu_events events{};
  if (!control(file_.fd(), KVM_GET_REGS, &registers, "to read registers") ||
      !control(file_.fd(), KVM_GET_VCPU_EVENTS, &events, "to read pending events"))
    return Hope::Some;
  const bool wakes = (registers.rflags & x86::rflags::IF) != 0 || events.nmi.pending != 0;
  return wakes ? Hope::Some : Hope::None;
}

Result<hypervisor::LocalApicImage> KvmVcpu::local_apic() const {
  const LocalApicPage page = TRY(LocalApicPage::get(file_.fd()));
  return page.image(id_, TRY(get_msr(file_.fd(), x86::msr::kApicBase)));
}

Result<void> KvmVcpu::find_apic_page() const {
  constexpr std::uint64_t kX2apic = 1 << 10, kOn = 1 << 11;
  const std::uint64_t base = TRY(get_msr(file_.fd(), x86::msr::kApicBase));
  if ((base & (kX2apic | kOn)) == kOn) return {};
  return fail(ErrorCode::BadAddress, "the local APIC is not in memory");
}

Result<std::uint32_t> KvmVcpu::read_apic(std::uint64_t offset) const {
  TRY(find_apic_page());
  if ((offset & 0xc) != 0) return 0u;  // registers are 32 bits wide, one in each 16 bytes
  return TRY(LocalApicPage::get(file_.fd())).reg(static_cast<unsigned>(offset >> 4)) >>
         (8 * (offset & 3));
}

Result<void> KvmVcpu::write_apic(std::uint64_t offset, std::uint32_t value) {
  TRY(find_apic_page());
  if ((offset & 0xf) != 0) return {};
  std::optional<ApicMessage> message;
  {
    const Lock lock = handover_.lock();
    if (!handover_.is_in_guest(lock)) TRY(registers_.flush());
    const auto lines = system_.controllers->hold_lines();
    LocalApicPage page = TRY(LocalApicPage::get(file_.fd()));
    message = page.write(static_cast<unsigned>(offset >> 4), value);
    TRY(page.set(file_.fd()));
    if (!handover_.is_in_guest(lock)) registers_.drop();  // CR8 is the APIC's
  }
  if (message) send(*message);
  return {};
}

void KvmVcpu::send(ApicMessage message) {
  using Shorthand = ApicMessage::Shorthand;
  if (message.shorthand == Shorthand::None) return system_.controllers->send(message);
  message.logical = false;
  for (std::uint32_t vcpu = 0; vcpu < system_.vcpus; ++vcpu) {
    const bool self = vcpu == id_.value;
    if (self ? message.shorthand == Shorthand::Others : message.shorthand == Shorthand::Self)
      continue;
    message.destination = vcpu;
    system_.controllers->send(message);
  }
}

}  // namespace ringside::kvm

#include "engine/kvm/vcpu/debugged_vcpu.h"

#include "x86/msr_numbers.h"

#include <fmt/format.h>

#include <optional>

namespace ringside::kvm {
namespace {

namespace msr = x86::msr;
using hypervisor::Capability;
using Lock = Handover::Lock;

// A vCPU that has not been started waits in KVM_RUN, if the kernel's local APIC is to start it; for
// a look at its registers it has to come out.
class Unstarted {
 public:
  explicit Unstarted(EntryParts& parts) {
    if (parts.core.kernel_apic() && !parts.handover.active()) out_.emplace(parts.core.system.gate);
  }

 private:
  std::optional<EverybodyOut> out_;
};

// Of the machine's local APICs, where they are the machine's.
bool belongs_to_apic(std::uint32_t number) {
  return number == msr::kApicBase || number == msr::kTscDeadline || msr::is_x2apic(number);
}

}  // namespace

bool DebuggedVcpu::step_within(Gva start, Gva end) {
  range_steps_.set(handover_.lock(), start, end);
  return true;
}

// The platform is asked before the lock is taken: it may call back.
Result<x86::RegisterValue> DebuggedVcpu::read_register(x86::Register r) {
  const Unstarted out(parts_);
  if (!core_.kernel_apic() && r == x86::Register::Cr8) {
    return x86::RegisterValue::from_u64(core_.system.platform.task_priority(core_.id));
  }
  if (!core_.kernel_apic() && r == x86::Register::ApicBase) {
    return x86::RegisterValue::from_u64(TRY(read_msr(msr::kApicBase)));
  }
  const Lock lock = handover_.lock();
  return core_.registers.read(r);
}

// KVM says at once whether the guest can go on with what `write` writes. What it refuses leaves
// nothing behind.
template <typename Write>
Result<void> DebuggedVcpu::keep_if_taken(Write write) {
  TRY(core_.registers.flush());
  Result<void> done = write();
  if (done) done = core_.registers.flush();
  if (done) return {};
  core_.registers.drop();
  return fail(ErrorCode::BadRequest,
              fmt::format("KVM does not take this: {}", done.error().text()));
}

Result<void> DebuggedVcpu::write_register(x86::Register r, const x86::RegisterValue& value) {
  const Unstarted out(parts_);
  if (!core_.kernel_apic() && r == x86::Register::Cr8) {
    core_.system.platform.set_task_priority(core_.id, value.bytes[0] & 0xf);
    return {};
  }
  if (!core_.kernel_apic() && r == x86::Register::ApicBase)
    return write_msr(msr::kApicBase, value.as_u64());
  DeviceAccesses::PortOutput unsent;
  {
    const Lock lock = handover_.lock();
    if (r == x86::Register::Rip) unsent = TRY(note_move());
    TRY(keep_if_taken([&] { return core_.registers.write(r, value); }));
  }
  parts_.devices.send(unsent);
  return {};
}

// Whoever writes RIP means to execute what is there, a breakpoint included. After INIT, and after a
// triple fault, there is nothing to execute. The lock is held. What is given back has been executed
// and is to be sent, when the lock is not held.
Result<DeviceAccesses::PortOutput> DebuggedVcpu::note_move() {
  parts_.passed.forget();
  TRY(parts_.kernel_activity.end_halt());
  if (core_.activity != Activity::WaitingForDevice) return DeviceAccesses::PortOutput{};
  // KVM would complete the access later, and move RIP on. It completes it now, with what it finds,
  // and what it makes of the registers is undone.
  const x86::CpuState before = TRY(core_.registers.state());
  TRY(core_.registers.load(RegisterFile::kEvents));
  const kvm_vcpu_events events = core_.registers.events();
  DeviceAccesses::PortOutput unsent = parts_.devices.unsent_output();
  parts_.entry.drop_access();
  const x86::CpuState after = TRY(core_.registers.state());
  TRY(core_.registers.set_state(before));
  core_.registers.events() = events;
  core_.activity = Activity::Running;
  // An OUT that KVM emulates is over before its bytes come to us.
  const bool executed =
      after.rip == before.rip && after.reg(x86::Gpr::Rcx) == before.reg(x86::Gpr::Rcx);
  return executed ? unsent : DeviceAccesses::PortOutput{};
}

Result<x86::CpuState> DebuggedVcpu::state() {
  const Unstarted out(parts_);
  if (core_.kernel_apic()) {
    const Lock lock = handover_.lock();
    return core_.registers.state();
  }
  const std::uint8_t priority = core_.system.platform.task_priority(core_.id);
  const std::uint64_t apic_base = TRY(read_msr(msr::kApicBase));
  const Lock lock = handover_.lock();
  x86::CpuState state = TRY(core_.registers.state());
  state.cr8 = priority;
  state.apic_base = apic_base;
  return state;
}

Result<void> DebuggedVcpu::set_state(const x86::CpuState& state) {
  const Unstarted out(parts_);
  if (!core_.kernel_apic()) {
    core_.system.platform.set_task_priority(core_.id, static_cast<std::uint8_t>(state.cr8));
    TRY(write_msr(msr::kApicBase, state.apic_base));
  }
  DeviceAccesses::PortOutput unsent;
  {
    const Lock lock = handover_.lock();
    TRY(core_.registers.load(RegisterFile::kGeneral));
    if (state.rip != core_.registers.general().rip) unsent = TRY(note_move());
    TRY(keep_if_taken([&] { return core_.registers.set_state(state); }));
  }
  parts_.devices.send(unsent);
  return {};
}

Result<std::uint64_t> DebuggedVcpu::read_msr(std::uint32_t number) {
  const Unstarted out(parts_);
  if (!core_.kernel_apic() && belongs_to_apic(number)) {
    std::uint64_t value = 0;
    if (core_.system.platform.apic_msr_read(core_.id, number, value)) return value;
    return fail(ErrorCode::NotFound, fmt::format("there is no MSR {:#x}", number));
  }
  const Lock lock = handover_.lock();
  TRY(core_.registers.flush());
  return get_msr(core_.file.fd(), number);
}

Result<void> DebuggedVcpu::write_msr(std::uint32_t number, std::uint64_t value) {
  const Unstarted out(parts_);
  if (!core_.kernel_apic() && belongs_to_apic(number)) {
    if (parts_.devices.write_apic_msr(number, value)) return {};
    return fail(ErrorCode::BadRequest, fmt::format("MSR {:#x} does not take {:#x}", number, value));
  }
  const Lock lock = handover_.lock();
  TRY(core_.registers.flush());
  core_.registers.forget();
  return set_msr(core_.file.fd(), number, value);
}

// What the vCPU's thread has taken back from KVM waits with us, the rest with KVM. Of the kernel's
// local APIC only the vector that is on its way to the processor is seen.
std::optional<hypervisor::PendingEvents> DebuggedVcpu::pending_events() {
  using Shadow = hypervisor::PendingEvents::Shadow;
  const Unstarted out(parts_);
  std::optional<std::uint8_t> vector;
  if (!core_.kernel_apic()) vector = core_.system.platform.peek_interrupt(core_.id);
  const Lock lock = handover_.lock();
  if (!core_.registers.load(RegisterFile::kGeneral | RegisterFile::kEvents)) return std::nullopt;
  const kvm_vcpu_events& kvm = core_.registers.events();
  hypervisor::PendingEvents events;
  events.exception = parts_.exceptions.queued();
  if (!events.exception && (kvm.exception.injected != 0 || kvm.exception.pending != 0)) {
    events.exception = {static_cast<x86::Vector>(kvm.exception.nr), std::nullopt, 0};
    if (kvm.exception.has_error_code != 0) events.exception->error_code = kvm.exception.error_code;
  }
  if ((kvm.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS) != 0) {
    events.shadow = Shadow::StackLoad;
  } else if ((kvm.interrupt.shadow & KVM_X86_SHADOW_INT_STI) != 0) {
    events.shadow = Shadow::Sti;
  }
  events.nmi_pending =
      parts_.interrupts.nmi_waits() || kvm.nmi.pending != 0 || kvm.nmi.injected != 0;
  events.nmi_blocked = kvm.nmi.masked != 0;
  if (const auto held = parts_.interrupts.held()) {
    vector = held;
  } else if (kvm.interrupt.injected != 0) {
    vector = kvm.interrupt.nr;
  }
  events.vector = vector;
  events.interrupt_waiting = vector.has_value();
  events.interrupts_enabled = (core_.registers.general().rflags & x86::rflags::IF) != 0;
  return events;
}

// By what was found out about the host before the first vCPU was made.
bool DebuggedVcpu::offers(Capability capability) const {
  const Facts& facts = core_.system.facts;
  switch (capability) {
    case Capability::BreakpointExit:
      return facts.int3_exit || facts.int3_as_error;
    case Capability::MonitorTrap:
      return facts.step;
    case Capability::MaskInterrupts:
      return true;
  }
  return false;
}

Result<void> DebuggedVcpu::set_capability(Capability capability, bool on) {
  const bool offered = offers(capability);
  const Lock lock = handover_.lock();
  switch (capability) {
    case Capability::BreakpointExit:
      if (on && !offered) {
        return fail(ErrorCode::NotSupported, "this host's KVM does not intercept int3");
      }
      core_.breakpoint_exit = on;
      break;
    case Capability::MonitorTrap:
      if (on && !offered) {
        return fail(ErrorCode::NotSupported, "this host's KVM does not single-step");
      }
      core_.monitor_trap = on;
      break;
    case Capability::MaskInterrupts:
      core_.mask_interrupts = on;
      break;
  }
  return {};
}

Result<void> DebuggedVcpu::inject_exception(const x86::Exception& exception) {
  const Lock lock = handover_.lock();
  return parts_.exceptions.inject(exception);
}

Result<void> DebuggedVcpu::set_entry_insn_length(std::uint8_t length) {
  const Lock lock = handover_.lock();
  return parts_.exceptions.set_length(length);
}

Result<std::uint8_t> DebuggedVcpu::entry_insn_length() {
  const Lock lock = handover_.lock();
  return parts_.exceptions.length();
}

}  // namespace ringside::kvm

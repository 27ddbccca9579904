// The debugger's side of a vCPU: main thread, while the vCPU is out of the guest.
#include <fmt/format.h>

#include "engine/kvm/vcpu/vcpu.h"

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
  return number == msr::kApicBase || number == msr::kTscDeadline ||
         (number >= msr::kX2ApicFirst && number <= msr::kX2ApicLast);
}

}  // namespace

bool KvmVcpu::step_within(Gva start, Gva end) {
  range_steps_.set(parts_.handover.lock(), start, end);
  return true;
}

// The platform is asked before the lock is taken: it may call back.
Result<x86::RegisterValue> KvmVcpu::read_register(x86::Register r) {
  const Unstarted out(parts_);
  if (!parts_.core.kernel_apic() && r == x86::Register::Cr8) {
    return x86::RegisterValue::from_u64(parts_.core.system.platform.task_priority(parts_.core.id));
  }
  if (!parts_.core.kernel_apic() && r == x86::Register::ApicBase) {
    return x86::RegisterValue::from_u64(TRY(read_msr(msr::kApicBase)));
  }
  const Lock lock = parts_.handover.lock();
  return parts_.core.registers.read(r);
}

// KVM says at once whether the guest can go on with what `write` writes. What it refuses leaves
// nothing behind.
template <typename Write>
Result<void> KvmVcpu::keep_if_taken(Write write) {
  TRY(parts_.core.registers.flush());
  Result<void> done = write();
  if (done) done = parts_.core.registers.flush();
  if (done) return {};
  parts_.core.registers.drop();
  return fail(ErrorCode::BadRequest,
              fmt::format("KVM does not take this: {}", done.error().text()));
}

Result<void> KvmVcpu::write_register(x86::Register r, const x86::RegisterValue& value) {
  const Unstarted out(parts_);
  if (!parts_.core.kernel_apic() && r == x86::Register::Cr8) {
    parts_.core.system.platform.set_task_priority(parts_.core.id, value.bytes[0] & 0xf);
    return {};
  }
  if (!parts_.core.kernel_apic() && r == x86::Register::ApicBase)
    return write_msr(msr::kApicBase, value.as_u64());
  DeviceAccesses::PortOutput unsent;
  {
    const Lock lock = parts_.handover.lock();
    if (r == x86::Register::Rip) unsent = TRY(note_move());
    TRY(keep_if_taken([&] { return parts_.core.registers.write(r, value); }));
  }
  parts_.devices.send(unsent);
  return {};
}

// Whoever writes RIP means to execute what is there, a breakpoint included. After INIT, and after a
// triple fault, there is nothing to execute. The lock is held. What is given back has been executed
// and is to be sent, when the lock is not held.
Result<DeviceAccesses::PortOutput> KvmVcpu::note_move() {
  parts_.passed.forget();
  TRY(parts_.kernel_activity.end_halt());
  if (parts_.core.activity != Activity::WaitingForDevice) return DeviceAccesses::PortOutput{};
  // KVM would complete the access later, and move RIP on. It completes it now, with what it finds,
  // and what it makes of the registers is undone.
  const x86::CpuState before = TRY(parts_.core.registers.state());
  TRY(parts_.core.registers.load(RegisterFile::kEvents));
  const kvm_vcpu_events events = parts_.core.registers.events();
  DeviceAccesses::PortOutput unsent = parts_.devices.unsent_output();
  parts_.entry.drop_access();
  const x86::CpuState after = TRY(parts_.core.registers.state());
  TRY(parts_.core.registers.set_state(before));
  parts_.core.registers.events() = events;
  parts_.devices.forget();
  parts_.core.activity = Activity::Running;
  // An OUT that KVM emulates is over before its bytes come to us.
  const bool executed =
      after.rip == before.rip && after.reg(x86::Gpr::Rcx) == before.reg(x86::Gpr::Rcx);
  return executed ? unsent : DeviceAccesses::PortOutput{};
}

Result<x86::CpuState> KvmVcpu::state() {
  const Unstarted out(parts_);
  if (parts_.core.kernel_apic()) {
    const Lock lock = parts_.handover.lock();
    return parts_.core.registers.state();
  }
  const std::uint8_t priority = parts_.core.system.platform.task_priority(parts_.core.id);
  const std::uint64_t apic_base = TRY(read_msr(msr::kApicBase));
  const Lock lock = parts_.handover.lock();
  x86::CpuState state = TRY(parts_.core.registers.state());
  state.cr8 = priority;
  state.apic_base = apic_base;
  return state;
}

Result<void> KvmVcpu::set_state(const x86::CpuState& state) {
  const Unstarted out(parts_);
  if (!parts_.core.kernel_apic()) {
    parts_.core.system.platform.set_task_priority(parts_.core.id,
                                                  static_cast<std::uint8_t>(state.cr8));
    TRY(write_msr(msr::kApicBase, state.apic_base));
  }
  DeviceAccesses::PortOutput unsent;
  {
    const Lock lock = parts_.handover.lock();
    TRY(parts_.core.registers.load(RegisterFile::kGeneral));
    if (state.rip != parts_.core.registers.general().rip) unsent = TRY(note_move());
    TRY(keep_if_taken([&] { return parts_.core.registers.set_state(state); }));
  }
  parts_.devices.send(unsent);
  return {};
}

Result<std::uint64_t> KvmVcpu::read_msr(std::uint32_t number) {
  const Unstarted out(parts_);
  if (!parts_.core.kernel_apic() && belongs_to_apic(number)) {
    std::uint64_t value = 0;
    if (parts_.core.system.platform.apic_msr_read(parts_.core.id, number, value)) return value;
    return fail(ErrorCode::NotFound, fmt::format("there is no MSR {:#x}", number));
  }
  const Lock lock = parts_.handover.lock();
  TRY(parts_.core.registers.flush());
  return get_msr(parts_.core.file.fd(), number);
}

Result<void> KvmVcpu::write_msr(std::uint32_t number, std::uint64_t value) {
  const Unstarted out(parts_);
  if (!parts_.core.kernel_apic() && belongs_to_apic(number)) {
    if (parts_.devices.write_apic_msr(number, value)) return {};
    return fail(ErrorCode::BadRequest, fmt::format("MSR {:#x} does not take {:#x}", number, value));
  }
  const Lock lock = parts_.handover.lock();
  TRY(parts_.core.registers.flush());
  parts_.core.registers.forget();
  return set_msr(parts_.core.file.fd(), number, value);
}

// By what was found out about the host before the first vCPU was made.
bool KvmVcpu::offers(Capability capability) const {
  const Facts& facts = parts_.core.system.facts;
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

Result<void> KvmVcpu::set_capability(Capability capability, bool on) {
  const bool offered = offers(capability);
  const Lock lock = parts_.handover.lock();
  switch (capability) {
    case Capability::BreakpointExit:
      if (on && !offered) {
        return fail(ErrorCode::NotSupported, "this host's KVM does not intercept int3");
      }
      parts_.core.breakpoint_exit = on;
      break;
    case Capability::MonitorTrap:
      if (on && !offered) {
        return fail(ErrorCode::NotSupported, "this host's KVM does not single-step");
      }
      parts_.core.monitor_trap = on;
      break;
    case Capability::MaskInterrupts:
      parts_.core.mask_interrupts = on;
      break;
  }
  return {};
}

Result<void> KvmVcpu::inject_exception(const x86::Exception& exception) {
  const Lock lock = parts_.handover.lock();
  return parts_.exceptions.inject(exception);
}

Result<void> KvmVcpu::set_entry_insn_length(std::uint8_t length) {
  const Lock lock = parts_.handover.lock();
  return parts_.exceptions.set_length(length);
}

Result<std::uint8_t> KvmVcpu::entry_insn_length() {
  const Lock lock = parts_.handover.lock();
  return parts_.exceptions.length();
}

}  // namespace ringside::kvm

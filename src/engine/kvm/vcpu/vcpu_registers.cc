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
  Unstarted(System& system, const KvmVcpu& vcpu) {
    if (system.controllers && !vcpu.active()) out_.emplace(system.gate);
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

// The platform is asked before the lock is taken: it may call back.
Result<x86::RegisterValue> KvmVcpu::read_register(x86::Register r) {
  const Unstarted out(system_, *this);
  if (!kernel_apic() && r == x86::Register::Cr8) {
    return x86::RegisterValue::from_u64(system_.platform.task_priority(id_));
  }
  if (!kernel_apic() && r == x86::Register::ApicBase) {
    return x86::RegisterValue::from_u64(TRY(read_msr(msr::kApicBase)));
  }
  const Lock lock = handover_.lock();
  return registers_.read(r);
}

// KVM says at once whether the guest can go on with what `write` writes. What it refuses leaves
// nothing behind.
template <typename Write>
Result<void> KvmVcpu::keep_if_taken(Write write) {
  TRY(registers_.flush());
  Result<void> done = write();
  if (done) done = registers_.flush();
  if (done) return {};
  registers_.drop();
  return fail(ErrorCode::BadRequest,
              fmt::format("KVM does not take this: {}", done.error().text()));
}

Result<void> KvmVcpu::write_register(x86::Register r, const x86::RegisterValue& value) {
  const Unstarted out(system_, *this);
  if (!kernel_apic() && r == x86::Register::Cr8) {
    system_.platform.set_task_priority(id_, value.bytes[0] & 0xf);
    return {};
  }
  if (!kernel_apic() && r == x86::Register::ApicBase)
    return write_msr(msr::kApicBase, value.as_u64());
  PortOutput unsent;
  {
    const Lock lock = handover_.lock();
    if (r == x86::Register::Rip) unsent = TRY(note_move());
    TRY(keep_if_taken([&] { return registers_.write(r, value); }));
  }
  send(unsent);
  return {};
}

// Whoever writes RIP means to execute what is there, a breakpoint included. After INIT, and after a
// triple fault, there is nothing to execute. The lock is held. What is given back has been executed
// and is to be sent, when the lock is not held.
Result<KvmVcpu::PortOutput> KvmVcpu::note_move() {
  left_at_breakpoint_.reset();
  if (activity_ == Activity::Halted) {
    if (kernel_apic()) TRY(set_kernel_activity(KVM_MP_STATE_RUNNABLE));
    activity_ = Activity::Running;
  }
  if (activity_ != Activity::WaitingForDevice) return PortOutput{};
  // KVM would complete the access later, and move RIP on. It completes it now, with what it finds,
  // and what it makes of the registers is undone.
  const x86::CpuState before = TRY(registers_.state());
  TRY(registers_.load(RegisterFile::kEvents));
  const kvm_vcpu_events events = registers_.events();
  PortOutput unsent = unsent_output();
  drop_access();
  const x86::CpuState after = TRY(registers_.state());
  TRY(registers_.set_state(before));
  registers_.events() = events;
  retry_ = false;
  activity_ = Activity::Running;
  // An OUT that KVM emulates is over before its bytes come to us.
  const bool executed =
      after.rip == before.rip && after.reg(x86::Gpr::Rcx) == before.reg(x86::Gpr::Rcx);
  return executed ? unsent : PortOutput{};
}

Result<x86::CpuState> KvmVcpu::state() {
  const Unstarted out(system_, *this);
  if (kernel_apic()) {
    const Lock lock = handover_.lock();
    return registers_.state();
  }
  const std::uint8_t priority = system_.platform.task_priority(id_);
  const std::uint64_t apic_base = TRY(read_msr(msr::kApicBase));
  const Lock lock = handover_.lock();
  x86::CpuState state = TRY(registers_.state());
  state.cr8 = priority;
  state.apic_base = apic_base;
  return state;
}

Result<void> KvmVcpu::set_state(const x86::CpuState& state) {
  const Unstarted out(system_, *this);
  if (!kernel_apic()) {
    system_.platform.set_task_priority(id_, static_cast<std::uint8_t>(state.cr8));
    TRY(write_msr(msr::kApicBase, state.apic_base));
  }
  PortOutput unsent;
  {
    const Lock lock = handover_.lock();
    TRY(registers_.load(RegisterFile::kGeneral));
    if (state.rip != registers_.general().rip) unsent = TRY(note_move());
    TRY(keep_if_taken([&] { return registers_.set_state(state); }));
  }
  send(unsent);
  return {};
}

Result<std::uint64_t> KvmVcpu::read_msr(std::uint32_t number) {
  const Unstarted out(system_, *this);
  if (!kernel_apic() && belongs_to_apic(number)) {
    std::uint64_t value = 0;
    if (system_.platform.apic_msr_read(id_, number, value)) return value;
    return fail(ErrorCode::NotFound, fmt::format("there is no MSR {:#x}", number));
  }
  const Lock lock = handover_.lock();
  TRY(registers_.flush());
  return get_msr(file_.fd(), number);
}

Result<void> KvmVcpu::write_msr(std::uint32_t number, std::uint64_t value) {
  const Unstarted out(system_, *this);
  if (!kernel_apic() && belongs_to_apic(number)) {
    if (write_apic_msr(number, value)) return {};
    return fail(ErrorCode::BadRequest, fmt::format("MSR {:#x} does not take {:#x}", number, value));
  }
  const Lock lock = handover_.lock();
  TRY(registers_.flush());
  registers_.forget();
  return set_msr(file_.fd(), number, value);
}

// By what was found out about the host before the first vCPU was made.
bool KvmVcpu::offers(Capability capability) const {
  const Facts& facts = system_.facts;
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
  const Lock lock = handover_.lock();
  switch (capability) {
    case Capability::BreakpointExit:
      if (on && !offered) {
        return fail(ErrorCode::NotSupported, "this host's KVM does not intercept int3");
      }
      breakpoint_exit_ = on;
      break;
    case Capability::MonitorTrap:
      if (on && !offered) {
        return fail(ErrorCode::NotSupported, "this host's KVM does not single-step");
      }
      monitor_trap_ = on;
      break;
    case Capability::MaskInterrupts:
      mask_interrupts_ = on;
      break;
  }
  return {};
}

Result<void> KvmVcpu::inject_exception(const x86::Exception& exception) {
  const Lock lock = handover_.lock();
  if (queued_) return fail(ErrorCode::Busy, "an exception is already waiting for delivery");
  queued_ = exception;
  return {};
}

Result<void> KvmVcpu::set_entry_insn_length(std::uint8_t length) {
  if (length < 1 || length > 15) {
    return fail(ErrorCode::BadRequest, "an instruction is 1 to 15 bytes long");
  }
  const Lock lock = handover_.lock();
  entry_length_ = length;
  return {};
}

Result<std::uint8_t> KvmVcpu::entry_insn_length() {
  const Lock lock = handover_.lock();
  return entry_length_;
}

}  // namespace ringside::kvm

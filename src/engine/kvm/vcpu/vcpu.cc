#include "engine/kvm/vcpu/vcpu.h"

#include <utility>

namespace ringside::kvm {

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

KvmVcpu::~KvmVcpu() { parts_.thread.stop(); }

Result<void> KvmVcpu::begin(const x86::CpuState& entry) {
  TRY(start_up_.become(entry));
  TRY(parts_.core.registers.flush());
  start_up_.reset(parts_.handover.lock(), StartUp::Role::Boots);
  return {};
}

void KvmVcpu::start() {
  parts_.thread.start([this] { run_loop_.main(); });
}

void KvmVcpu::resume() {
  if (!parts_.handover.give()) return;
  System& system = parts_.core.system;
  if (system.clock.entered()) system.clock_changed();
  parts_.handover.notify();
}

void KvmVcpu::suspend() {
  if (parts_.handover.ask_back()) kick();
}

Result<void> KvmVcpu::reset(const x86::CpuState& entry) {
  const bool boots = id().value == 0;
  RegisterFile& registers = parts_.core.registers;
  {
    const Handover::Lock lock = parts_.handover.lock();
    const bool kernel_apic = parts_.core.kernel_apic();
    if (kernel_apic) TRY(parts_.kernel_activity.take_messages());
    parts_.entry.drop_access();
    parts_.devices.reset();
    parts_.interrupts.reset();
    parts_.exceptions.reset();
    parts_.passed.forget();
    parts_.pages.reset();
    TRY(power_on_.restore_fpu(parts_.file.fd()));
    TRY(start_up_.become(boots ? entry : x86::reset_state(parts_.core.identity.signature)));
    registers.events() = {};
    registers.changed_nmi();
    TRY(registers.flush());
    TRY(power_on_.restore_rest(parts_.file.fd()));
    if (kernel_apic) {
      TRY(parts_.kernel_activity.set(boots ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED));
    }
    registers.drop();
    start_up_.reset(lock, boots ? StartUp::Role::Boots : StartUp::Role::Waits);
  }
  parts_.handover.notify();
  return {};
}

}  // namespace ringside::kvm

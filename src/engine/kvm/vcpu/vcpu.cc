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
  const auto role = boots ? StartUp::Role::Boots : StartUp::Role::Waits;
  {
    const Handover::Lock lock = parts_.handover.lock();
    TRY(start_up_.power_cycle(
        lock, boots ? entry : x86::reset_state(parts_.core.identity.signature), role));
    start_up_.reset(lock, role);
  }
  parts_.handover.notify();
  return {};
}

}  // namespace ringside::kvm

#include "engine/kvm/entry/kernel_activity.h"

namespace ringside::kvm {

Result<std::uint32_t> KernelActivity::get() const {
  kvm_mp_state state{};
  TRY(control(core_.file.fd(), KVM_GET_MP_STATE, &state, "to tell what a vCPU does"));
  return state.mp_state;
}

Result<void> KernelActivity::set(std::uint32_t state) {
  kvm_mp_state request{};
  request.mp_state = state;
  TRY(control(core_.file.fd(), KVM_SET_MP_STATE, &request, "to say what a vCPU does"));
  return {};
}

Result<void> KernelActivity::take_messages() {
  TRY(get());
  core_.registers.drop();
  return {};
}

void KernelActivity::note() {
  const Activity now = core_.activity;
  if (now == Activity::Dead || now == Activity::WaitingForDevice || now == Activity::Asleep) return;
  (void)core_.registers.flush();
  const auto state = get();
  if (!state) return;
  core_.registers.drop();
  switch (*state) {
    case KVM_MP_STATE_HALTED:
      core_.activity = Activity::Halted;
      break;
    case KVM_MP_STATE_UNINITIALIZED:
    case KVM_MP_STATE_INIT_RECEIVED:
      core_.activity = Activity::WaitingForStartUp;
      passed_.forget();
      break;
    default:
      core_.activity = Activity::Running;
      break;
  }
}

Result<void> KernelActivity::end_halt() {
  if (core_.activity != Activity::Halted) return {};
  if (core_.kernel_apic()) TRY(set(KVM_MP_STATE_RUNNABLE));
  core_.activity = Activity::Running;
  return {};
}

}  // namespace ringside::kvm

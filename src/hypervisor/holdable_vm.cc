#include "hypervisor/holdable_vm.h"

#include <utility>

namespace ringside::hypervisor {

void HoldableVm::call_out(VcpuId id) {
  VcpuState& vcpu = vcpus_[id.value];
  if (!vcpu.resumed || std::exchange(vcpu.called, true)) return;
  vm_.suspend(id);
}

void HoldableVm::hold() {
  if (std::exchange(held_, true)) return;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i)
    call_out({i});
}

void HoldableVm::let_go() {
  if (!std::exchange(held_, false)) return;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (std::exchange(vcpus_[i].waits, false)) resume({i});
  }
}

// One that was sent back to wait for its start-up IPI is out without an event.
bool HoldableVm::all_out() const {
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (!vcpus_[i].resumed) continue;
    const Vcpu& vcpu = vm_.vcpu({i});
    if (vcpu.active() || vcpu.in_guest()) return false;
  }
  return true;
}

void HoldableVm::suspend(VcpuId id) {
  VcpuState& vcpu = vcpus_[id.value];
  if (std::exchange(vcpu.waits, false)) {
    // An INIT may have come for it before the last of the others was out: then it has no event.
    if (vm_.vcpu(id).active()) parked_.push_back({id, exit::Parked{}});
    return;
  }
  vcpu.suspended = true;
  if (!vcpu.called) vm_.suspend(id);
}

void HoldableVm::resume(VcpuId id) {
  VcpuState& vcpu = vcpus_[id.value];
  if (held_) {
    vcpu.waits = true;
    return;
  }
  vcpu = {.resumed = true};
  vm_.resume(id);
}

std::optional<VcpuEvent> HoldableVm::take_event() {
  if (!parked_.empty()) {
    VcpuEvent event = std::move(parked_.front());
    parked_.pop_front();
    return event;
  }
  while (std::optional<VcpuEvent> event = vm_.take_event()) {
    VcpuState& vcpu = vcpus_[event->vcpu.value];
    const bool ours =
        vcpu.called && !vcpu.suspended && std::holds_alternative<exit::Parked>(event->exit);
    vcpu = {};
    if (!ours) return event;
    // It goes on at once if it was let go before it had come out.
    resume(event->vcpu);
  }
  return std::nullopt;
}

}  // namespace ringside::hypervisor

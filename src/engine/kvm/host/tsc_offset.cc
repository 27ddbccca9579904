#include "engine/kvm/host/tsc_offset.h"

#include <linux/kvm.h>

#include "base/log.h"
#include "engine/kvm/host/api.h"

namespace ringside::kvm {
namespace {

kvm_device_attr attribute(std::uint64_t* offset) {
  kvm_device_attr result{};
  result.group = KVM_VCPU_TSC_CTRL;
  result.attr = KVM_VCPU_TSC_OFFSET;
  result.addr = reinterpret_cast<std::uintptr_t>(offset);
  return result;
}

// The guest may have written its counter since the last time, which is a new offset.
Result<void> set_back(const Fd& vcpu, std::uint64_t ticks) {
  return TscOffset::set(vcpu, TRY(TscOffset::get(vcpu)) - ticks);
}

}  // namespace

Result<std::uint64_t> TscOffset::get(const Fd& vcpu) {
  std::uint64_t offset = 0;
  kvm_device_attr request = attribute(&offset);
  TRY(control(vcpu, KVM_GET_DEVICE_ATTR, &request, "to read a time-stamp counter's offset"));
  return offset;
}

Result<void> TscOffset::set(const Fd& vcpu, std::uint64_t offset) {
  kvm_device_attr request = attribute(&offset);
  TRY(control(vcpu, KVM_SET_DEVICE_ATTR, &request, "to set a time-stamp counter's offset"));
  return {};
}

void TscOffset::follow(const Fd& vcpu, std::chrono::nanoseconds stood) {
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(stood);
  if (whole == followed_ || kilohertz_ == 0) return;
  const auto ticks = static_cast<std::uint64_t>((whole - followed_).count()) * kilohertz_;
  followed_ = whole;
  if (const auto done = set_back(vcpu, ticks); !done) log::error("kvm: {}", done.error().text());
}

}  // namespace ringside::kvm

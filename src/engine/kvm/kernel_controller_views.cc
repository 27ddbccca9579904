#include "engine/kvm/kernel_controller_views.h"

#include "base/log.h"

namespace ringside::kvm {
namespace {

template <typename Image>
std::optional<Image> shown(const Result<Image>& image) {
  if (image) return *image;
  log::error("kvm: {}", image.error().text());
  return std::nullopt;
}

}  // namespace

std::optional<hypervisor::LocalApicImage> KernelControllerViews::local_apic(VcpuId vcpu) {
  const EverybodyOut out(system_.gate);
  return shown(vcpus_[vcpu.value]->local_apic().image());
}

std::optional<hypervisor::IoApicImage> KernelControllerViews::io_apic() {
  return shown(system_.controllers->io_apic());
}

std::optional<hypervisor::PicPairImage> KernelControllerViews::pics() {
  return shown(system_.controllers->pics());
}

}  // namespace ringside::kvm

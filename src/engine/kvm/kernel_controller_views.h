// KVM's own interrupt controllers as a debugger is shown them. Owned by the engine; main thread.
#pragma once

#include <memory>
#include <vector>

#include "engine/kvm/entry/system.h"
#include "engine/kvm/vcpu/vcpu.h"
#include "platform/controllers.h"

namespace ringside::kvm {

class KernelControllerViews final : public hypervisor::ControllerViews {
 public:
  using Vcpus = std::vector<std::unique_ptr<KvmVcpu>>;
  // `vcpus` are there before the first look, and outlive it.
  KernelControllerViews(System& system, const Vcpus& vcpus) : system_(system), vcpus_(vcpus) {}

  std::optional<hypervisor::LocalApicImage> local_apic(VcpuId vcpu) override;
  std::optional<hypervisor::IoApicImage> io_apic() override;
  std::optional<hypervisor::PicPairImage> pics() override;

 private:
  System& system_;
  const Vcpus& vcpus_;
};

}  // namespace ringside::kvm

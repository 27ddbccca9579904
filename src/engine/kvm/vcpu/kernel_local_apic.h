// A debugger's look at one vCPU's local APIC, where that is the kernel's. Owned by the vCPU; any
// thread, while there is EverybodyOut.
#pragma once

#include <cstdint>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/handover.h"
#include "engine/kvm/host/local_apic_page.h"

namespace ringside::kvm {

class KernelLocalApic {
 public:
  KernelLocalApic(VcpuCore& core, Handover& handover) : core_(core), handover_(handover) {}

  Result<hypervisor::LocalApicImage> image() const;
  // By the offset in the APIC's page; nothing there in x2APIC mode.
  Result<std::uint32_t> read(std::uint64_t offset) const;
  Result<void> write(std::uint64_t offset, std::uint32_t value);

 private:
  Result<void> find_page() const;
  void send(ApicCommand message);

  VcpuCore& core_;
  Handover& handover_;
};

}  // namespace ringside::kvm

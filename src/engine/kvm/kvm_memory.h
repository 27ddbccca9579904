// The guest's physical memory as a debugger reads and writes it: beside the machine's devices there
// may be KVM's own interrupt controllers. Owned by the engine; main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/kvm/entry/system.h"
#include "engine/kvm/vcpu/vcpu.h"
#include "platform/ram_memory.h"

namespace ringside::kvm {

class KvmMemory final : public hypervisor::RamMemory {
 public:
  using Vcpus = std::vector<std::unique_ptr<KvmVcpu>>;
  // `vcpus` are there before the first access, and outlive it.
  KvmMemory(System& system, const Vcpus& vcpus)
      : RamMemory(system.ram, system.platform), system_(system), vcpus_(vcpus) {}

  Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) override;
  Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) override;

 private:
  bool is_local_apic(Gpa address) const;
  bool is_io_apic(Gpa address) const;

  System& system_;
  const Vcpus& vcpus_;
};

}  // namespace ringside::kvm

// The guest's physical memory as a debugger reads and writes it: RAM, the kernel's interrupt
// controllers where it has them, and the machine's devices. Owned by the engine; main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/kvm/entry/system.h"
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {

class KvmMemory final : public hypervisor::Memory {
 public:
  using Vcpus = std::vector<std::unique_ptr<KvmVcpu>>;
  // `vcpus` are there before the first access, and outlive it.
  KvmMemory(System& system, const Vcpus& vcpus) : system_(system), vcpus_(vcpus) {}

  hypervisor::MemoryKind kind(Gpa address) override;
  std::vector<hypervisor::MemoryRegion> regions() override;
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override;
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override;
  std::span<const std::byte> view(Gpa address, std::uint64_t size) override;
  Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) override;
  Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) override;

 private:
  bool is_local_apic(Gpa address) const;
  bool is_io_apic(Gpa address) const;

  System& system_;
  const Vcpus& vcpus_;
};

}  // namespace ringside::kvm

// Guest-physical memory of the software engine for the debug server.
#pragma once

#include "engine/soft/cpu/system.h"
#include "platform/ram_memory.h"

namespace ringside::soft {

class SoftMemory final : public hypervisor::Memory, public hypervisor::Mmio {
 public:
  explicit SoftMemory(System& system) : system_(system) {}
  hypervisor::MemoryKind kind(Gpa address) override;
  std::vector<hypervisor::MemoryRegion> regions() override {
    return hypervisor::list_regions(system_.ram);
  }
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override;
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override;
  std::span<const std::byte> view(Gpa address, std::uint64_t size) override {
    return system_.ram.view(address, size);
  }
  hypervisor::Mmio* mmio() override { return this; }
  Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) override;
  Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) override;

 private:
  System& system_;
};

}  // namespace ringside::soft

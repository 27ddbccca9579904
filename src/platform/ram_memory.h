// Guest-physical memory as a debugger reaches it, of engines whose memory is a GuestRam and whose
// devices are behind a Platform. An engine derives from it what is its own: somebody to tell of a
// write, devices that it has itself.
//
// As hypervisor::Memory: on the debug server's thread. vCPUs on other threads may use the same
// memory meanwhile (shared_copy.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "platform/guest_ram.h"
#include "platform/platform.h"
#include "ringside/vm.h"

namespace ringside::hypervisor {

class RamMemory : public Memory, public Mmio {
 public:
  // Both outlive it.
  RamMemory(GuestRam& ram, Platform& platform) : ram_(ram), platform_(platform) {}

  MemoryKind kind(Gpa address) override;
  std::vector<MemoryRegion> regions() override;
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override;
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override;
  std::span<const std::byte> view(Gpa address, std::uint64_t size) override {
    return ram_.view(address, size);
  }
  Mmio* mmio() override { return this; }
  Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) override;
  Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) override;

 private:
  // Before and after write_ram has changed something. For engines that keep what it held, or
  // something that was made from it, as decoded code.
  virtual void ram_about_to_change(Gpa /*address*/, std::uint64_t /*size*/) {}
  virtual void ram_written(Gpa /*address*/, std::uint64_t /*size*/) {}

  GuestRam& ram_;
  Platform& platform_;
};

}  // namespace ringside::hypervisor

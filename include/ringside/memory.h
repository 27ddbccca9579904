// Guest-physical memory as a debugger reaches it.
//
// Called on the thread that serves the debugger, while at least the vCPU that it asks for is out of
// the guest; others may run. Nothing here may resume or suspend a vCPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ringside/result.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

enum class MemoryKind : std::uint8_t { Ram, Rom, Mmio, Nothing };

struct MemoryRegion {
  Gpa base;
  std::uint64_t size = 0;
  MemoryKind kind = MemoryKind::Ram;
};

// Registers of devices in guest-physical memory.
class Mmio {
 public:
  virtual ~Mmio() = default;
  // What a device would answer now to a read of 1, 2 or 4 bytes by `vcpu`. A look, not an access:
  // no register is cleared by it, no byte taken, no interrupt raised, so that looking at a device
  // is as harmless as looking at RAM. What a read would have to wait for, or would change, is
  // answered from the device's state. BadAddress where no device claims the address.
  virtual Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) = 0;
  // One device access on behalf of `vcpu`, with everything that a guest's write would do.
  virtual Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width,
                                  std::uint32_t value) = 0;
};

class Memory {
 public:
  virtual ~Memory() = default;
  // RAM and ROM only, within one page; BadAddress elsewhere. Writing ROM is allowed (the debugger
  // owns the machine). Code that is written is executed as it is now, whatever an engine has cached
  // of it.
  virtual Result<void> read_ram(Gpa address, std::span<std::byte> out) = 0;
  virtual Result<void> write_ram(Gpa address, std::span<const std::byte> data) = 0;

  // What is at an address. The default tells RAM, which can be read, from nothing.
  virtual MemoryKind kind(Gpa address);
  // All RAM and ROM, ascending; empty where nobody can list it. Searches are fast with it.
  virtual std::vector<MemoryRegion> regions() { return {}; }
  // RAM or ROM from `address` on, at most `size` bytes of it, where it lies in host memory. Empty:
  // not there, or not to be had in this way. Valid while every vCPU is out of the guest.
  virtual std::span<const std::byte> view(Gpa /*address*/, std::uint64_t /*size*/) { return {}; }
  // Null: a debugger sees no devices.
  virtual Mmio* mmio() { return nullptr; }
};

}  // namespace ringside::hypervisor

// Guest memory as the client sees it: linear addresses through one vCPU's present translation or
// that of another address space, or guest-physical ones, never showing what the breakpoint table
// has put there.
//
// A short-lived view, made per request on the server's thread while every vCPU is out of the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "debug/points/breakpoint_table.h"
#include "hypervisor/guest_memory.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

enum class AddressKind : std::uint8_t { Linear, Physical };
// What an address of the client's means.
struct Addresses {
  AddressKind kind = AddressKind::Linear;
  // Of linear ones: the table of another address space than the vCPU's own (monitor cr3).
  std::optional<std::uint64_t> cr3;
};

class ShadowedMemory {
 public:
  // On a vCPU's own thread `alone` is that vCPU: the others are in the guest.
  ShadowedMemory(hypervisor::Vm& vm, BreakpointTable& breakpoints, VcpuId vcpu, Addresses addresses,
                 std::optional<VcpuId> alone = std::nullopt)
      : vm_(vm), breakpoints_(breakpoints), vcpu_(vcpu), addresses_(addresses), alone_(alone) {}

  // The readable prefix; an error only if the first byte is not readable.
  Result<std::vector<std::byte>> read(std::uint64_t address, std::uint64_t size);
  // All or nothing, as far as RAM goes; a device may refuse in the middle.
  Result<void> write(std::uint64_t address, std::span<const std::byte> data);
  Result<Gpa> translate(std::uint64_t address);

 private:
  hypervisor::Vm& vm_;
  BreakpointTable& breakpoints_;
  VcpuId vcpu_;
  Addresses addresses_;
  std::optional<VcpuId> alone_;
};

}  // namespace ringside::debug

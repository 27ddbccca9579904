// A long range of guest memory, piece by piece and mostly without copying: what a search or a
// checksum goes over.
//
// What is neither RAM nor ROM, because it is not mapped, is a device's or is nothing, is a hole of
// the range. It either ends the range with an error, with devices being read, or is stepped over
// as far as it goes.
//
// Made per request, on the server's thread; used while every vCPU is out of the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "debug/memory/shadowed_memory.h"
#include "debug/points/breakpoint_table.h"
#include "hypervisor/guest_memory.h"
#include "ringside/vm.h"

namespace ringside::debug {

class MemoryRange {
 public:
  enum class Holes : std::uint8_t { Refuse, Skip };

  MemoryRange(hypervisor::Vm& vm, BreakpointTable& breakpoints, VcpuId vcpu, Addresses addresses,
              std::uint64_t address, std::uint64_t length, Holes holes)
      : vm_(vm),
        breakpoints_(breakpoints),
        vcpu_(vcpu),
        addresses_(addresses),
        address_(address),
        left_(length),
        holes_(holes) {}

  // Where the next piece begins.
  std::uint64_t address() const { return address_; }
  bool at_end() const { return left_ == 0; }
  // The next piece, of at most `most` bytes; valid until the next call. At a hole it is empty, with
  // the hole behind it, or the error is BadAddress.
  Result<std::span<const std::byte>> next(std::uint64_t most);

 private:
  Result<hypervisor::Extent> find() const;
  Result<std::uint64_t> hole() const;
  void advance(std::uint64_t size);
  Result<std::span<const std::byte>> copy(std::uint64_t size);

  hypervisor::Vm& vm_;
  BreakpointTable& breakpoints_;
  VcpuId vcpu_;
  Addresses addresses_;
  std::uint64_t address_, left_;
  Holes holes_;
  bool wrapped_ = false;
  std::vector<std::byte> copy_;
};

}  // namespace ringside::debug

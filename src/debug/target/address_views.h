// What an address leads to in the address spaces that the vCPUs are in now, for breakpoints that
// have to follow their address.
//
// A short-lived view, made on the server's thread while every vCPU is out of the guest. It
// remembers one page, because breakpoints are looked at in the order of their addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "debug/points/breakpoint_table.h"
#include "hypervisor/guest_memory.h"
#include "ringside/vm.h"

namespace ringside::debug {

struct AddressView {
  // The memory that it leads to, each byte once.
  std::vector<BreakpointTable::Sight> sights;
  bool everywhere = true;   // it leads to memory in each of the spaces
  bool executable = false;  // and may be executed in one of them
  bool user = false;        // by user code, in one of them
  bool paging = true;
};

class AddressViews {
 public:
  explicit AddressViews(hypervisor::Vm& vm);

  // As all active vCPUs see it, or by the one table that `space` names as CR3 would.
  AddressView at(Gva address, std::optional<std::uint64_t> space);

 private:
  struct Space {
    VcpuId vcpu;                       // whose paging mode it is
    std::optional<std::uint64_t> cr3;  // nothing while paging is off
  };
  void look_at(std::uint64_t page, std::optional<std::uint64_t> space);

  hypervisor::Vm& vm_;
  std::vector<Space> spaces_;
  // The page that was looked at last, and by which of the spaces.
  std::optional<std::uint64_t> page_;
  std::optional<std::uint64_t> bound_;
  std::vector<Space> looked_by_;
  std::vector<std::optional<hypervisor::Extent>> extents_;
};

}  // namespace ringside::debug

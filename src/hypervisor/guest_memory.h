// Guest memory by linear and by physical address, and what linear addresses lead to: algorithms
// over the interface of ringside/vm.h, the same for every engine.
//
// On the thread that may use the Vm, while the vCPU that is named is out of the guest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "ringside/vm.h"
#include "x86/paging.h"

namespace ringside::hypervisor {

// The translation of a linear address by the vCPU's present paging state, as a supervisor's read
// without a fault: no accessed or dirty bit changes. BadAddress where not mapped.
Result<Gpa> translate(Vm& vm, VcpuId vcpu, Gva address);
// The same with another CR3.
Result<Gpa> translate_with_cr3(Vm& vm, VcpuId vcpu, std::uint64_t cr3, Gva address);
// The same, how far it goes on: to the end of the page that maps it, and who may use the page.
struct Extent {
  Gpa gpa;
  std::uint64_t size = 0;
  bool no_execute = false;
  bool user = false;
};
Result<Extent> find_extent(Vm& vm, VcpuId vcpu, Gva address,
                           std::optional<std::uint64_t> cr3 = std::nullopt);
// What a linear address leads to, together with all addresses around it of which one page, or one
// absence, decides.
struct LinearPiece {
  Gva first, last;         // both belong to it
  std::optional<Gpa> gpa;  // of `first`; nothing where it is not mapped
  bool writable = false, executable = false;
};
// A vCPU's translation as it was when this was made, to go over many addresses with. No accessed or
// dirty bit changes.
class LinearMap {
 public:
  static Result<LinearMap> of(Vm& vm, VcpuId vcpu, std::optional<std::uint64_t> cr3 = std::nullopt);
  LinearPiece at(Gva address) const;

 private:
  LinearMap(Memory& memory, const x86::PagingState& state) : memory_(&memory), state_(state) {}
  Memory* memory_;
  x86::PagingState state_;
};
// How many bytes from `address` on are neither RAM nor ROM: 0 if there is one. To the end of its
// page where nobody can list memory.
std::uint64_t distance_to_memory(Memory& memory, Gpa address);
// Guest-virtual memory, page by page, RAM or devices (aligned 1, 2 and 4-byte accesses). Reads give
// the readable prefix, and change nothing, in devices neither; the error is that of the first byte.
Result<std::vector<std::byte>> read_virtual(Vm& vm, VcpuId vcpu, Gva address, std::uint64_t size,
                                            std::optional<std::uint64_t> cr3 = std::nullopt);
Result<void> write_virtual(Vm& vm, VcpuId vcpu, Gva address, std::span<const std::byte> data);
// The same for guest-physical addresses.
Result<std::vector<std::byte>> read_physical(Vm& vm, VcpuId vcpu, Gpa address, std::uint64_t size);
Result<void> write_physical(Vm& vm, VcpuId vcpu, Gpa address, std::span<const std::byte> data);

}  // namespace ringside::hypervisor

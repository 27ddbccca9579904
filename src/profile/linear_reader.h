// Guest RAM by linear address, many small reads close together. Devices are never reached, and
// nothing of the guest changes. A value over a Vm, for one moment of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "hypervisor/guest_memory.h"
#include "ringside/vm.h"

namespace ringside::profile {

class LinearReader {
 public:
  static Result<LinearReader> of(hypervisor::Vm& vm, VcpuId vcpu);

  // All of `out`, or false.
  bool read(Gva address, std::span<std::byte> out);
  // A little-endian number of 4 or 8 bytes.
  std::optional<std::uint64_t> number(Gva address, unsigned size);

 private:
  LinearReader(hypervisor::Memory& memory, hypervisor::LinearMap map)
      : memory_(&memory), map_(map) {}

  hypervisor::Memory* memory_;
  hypervisor::LinearMap map_;
  std::optional<hypervisor::LinearPiece> last_;
};

}  // namespace ringside::profile

// Which memory an instruction reads and writes, from its bytes and the registers before it. Pure.
//
// Not counted: what a page walk, a descriptor load or the delivery of an event touches, and the
// elements of a gather or scatter.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kvm/code/instruction.h"
#include "ringside/types.h"

namespace ringside::kvm {

struct MemoryAccess {
  Gva address;
  std::uint64_t size = 0;
  bool reads = false;
  bool writes = false;
};

// `code` begins at the instruction. One iteration of a repeated one.
std::vector<MemoryAccess> accesses(std::span<const std::uint8_t> code, CodeSize size,
                                   const kvm_regs& general, const kvm_sregs& system);

}  // namespace ringside::kvm

// Whether anything inside the machine can make a vCPU run again that does not run now.
#pragma once

#include <cstdint>

#include "engine/kvm/entry/parts.h"

namespace ringside::kvm {

enum class Hope : std::uint8_t {
  None,    // in the guest, and halted for good
  Absent,  // not started
  Some,
};

// Any thread.
Hope hope(const EntryParts& parts);
// The same, asked of KVM, where the local APIC is the kernel's. Any thread, while there is
// EverybodyOut.
Hope kernel_hope(const EntryParts& parts);

}  // namespace ringside::kvm

// Whether anything inside the machine can make a vCPU run again that does not run now.
#pragma once

#include "engine/kvm/entry/parts.h"
#include "platform/halted_for_good.h"

namespace ringside::kvm {

using Hope = hypervisor::Hope;

// Any thread.
Hope hope(const EntryParts& parts);
// The same, asked of KVM, where the local APIC is the kernel's. Any thread, while there is
// EverybodyOut.
Hope kernel_hope(const EntryParts& parts);

}  // namespace ringside::kvm

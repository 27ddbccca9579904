// A step in HLT, where the local APIC is the kernel's, and a step over it. On the vCPU's thread.
#pragma once

#include "base/result.h"
#include "engine/kvm/entry/parts.h"

namespace ringside::kvm {

// In HLT, with a step to do: waits until there is an interrupt for the vCPU, which is not taken
// yet. False if there is something else to do first.
bool await_interrupt(EntryParts& parts);

// HLT was stepped over: the vCPU is halted. It is no exit where the local APIC is the kernel's, and
// where ring 0 is interpreted the trap comes in place of it.
Result<void> note_halt(EntryParts& parts);

}  // namespace ringside::kvm

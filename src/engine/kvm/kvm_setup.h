// What is arranged with KVM before the first vCPU is made. Main thread.
#pragma once

#include "base/result.h"
#include "engine/kvm/entry/system.h"
#include "engine/kvm/kvm_vm.h"

namespace ringside::kvm {

// Opens KVM, makes a virtual machine and gives it the guest's memory.
Result<void> create_machine(System& system);
// KVM's own interrupt controllers and timer, or what it takes to have the machine's.
Result<void> choose_controllers(System& system, const Options& options);

}  // namespace ringside::kvm

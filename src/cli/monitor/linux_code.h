// What a profile and a trace of calls are told of a Linux in the guest: its functions, its modules
// and its tasks. One for each of them.
#pragma once

#include <memory>

#include "profile/guest_code.h"
#include "ringside/vm.h"

namespace ringside::cli {

// The kernel is looked for now and then, because it may come, or say more of itself, while the
// guest runs. The machine outlives it.
std::unique_ptr<profile::GuestCode> linux_code(hypervisor::Vm& vm);

}  // namespace ringside::cli

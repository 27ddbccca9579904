// What one vCPU looks like, for people, on stderr: said when the guest dies with nobody attached.
#pragma once

#include "ringside/vm.h"

namespace ringside::cli {

void write_vcpu_state(hypervisor::Vm& vm, VcpuId id);

}  // namespace ringside::cli

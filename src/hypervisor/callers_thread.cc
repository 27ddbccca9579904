#include "hypervisor/callers_thread.h"
#include "ringside/vm.h"

namespace ringside::hypervisor {

bool needs_callers_thread(Vm& vm) {
  if (vm.event_fd() >= 0 || vm.ended()) return false;
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    const Vcpu& vcpu = vm.vcpu({i});
    if (vcpu.active() && vcpu.in_guest() && !vcpu.halted()) return true;
  }
  return false;
}

}  // namespace ringside::hypervisor

#include "time/record/checker.h"

#include "base/state_hash.h"

namespace ringside::time {

Check Checker::take() {
  hypervisor::Recordable& recordable = *engine_.recordable();
  Check check;
  for (std::uint32_t i = 0; i < engine_.vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = engine_.vcpu({i});
    StateHasher own;
    recordable.visit_vcpu({i}, own);
    const auto rip = vcpu.read_register(x86::Register::Rip);
    check.vcpus.push_back(
        {vcpu.instructions().value_or(InsnCount{}), rip ? rip->as_u64() : 0, own.value()});
  }
  StateHasher schedule, devices;
  recordable.visit_schedule(schedule);
  machine_.visit_state(devices);
  check.schedule = schedule.value();
  check.devices = devices.value();
  check.memory = memory_.take();
  return check;
}

}  // namespace ringside::time

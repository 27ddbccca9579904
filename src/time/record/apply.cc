#include "time/record/apply.h"

#include <string>

#include "x86/entry_rules.h"
#include "x86/register_table.h"

namespace ringside::time {
namespace {

namespace change = hypervisor::change;

// A debug server lets nobody write a state in which no processor would be entered. A journal that
// somebody has edited may have one.
Result<void> check_state(hypervisor::Vcpu& vcpu, const x86::CpuState& state) {
  if (const auto rule = x86::broken_rule(TRY(vcpu.state()), state))
    return fail(ErrorCode::BadRequest, std::string(*rule));
  return {};
}

struct Apply {
  hypervisor::Engine& engine;
  machine::Machine& machine;
  const std::function<Result<void>()>& restart;

  template <typename Bytes>
  requires requires(machine::Machine& m, const Bytes& b) { m.input(b); }
  Result<void> operator()(const Bytes& input) const {
    machine.input(input);
    return {};
  }
  // The disk has failed by itself: its witness knew before.
  Result<void> operator()(const machine::DiskFailure&) const { return {}; }
  Result<void> operator()(const NonMaskableInterrupt& input) const {
    machine.send_nmi(input.vcpu);
    return {};
  }
  Result<void> operator()(const PowerButton&) const {
    machine.press_power_button();
    return {};
  }
  Result<void> operator()(const MachineReset&) const { return restart(); }
  Result<void> operator()(const hypervisor::Supervision& input) const {
    engine.recordable()->impose(input);
    return {};
  }
  Result<void> operator()(const change::RegisterWrite& input) const {
    hypervisor::Vcpu& vcpu = engine.vcpu(input.vcpu);
    x86::CpuState state = TRY(vcpu.state());
    x86::set_register(state, input.which, input.value);
    TRY(check_state(vcpu, state));
    return vcpu.write_register(input.which, input.value);
  }
  Result<void> operator()(const change::StateWrite& input) const {
    hypervisor::Vcpu& vcpu = engine.vcpu(input.vcpu);
    TRY(check_state(vcpu, input.state));
    return vcpu.set_state(input.state);
  }
  Result<void> operator()(const change::MsrWrite& input) const {
    return engine.vcpu(input.vcpu).write_msr(input.number, input.value);
  }
  Result<void> operator()(const change::MemoryWrite& input) const {
    return engine.memory().write_ram(input.address, input.bytes);
  }
  Result<void> operator()(const change::DeviceWrite& input) const {
    hypervisor::Mmio* const devices = engine.memory().mmio();
    if (devices == nullptr) return fail(ErrorCode::NotSupported, "there are no devices in memory");
    return devices->write_mmio(input.vcpu, input.address, input.width, input.value);
  }
  Result<void> operator()(const change::InjectedException& input) const {
    return engine.vcpu(input.vcpu).inject_exception(input.exception);
  }
  Result<void> operator()(const change::InsnLength& input) const {
    return engine.vcpu(input.vcpu).set_entry_insn_length(input.length);
  }
};

}  // namespace

Result<void> apply(const Input& input, hypervisor::Engine& engine, machine::Machine& machine,
                   const std::function<Result<void>()>& restart) {
  return std::visit(Apply{engine, machine, restart}, input);
}

}  // namespace ringside::time

#include "debug/target/target.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "debug/target/traced_vcpu.h"
#include "hypervisor/guest_memory.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {

using hypervisor::Capability;
using hypervisor::Vcpu;
namespace exit = hypervisor::exit;

namespace {

void expect(const Result<void>& result, const char* what, VcpuId id) {
  if (!result) log::warning("vCPU {}: {}: {}", id.value, what, result.error().text());
}

}  // namespace

Target::Target(hypervisor::Vm& vm, BreakpointMechanism mechanism)
    : vm_(vm),
      control_(vm.vcpu_count()),
      linear_(vm),
      breakpoints_(vm, linear_, mechanism),
      stoppoints_(vm, linear_),
      catches_(vm),
      tracing_(TracedVcpu::registers_size()),
      filter_(vm, breakpoints_, stoppoints_, catches_, spaces_, tracing_),
      vcpus_(vm.vcpu_count()) {}

void Target::begin() {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    if (vm_.vcpu({i}).active()) control_.started({i});
  }
}

void Target::begin_again() {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    vcpus_[i].words.clear();
    control_.reset({i}, is_active(i));
  }
  forget_steps();
  breakpoints_.restore_all();
}

bool Target::take_report() { return std::exchange(report_, false); }

bool Target::is_active(std::uint64_t index) const {
  return index < vm_.vcpu_count() && vm_.vcpu({static_cast<std::uint32_t>(index)}).active();
}

std::optional<VcpuId> Target::first_active() const {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    if (vm_.vcpu({i}).active()) return VcpuId{i};
  }
  return std::nullopt;
}

bool Target::can_step(VcpuId id) const { return vm_.vcpu(id).offers(Capability::MonitorTrap); }

// --- What vCPUs do

void Target::settle() {
  filter_.yield();
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (vcpus_[i].waits_for_room && filter_.has_room()) end_wait({i});
  }
  // A guest that has a breakpoint of its own every few instructions may bring events as fast as
  // they are dealt with; what is left waits for the next call, and the client gets its turn.
  constexpr int kMostEvents = 100;
  events_left_ = false;
  for (int events = 0; events < kMostEvents;) {
    carry_out();
    if (const std::optional<hypervisor::VcpuEvent> event = vm_.take_event()) {
      handle(*event);
      ++events;
    } else if (!notice_vanished()) {
      return;
    }
  }
  carry_out();
  events_left_ = true;
}

void Target::carry_out() {
  for (const Command& command : control_.take_commands())
    execute(command);
}

bool Target::has_work() const {
  if (events_left_) return true;
  const auto waits = [](const VcpuState& vcpu) { return vcpu.waits_for_room; };
  return std::any_of(vcpus_.begin(), vcpus_.end(), waits) && filter_.has_room();
}

// A vCPU that was sent back to wait for its start-up IPI has no event to come; waiting for it to
// park would be for ever.
bool Target::notice_vanished() {
  if (control_.phase() != RunControl::Phase::Stopping && !control_.stops_one()) return false;
  bool noticed = false;
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    const Vcpu& vcpu = vm_.vcpu({i});
    if (control_.in_guest({i}) && !vcpu.active() && !vcpu.in_guest()) {
      control_.vanished({i});
      noticed = true;
    }
  }
  return noticed;
}

Result<Gva> Target::linear_pc(VcpuId id) { return x86::linear_pc(TRY(vm_.vcpu(id).state())); }

Result<x86::RegisterValue> Target::read_pc(VcpuId id, PcView view) {
  if (view == PcView::Offset) return vm_.vcpu(id).read_register(x86::Register::Rip);
  return x86::RegisterValue::from_u64(TRY(linear_pc(id)).value);
}

// An engine steps within RIPs; where they are no linear addresses it traps after every instruction.
void Target::step_range(VcpuId id) {
  const hypervisor::StepRange* range = control_.stepped_range(id);
  if (range == nullptr || filter_.records_steps(id) || traces_within(*range)) return;
  if (pc_view_ == PcView::Linear) {
    const Result<x86::CpuState> state = vm_.vcpu(id).state();
    if (!state || !is_flat(*state)) return;
  }
  (void)vm_.vcpu(id).step_within(range->start, range->end);
}

bool Target::on_breakpoint(VcpuId id) {
  if (!breakpoints_.has_bytes()) return false;
  const Result<Gva> pc = linear_pc(id);
  if (!pc) return false;
  const Result<Gpa> where = hypervisor::translate(vm_, id, *pc);
  // One that is out for a vCPU that passes it is back before anybody else runs.
  return where && (breakpoints_.has_byte(*where) || lifted_ == *where);
}

// --- What run control decides

Result<void> Target::prepare_resume(ResumePlan& plan) {
  if (control_.phase() != RunControl::Phase::Stopped)
    return fail(ErrorCode::Busy, "the guest is running");
  plan.actions.resize(vm_.vcpu_count(), plan.others);
  return prepare_actions(plan.actions);
}

Result<void> Target::prepare_each(std::vector<Action>& actions) {
  for (std::uint32_t i = 0; i < actions.size(); ++i) {
    if (!control_.held({i})) actions[i] = {};
  }
  return prepare_actions(actions);
}

Result<void> Target::prepare_actions(std::vector<Action>& actions) {
  // A single step executes its instruction whatever is set there.
  const auto goes_on = [](const Action& action) {
    return action.kind == Action::Kind::Run || action.kind == Action::Kind::StepRange;
  };
  if (std::any_of(actions.begin(), actions.end(), goes_on)) place_what_is_wanted();
  for (std::uint32_t i = 0; i < actions.size(); ++i) {
    Action& action = actions[i];
    if (action.kind == Action::Kind::Hold || !is_active(i)) continue;
    if (action.steps() && !can_step({i}))
      return fail(ErrorCode::NotSupported, "this host cannot step");
    action.pass_breakpoint =
        control_.passes_breakpoint({i}, action) && can_step({i}) && on_breakpoint({i});
  }
  return {};
}

void Target::place_what_is_wanted() {
  // Of a trace that has ended by itself.
  if (!tracing_.running()) remove_tracepoints();
  follow_addresses();
}

void Target::execute(const Command& command) {
  const VcpuId id = command.vcpu;
  switch (command.kind) {
    case Command::Kind::Suspend:
      if (vcpus_[id.value].waits_for_room) {
        end_wait(id);
      } else {
        vm_.suspend(id);
      }
      break;
    case Command::Kind::Resume:
      prepare_step(id);
      arrive_at_tracepoint(id);
      prepare_traced_step(id);
      step_range(id);
      vm_.resume(id);
      break;
    case Command::Kind::TrapOn:
    case Command::Kind::TrapOff:
      expect(vm_.vcpu(id).set_capability(Capability::MonitorTrap,
                                         command.kind == Command::Kind::TrapOn),
             "the step trap", id);
      vcpus_[id.value].traced_step = false;
      if (command.kind == Command::Kind::TrapOff) prepare_step(id);
      break;
    case Command::Kind::Lift:
      if (const Result<Gva> pc = linear_pc(id)) {
        if (const Result<Gpa> where = hypervisor::translate(vm_, id, *pc)) {
          breakpoints_.lift(*where);
          lifted_ = *where;
        }
      }
      break;
    case Command::Kind::Restore:
      if (lifted_) breakpoints_.restore(*lifted_);
      lifted_.reset();
      break;
    case Command::Kind::Report:
      report_ = true;
      reported_ = id;
      break;
    case Command::Kind::Paused:
      break;  // the server looks at the phase
    case Command::Kind::Undo:
      undo();
      break;
  }
}

// A step must not end in an interrupt handler, so interrupts wait. A halted vCPU is the exception:
// only an interrupt can end its HLT, and the step waits for that.
void Target::prepare_step(VcpuId id) {
  VcpuState& state = vcpus_[id.value];
  const bool mask = mask_in_steps_ && control_.trap_on(id) && !vm_.vcpu(id).halted();
  if (mask == state.masked) return;
  // Engines without it step as well as they can.
  if (vm_.vcpu(id).set_capability(Capability::MaskInterrupts, mask) || !mask) state.masked = mask;
}

void Target::undo() {
  mask_in_steps_ = true;
  show_pc(PcView::Offset);
  vm_.stop_instead_of_death(false);
  spaces_.clear();
  leave_trace();
  breakpoints_.remove_all_but_persistent();
  stoppoints_.remove_all();
  catches_.remove_all();
  if (breakpoints_.empty()) filter_.uninstall();
  noted_.clear();
  expect(set_breakpoint_exits(false), "breakpoint exits", {0});
}

}  // namespace ringside::debug

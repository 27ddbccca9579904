#include "debug/target/target.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "hypervisor/guest_memory.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {

using hypervisor::Capability;
using hypervisor::Vcpu;
namespace exit = hypervisor::exit;

namespace {

StopEvent breakpoint_event(Gpa where) {
  return {StopCause::Breakpoint, where.value, hypervisor::WatchKind::Write};
}

StopEvent linear_event(Gva address) {
  return {StopCause::LinearBreakpoint, address.value, hypervisor::WatchKind::Write};
}

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
      filter_(vm, breakpoints_, stoppoints_, spaces_),
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
  filter_.breathe();
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (vcpus_[i].waits_for_room && filter_.has_room()) end_wait({i});
  }
  const auto carry_out = [this] {
    for (const Command& command : control_.take_commands())
      execute(command);
  };
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

bool Target::has_work() const {
  if (events_left_) return true;
  const auto waits = [](const VcpuState& vcpu) { return vcpu.waits_for_room; };
  return std::any_of(vcpus_.begin(), vcpus_.end(), waits) && filter_.has_room();
}

// A vCPU that was sent back to wait for its start-up IPI has no event to come; waiting for it to
// park would be for ever.
bool Target::notice_vanished() {
  if (control_.phase() != RunControl::Phase::Stopping) return false;
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

void Target::handle(const hypervisor::VcpuEvent& event) {
  const VcpuId id = event.vcpu;
  struct Visitor {
    Target& target;
    VcpuId id;
    void operator()(const exit::Parked&) { target.control_.returned(id); }
    void operator()(const exit::Started&) {
      // Breakpoints set before this vCPU lived are its breakpoints too; and what was switched on
      // in an earlier life of it may be no more.
      const bool exits = target.breakpoints_.has_bytes();
      const Result<void> set =
          target.vm_.vcpu(id).set_capability(Capability::BreakpointExit, exits);
      if (exits) expect(set, "breakpoint exits", id);
      target.control_.started(id);
    }
    void operator()(const exit::Breakpoint& e) { target.handle_breakpoint(id, e); }
    void operator()(const exit::MonitorTrap&) {
      const auto rip = target.read_pc(id, target.pc_view_);
      target.control_.trapped(id, Gva{rip ? rip->as_u64() : 0});
    }
    void operator()(const exit::HardwareBreakpoint& e) { target.handle_stoppoint(id, e); }
    void operator()(const exit::Watchpoint& e) { target.handle_stoppoint(id, e); }
    void operator()(const exit::PhysicalWatchpoint& e) {
      target.vcpus_[id.value].words = target.describe(id, e);
      target.handle_stoppoint(id, e);
    }
    void operator()(const exit::GuestPanic& e) {
      target.vcpus_[id.value].words = fmt::format("vCPU {}: {}", id.value, e.reason);
      target.control_.exited(id, {StopCause::GuestPanic, 0, hypervisor::WatchKind::Write});
    }
    void operator()(const exit::Dead& e) {
      target.vcpus_[id.value].words = fmt::format("vCPU {} cannot go on: {}", id.value, e.reason);
      target.control_.exited(id, {StopCause::Dead, 0, hypervisor::WatchKind::Write});
    }
  };
  std::visit(Visitor{*this, id}, event.exit);
}

void Target::handle_breakpoint(VcpuId id, const exit::Breakpoint& exit) {
  const HitFilter::Int3 int3 = filter_.int3_of(id, exit);
  switch (int3.whose) {
    case HitFilter::Int3::Whose::Ours:
      if (int3.answer == HitFilter::Answer::Stop) {
        stop_for(id, hit_event(int3.address, int3.where));
      } else {
        go_on(id, true);
      }
      return;
    case HitFilter::Int3::Whose::Guests:
      give_to_guest(id, exit.insn_length);
      break;
    case HitFilter::Int3::Whose::Nobodys:
      break;
  }
  control_.returned(id);
}

void Target::stop_for(VcpuId id, const StopEvent& event) {
  vcpus_[id.value].judged_by = filter_.programs_of(event);
  control_.exited(id, event);
}

// A hit that nobody has heard of yet, of a vCPU that stopped at the same time as the one that was
// reported, is judged by the client's new condition. Not by the same one again: what it looks at
// may have changed since the hit.
void Target::inserted(const StopEvent& event) {
  control_.inserted(event);
  const std::vector<AgentProgram> programs = filter_.programs_of(event);
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    const StopEvent* hit = control_.event_of({i});
    if (hit == nullptr || *hit != event || vcpus_[i].judged_by == programs) continue;
    if (!filter_.counts({i}, programs)) control_.doubt({i});
  }
}

// What a hit of a client's breakpoint is known by: the address that the client named; or, through
// an alias, the byte.
StopEvent Target::hit_event(Gva address, Gpa where) {
  return breakpoints_.wish_at(address) != nullptr ? linear_event(address) : breakpoint_event(where);
}

// What a hit of the engine's is to the client. Nothing: it was removed while the exit was on its
// way, and nothing has happened that anybody asked for.
std::optional<StopEvent> Target::event_of(VcpuId id, const hypervisor::Exit& exit) {
  StopEvent event;
  if (const auto* watch = std::get_if<exit::Watchpoint>(&exit)) {
    event = {StopCause::Watchpoint, watch->address.value, watch->kind};
  } else if (const auto* physical = std::get_if<exit::PhysicalWatchpoint>(&exit)) {
    event = {StopCause::PhysicalWatchpoint, physical->address.value, physical->kind};
  } else {
    const Gva address = std::get<exit::HardwareBreakpoint>(exit).address;
    const Result<Gpa> where = hypervisor::translate(vm_, id, address);
    const std::optional<Gpa> byte = where ? std::optional(*where) : std::nullopt;
    bool hit = false;
    breakpoints_.for_each_hit(id, address, byte, [&](const auto&) { hit = true; });
    if (hit) return hit_event(address, byte.value_or(Gpa{}));
    event = {StopCause::HardwareBreakpoint, address.value, {}};
  }
  if (!stoppoints_.has(event)) return std::nullopt;
  return event;
}

std::string Target::describe(VcpuId id, const exit::PhysicalWatchpoint& hit) {
  const std::string who = hit.by_device ? "a device" : fmt::format("vCPU {}", id.value);
  const char* did = hit.kind == hypervisor::WatchKind::Write  ? "wrote to"
                    : hit.kind == hypervisor::WatchKind::Read ? "read from"
                                                              : "used";
  return fmt::format("{} {} the watched physical memory at {:#x}", who, did, hit.address.value);
}

void Target::handle_stoppoint(VcpuId id, const hypervisor::Exit& exit) {
  const std::optional<StopEvent> event = event_of(id, exit);
  if (event && filter_.answer_to(id, exit) == HitFilter::Answer::Stop) {
    stop_for(id, *event);
  } else {
    // The engine does not stop at the breakpoint that it has just left the guest for, but there may
    // be an int3 of ours under it.
    const bool at_breakpoint = std::holds_alternative<exit::HardwareBreakpoint>(exit);
    go_on(id, at_breakpoint && on_breakpoint(id));
  }
}

void Target::go_on(VcpuId id, bool skips) {
  VcpuState& state = vcpus_[id.value];
  state.skips = skips;
  state.waits_for_room = true;
  if (filter_.has_room()) end_wait(id);
}

void Target::end_wait(VcpuId id) {
  VcpuState& state = vcpus_[id.value];
  state.waits_for_room = false;
  if (std::exchange(state.skips, false)) {
    control_.skipped(id);
  } else {
    control_.returned(id);
  }
}

void Target::give_to_guest(VcpuId id, std::uint8_t insn_length) {
  Vcpu& vcpu = vm_.vcpu(id);
  expect(vcpu.set_entry_insn_length(insn_length), "the length of the guest's int3", id);
  const Result<void> injected = vcpu.inject_exception({x86::Vector::Breakpoint, std::nullopt, 0});
  // Busy: it is queued already, and the vCPU has not run since.
  if (!injected && injected.error().code() != ErrorCode::Busy)
    expect(injected, "giving the guest its int3", id);
}

Result<Gva> Target::linear_pc(VcpuId id) { return x86::linear_pc(TRY(vm_.vcpu(id).state())); }

Result<x86::RegisterValue> Target::read_pc(VcpuId id, PcView view) {
  if (view == PcView::Offset) return vm_.vcpu(id).read_register(x86::Register::Rip);
  return x86::RegisterValue::from_u64(TRY(linear_pc(id)).value);
}

// An engine steps within RIPs; where they are no linear addresses it traps after every instruction.
void Target::step_range(VcpuId id) {
  const hypervisor::StepRange* range = control_.stepped_range(id);
  if (range == nullptr) return;
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
  return where && breakpoints_.has_byte(*where);
}

// --- What run control decides

Result<void> Target::prepare_resume(ResumePlan& plan) {
  if (control_.phase() != RunControl::Phase::Stopped)
    return fail(ErrorCode::Busy, "the guest is running");
  plan.actions.resize(vm_.vcpu_count(), plan.others);
  // A single step executes its instruction whatever is set there.
  const auto goes_on = [](const Action& action) {
    return action.kind == Action::Kind::Run || action.kind == Action::Kind::StepRange;
  };
  if (std::any_of(plan.actions.begin(), plan.actions.end(), goes_on)) follow_addresses();
  for (std::uint32_t i = 0; i < plan.actions.size(); ++i) {
    Action& action = plan.actions[i];
    if (action.kind == Action::Kind::Hold || !is_active(i)) continue;
    if (action.steps() && !can_step({i}))
      return fail(ErrorCode::NotSupported, "this host cannot step");
    action.pass_breakpoint =
        control_.passes_breakpoint({i}, action) && can_step({i}) && on_breakpoint({i});
  }
  return {};
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
      step_range(id);
      vm_.resume(id);
      break;
    case Command::Kind::TrapOn:
    case Command::Kind::TrapOff:
      expect(vm_.vcpu(id).set_capability(Capability::MonitorTrap,
                                         command.kind == Command::Kind::TrapOn),
             "the step trap", id);
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
  breakpoints_.remove_all_but_persistent();
  stoppoints_.remove_all();
  if (breakpoints_.empty()) filter_.uninstall();
  noted_.clear();
  expect(set_breakpoint_exits(false), "breakpoint exits", {0});
}

// --- Breakpoints

Result<void> Target::set_breakpoint_exits(bool on) {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    if (is_active(i)) TRY(vm_.vcpu({i}).set_capability(Capability::BreakpointExit, on));
  }
  return {};
}

Result<void> Target::insert_breakpoint(VcpuId via, Gva address, const AgentProgram& program,
                                       Unmapped unmapped) {
  filter_.install();
  const bool exits = !breakpoints_.engine_installs() && !breakpoints_.has_bytes();
  if (exits) {
    const Result<void> on = set_breakpoint_exits(true);
    if (!on) {
      (void)set_breakpoint_exits(false);
      if (on.error().code() != ErrorCode::NotSupported || vm_.breakpoints() == nullptr) return on;
      TRY(place_linear(via, address, program, unmapped));
      inserted(address);
      return {};
    }
  }
  Result<void> placed = place_breakpoint(via, address, program, unmapped);
  if (exits && !breakpoints_.has_bytes()) TRY(set_breakpoint_exits(false));
  if (placed) inserted(address);
  return placed;
}

// A hit of it that the client has not heard of counts again, and by the program that it has now.
void Target::inserted(Gva address) {
  inserted(linear_event(address));
  for (const BreakpointTable::Place& place : breakpoints_.wish_at(address)->places)
    inserted(breakpoint_event(place.sight.where));
}

// Where no int3 can be intercepted. The engine's own refusal tells how many it has left.
Result<void> Target::place_linear(VcpuId via, Gva address, const AgentProgram& program,
                                  Unmapped unmapped) {
  if (unmapped == Unmapped::Refuse) {
    const Gpa where = TRY(hypervisor::translate(vm_, via, address));
    if (vm_.memory().kind(where) == hypervisor::MemoryKind::Nothing)
      return fail(ErrorCode::BadAddress, "a breakpoint needs memory");
  }
  return breakpoints_.insert_linear(address, program);
}

Result<void> Target::place_breakpoint(VcpuId via, Gva address, const AgentProgram& program,
                                      Unmapped unmapped) {
  const Result<BreakpointTable::Sight> sight = sight_of(via, address);
  bool placed = false;
  if (sight) {
    const hypervisor::MemoryKind kind = vm_.memory().kind(sight->where);
    if (unmapped == Unmapped::Refuse || kind != hypervisor::MemoryKind::Nothing) {
      TRY(breakpoints_.insert(address, *sight, program));
      placed = true;
    }
  } else if (unmapped == Unmapped::Refuse) {
    return fail(sight.error());
  }
  // The engine looks out for the address itself. Where it can do so for a few only, and int3s do
  // the rest, those get it whose address leads nowhere, and more when the guest is resumed. Before
  // paging is on what loads the guest's code may yet overwrite an int3.
  const bool few = !breakpoints_.engine_installs();
  const bool paging = sight && sight->space.has_value();
  if (!few || !placed || !paging) {
    const Result<void> linear = few ? breakpoints_.insert_pending(address, program)
                                    : breakpoints_.insert_linear(address, program);
    if (few && linear) (void)breakpoints_.give_spare(address);
    if (!linear && !placed) TRY(breakpoints_.insert_pending(address, program));
  }
  constexpr std::size_t kMostNotes = 1000;
  if (!sight && noted_.size() < kMostNotes && noted_.insert(address).second) {
    filter_.print(fmt::format("The breakpoint at {:#x} waits for its address to be mapped.\n",
                              address.value));
  }
  return {};
}

void Target::remove_breakpoint(Gva address) {
  const bool had_bytes = breakpoints_.has_bytes();
  const BreakpointTable::Removed removed = breakpoints_.remove(address);
  for (const Gpa where : removed.installations)
    control_.removed(breakpoint_event(where));
  if (!still_hit(linear_event(address))) control_.removed(linear_event(address));
  if (had_bytes && !breakpoints_.has_bytes())
    expect(set_breakpoint_exits(false), "breakpoint exits", {0});
}

// Whether another breakpoint, of an alias, concerns a vCPU that has such an event to tell.
bool Target::still_hit(const StopEvent& event) {
  const Gva address{event.address};
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    const StopEvent* pending = control_.event_of({i});
    if (pending == nullptr || *pending != event) continue;
    const Result<Gpa> where = hypervisor::translate(vm_, {i}, address);
    if (!where) continue;
    bool hit = false;
    breakpoints_.for_each_hit({i}, address, *where, [&](const auto&) { hit = true; });
    if (hit) return true;
  }
  return false;
}

Result<void> Target::place_again(VcpuId via, Gva address) {
  const auto wish = breakpoints_.wishes().find(address);
  if (wish == breakpoints_.wishes().end()) return {};
  const AgentProgram program = wish->second.program;
  remove_breakpoint(address);
  return insert_breakpoint(via, address, program, Unmapped::Await);
}

Result<void> Target::insert_stoppoint(const Stoppoint& stoppoint, const AgentProgram& program) {
  filter_.install();
  TRY(stoppoints_.insert(stoppoint, program));
  inserted(stoppoint.key());
  return {};
}

Result<void> Target::remove_stoppoint(const Stoppoint& stoppoint) {
  TRY(stoppoints_.remove(stoppoint));
  control_.removed(stoppoint.key());
  return {};
}

}  // namespace ringside::debug

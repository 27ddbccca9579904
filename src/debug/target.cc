#include "debug/target.h"

#include <utility>

#include "base/log.h"
#include "x86/bits.h"

namespace ringside::debug {

using hypervisor::Capability;
using hypervisor::Vcpu;
namespace exit = hypervisor::exit;

namespace {

constexpr std::byte kInt3{0xcc};

StopEvent breakpoint_event(Gpa where) {
  return {StopCause::Breakpoint, where.value, hypervisor::WatchKind::Write};
}

void expect(const Result<void>& result, const char* what, VcpuId id) {
  if (!result) log::warning("vCPU {}: {}: {}", id.value, what, result.error().text());
}

}  // namespace

Target::Target(hypervisor::Vm& vm)
    : vm_(vm),
      control_(vm.vcpu_count()),
      breakpoints_(vm.memory()),
      stoppoints_(vm),
      vcpus_(vm.vcpu_count()) {}

void Target::begin() {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    if (vm_.vcpu({i}).active()) control_.started({i});
  }
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

bool Target::can_step(VcpuId id) {
  if (!can_step_) {
    Vcpu& vcpu = vm_.vcpu(id);
    can_step_ = vcpu.set_capability(Capability::MonitorTrap, true).has_value();
    if (*can_step_)
      expect(vcpu.set_capability(Capability::MonitorTrap, false), "trying to step", id);
  }
  return *can_step_;
}

// --- What vCPUs do

void Target::settle() {
  for (;;) {
    for (const Command& command : control_.take_commands())
      execute(command);
    if (const std::optional<hypervisor::VcpuEvent> event = vm_.take_event()) {
      handle(*event);
    } else if (!notice_vanished()) {
      return;
    }
  }
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
      const bool exits = !target.breakpoints_.empty();
      const Result<void> set =
          target.vm_.vcpu(id).set_capability(Capability::BreakpointExit, exits);
      if (exits) expect(set, "breakpoint exits", id);
      target.control_.started(id);
    }
    void operator()(const exit::Breakpoint& e) { target.handle_breakpoint(id, e.insn_length); }
    void operator()(const exit::MonitorTrap&) {
      const auto rip = target.vm_.vcpu(id).read_register(x86::Register::Rip);
      target.control_.trapped(id, Gva{rip ? rip->as_u64() : 0});
    }
    void operator()(const exit::HardwareBreakpoint& e) {
      stop({StopCause::HardwareBreakpoint, e.address.value, hypervisor::WatchKind::Write});
    }
    void operator()(const exit::Watchpoint& e) {
      stop({StopCause::Watchpoint, e.address.value, e.kind});
    }
    void operator()(const exit::Dead& e) {
      target.vcpus_[id.value].death = e.reason;
      target.control_.exited(id, {StopCause::Dead, 0, hypervisor::WatchKind::Write});
    }
    void stop(const StopEvent& stop_event) {
      // Removed while the event was on its way: nothing has happened that anybody asked for.
      if (target.stoppoints_.has(stop_event)) {
        target.control_.exited(id, stop_event);
      } else {
        target.control_.returned(id);
      }
    }
  };
  std::visit(Visitor{*this, id}, event.exit);
}

void Target::handle_breakpoint(VcpuId id, std::uint8_t insn_length) {
  // Any prefixes come before the opcode; a byte of ours is the opcode.
  Result<Gpa> where = fail(ErrorCode::BadAddress, {});
  if (const Result<Gva> pc = linear_pc(id))
    where = hypervisor::translate(vm_, id, *pc + (insn_length - 1u));
  if (where && breakpoints_.armed(*where)) {
    breakpoints_.count_hit(*where);
    control_.exited(id, breakpoint_event(*where));
    return;
  }
  // Not ours, or not any more: if the byte has gone with a breakpoint that was removed meanwhile,
  // there is nothing to tell anybody, and the vCPU executes what stands there now.
  std::byte now = kInt3;
  if (where && vm_.memory().read_ram(*where, std::span(&now, 1)) && now != kInt3) {
    control_.returned(id);
    return;
  }
  give_to_guest(id, insn_length);
  control_.returned(id);
}

void Target::give_to_guest(VcpuId id, std::uint8_t insn_length) {
  Vcpu& vcpu = vm_.vcpu(id);
  expect(vcpu.set_entry_insn_length(insn_length), "the length of the guest's int3", id);
  const Result<void> injected = vcpu.inject_exception({x86::Vector::Breakpoint, std::nullopt, 0});
  // Busy: it is queued already, and the vCPU has not run since.
  if (!injected && injected.error().code() != ErrorCode::Busy)
    expect(injected, "giving the guest its int3", id);
}

Result<Gva> Target::linear_pc(VcpuId id) {
  const x86::CpuState state = TRY(vm_.vcpu(id).state());
  const x86::Segment& cs = state.seg(x86::SegmentName::Cs);
  if ((state.efer & x86::efer::LMA) != 0 && cs.long_mode()) return Gva{state.rip};
  // Outside 64-bit mode linear addresses are 32 bits wide (SDM 3A 3.3).
  return Gva{(cs.base + state.rip) & 0xffffffff};
}

bool Target::on_breakpoint(VcpuId id) {
  if (breakpoints_.empty()) return false;
  const Result<Gva> pc = linear_pc(id);
  if (!pc) return false;
  const Result<Gpa> where = hypervisor::translate(vm_, id, *pc);
  return where && breakpoints_.armed(*where);
}

// --- What run control decides

void Target::execute(const Command& command) {
  const VcpuId id = command.vcpu;
  switch (command.kind) {
    case Command::Kind::Suspend:
      vm_.suspend(id);
      break;
    case Command::Kind::Resume:
      prepare_step(id);
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
  vm_.stop_instead_of_death(false);
  breakpoints_.remove_all();
  stoppoints_.remove_all();
  expect(set_breakpoint_exits(false), "breakpoint exits", {0});
}

// --- Breakpoints

Result<void> Target::set_breakpoint_exits(bool on) {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    if (is_active(i)) TRY(vm_.vcpu({i}).set_capability(Capability::BreakpointExit, on));
  }
  return {};
}

Result<void> Target::insert_breakpoint(VcpuId via, Gva address) {
  const Gpa where = TRY(hypervisor::translate(vm_, via, address));
  if (breakpoints_.empty()) {
    const Result<void> exits = set_breakpoint_exits(true);
    if (!exits) {
      (void)set_breakpoint_exits(false);
      return exits;
    }
  }
  const Result<bool> inserted = breakpoints_.insert(address, where);
  if (breakpoints_.empty()) TRY(set_breakpoint_exits(false));
  TRY(inserted);
  control_.inserted(breakpoint_event(where));
  return {};
}

void Target::remove_breakpoint(Gva address) {
  if (breakpoints_.empty()) return;
  for (const Gpa where : breakpoints_.remove(address))
    control_.removed(breakpoint_event(where));
  if (breakpoints_.empty()) expect(set_breakpoint_exits(false), "breakpoint exits", {0});
}

}  // namespace ringside::debug

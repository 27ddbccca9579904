// What vCPUs have done, fed to run control.
#include "debug/target/target.h"

#include <fmt/core.h>

#include <utility>

#include "base/log.h"
#include "debug/target/caught_words.h"
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
      if (target.record_step(id)) return;
      const auto rip = target.read_pc(id, target.pc_view_);
      target.control_.trapped(id, Gva{rip ? rip->as_u64() : 0});
    }
    void operator()(const exit::HardwareBreakpoint& e) { target.handle_stoppoint(id, e); }
    void operator()(const exit::Watchpoint& e) { target.handle_stoppoint(id, e); }
    void operator()(const exit::PhysicalWatchpoint& e) {
      target.vcpus_[id.value].words =
          target.describe(id, e, hypervisor::Journey::Direction::Forward);
      target.handle_stoppoint(id, e);
    }
    void operator()(const exit::Caught& e) {
      target.vcpus_[id.value].words = debug::words_of(id, e);
      target.handle_stoppoint(id, e);
    }
    void operator()(const exit::GuestPanic& e) {
      target.vcpus_[id.value].words =
          fmt::format("vCPU {}: {}", id.value, e.reason != nullptr ? e.reason : "panic");
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
  const BreakpointTable::Wish* const wish = breakpoints_.wish_at(address);
  return wish != nullptr && wish->wanted ? linear_event(address) : breakpoint_event(where);
}

// What a hit of the engine's is to the client. Nothing: it was removed while the exit was on its
// way, and nothing has happened that anybody asked for.
std::optional<StopEvent> Target::event_of(VcpuId id, const hypervisor::Exit& exit) {
  StopEvent event;
  if (const auto* watch = std::get_if<exit::Watchpoint>(&exit)) {
    event = {StopCause::Watchpoint, watch->address.value, watch->kind};
  } else if (const auto* physical = std::get_if<exit::PhysicalWatchpoint>(&exit)) {
    event = {StopCause::PhysicalWatchpoint, physical->address.value, physical->kind};
  } else if (const auto* caught = std::get_if<exit::Caught>(&exit)) {
    if (!catches_.has(*caught)) return std::nullopt;
    return StopEvent{StopCause::Caught, caught->number, {}};
  } else {
    const Gva address = std::get<exit::HardwareBreakpoint>(exit).address;
    const Result<Gpa> where = hypervisor::translate(vm_, id, address);
    const std::optional<Gpa> byte = where ? std::optional(*where) : std::nullopt;
    bool hit = false;
    breakpoints_.for_each_hit(id, address, byte, [&](const auto& wish) { hit |= wish.wanted; });
    if (hit) return hit_event(address, byte.value_or(Gpa{}));
    event = {StopCause::HardwareBreakpoint, address.value, {}};
  }
  if (!stoppoints_.has(event)) return std::nullopt;
  return event;
}

// Backwards it is found before it happens.
std::string Target::describe(VcpuId id, const exit::PhysicalWatchpoint& hit,
                             hypervisor::Journey::Direction direction) {
  const std::string who = hit.by_device ? "a device" : fmt::format("vCPU {}", id.value);
  const bool back = direction == hypervisor::Journey::Direction::Back;
  const char* did =
      hit.kind == hypervisor::WatchKind::Write  ? (back ? "is about to write to" : "wrote to")
      : hit.kind == hypervisor::WatchKind::Read ? (back ? "is about to read from" : "read from")
                                                : (back ? "is about to use" : "used");
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

}  // namespace ringside::debug

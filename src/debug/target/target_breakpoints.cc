// Breakpoints and watchpoints, as a client asks for them.
#include "debug/target/target.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "hypervisor/guest_memory.h"

namespace ringside::debug {

using hypervisor::Capability;

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

// --- Breakpoints

Result<void> Target::set_breakpoint_exits(bool on) {
  for (std::uint32_t i = 0; i < vm_.vcpu_count(); ++i) {
    if (is_active(i)) TRY(vm_.vcpu({i}).set_capability(Capability::BreakpointExit, on));
  }
  return {};
}

Result<void> Target::insert_breakpoint(VcpuId via, Gva address, const AgentProgram& program,
                                       Unmapped unmapped) {
  const BreakpointTable::Wish* const before = breakpoints_.wish_at(address);
  const bool only_traced = before != nullptr && !before->wanted;
  Result<void> armed = arm(via, address, program, unmapped);
  if (armed) {
    inserted(address);
  } else if (only_traced) {
    breakpoints_.stop_wanting(*breakpoints_.wish_at(address));
  }
  return armed;
}

Result<void> Target::arm(VcpuId via, Gva address, const AgentProgram& program, Unmapped unmapped) {
  filter_.install();
  const bool exits = !breakpoints_.engine_installs() && !breakpoints_.has_bytes();
  if (exits) {
    Result<void> on = set_breakpoint_exits(true);
    if (!on) {
      (void)set_breakpoint_exits(false);
      if (on.error().code() != ErrorCode::NotSupported || vm_.breakpoints() == nullptr) return on;
      return place_linear(via, address, program, unmapped);
    }
  }
  Result<void> placed = place_breakpoint(via, address, program, unmapped);
  if (exits && !breakpoints_.has_bytes()) TRY(set_breakpoint_exits(false));
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
  BreakpointTable::Wish* const wish = breakpoints_.wish_at(address);
  if (wish == nullptr || !wish->traced) {
    disarm(address);
    return;
  }
  if (!wish->wanted) return;
  breakpoints_.stop_wanting(*wish);
  const auto wanted = [](const BreakpointTable::Wish* other) { return other->wanted; };
  for (const BreakpointTable::Place& place : wish->places) {
    const auto others = breakpoints_.wishes_at(place.sight.where);
    if (std::none_of(others.begin(), others.end(), wanted))
      control_.removed(breakpoint_event(place.sight.where));
  }
  if (!still_hit(linear_event(address))) control_.removed(linear_event(address));
}

void Target::disarm(Gva address) {
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
    breakpoints_.for_each_hit({i}, address, *where, [&](const auto& wish) { hit |= wish.wanted; });
    if (hit) return true;
  }
  return false;
}

Result<void> Target::place_again(VcpuId via, Gva address) {
  const auto wish = breakpoints_.wishes().find(address);
  if (wish == breakpoints_.wishes().end()) return {};
  const AgentProgram program = wish->second.program;
  const bool wanted = wish->second.wanted, traced = wish->second.traced;
  disarm(address);
  if (wanted) TRY(insert_breakpoint(via, address, program, Unmapped::Await));
  return traced ? place_tracepoint(via, address) : Result<void>();
}

Result<void> Target::insert_stoppoint(const Stoppoint& stoppoint, const AgentProgram& program) {
  filter_.install();
  TRY(stoppoints_.insert(stoppoint, program));
  inserted(stoppoint.key());
  return {};
}

Result<unsigned> Target::insert_catch(const hypervisor::Catch& wanted,
                                      const std::optional<RegisterTest>& condition) {
  filter_.install();
  return catches_.insert(wanted, condition);
}

Result<void> Target::remove_stoppoint(const Stoppoint& stoppoint) {
  TRY(stoppoints_.remove(stoppoint));
  control_.removed(stoppoint.key());
  return {};
}

}  // namespace ringside::debug

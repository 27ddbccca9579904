#include "debug/points/stoppoint_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace ringside::debug {

namespace {

// More than anybody sets; it bounds what a client can have us keep.
constexpr std::size_t kMost = 10'000;

}  // namespace

bool StoppointList::has(const StopEvent& key) const {
  return std::any_of(list_.begin(), list_.end(),
                     [&](const Entry& entry) { return entry.stoppoint.key() == key; });
}

std::vector<StoppointList::Entry>::iterator StoppointList::find(const Stoppoint& stoppoint) {
  return std::find_if(list_.begin(), list_.end(),
                      [&](const Entry& entry) { return entry.stoppoint == stoppoint; });
}

Result<void> StoppointList::apply(const Stoppoint& stoppoint, bool insert) {
  if (stoppoint.cause == StopCause::HardwareBreakpoint)
    return insert ? linear_.add(stoppoint.address) : linear_.drop(stoppoint.address);
  if (stoppoint.cause == StopCause::PhysicalWatchpoint) {
    hypervisor::PhysicalWatchpoints* const engine = vm_.physical_watchpoints();
    if (engine == nullptr)
      return fail(ErrorCode::NotSupported, "this engine does not watch physical memory");
    const Gpa where{stoppoint.address.value};
    return insert ? engine->insert_physical_watchpoint(where, stoppoint.size, stoppoint.kind)
                  : engine->remove_physical_watchpoint(where, stoppoint.size, stoppoint.kind);
  }
  hypervisor::Watchpoints* const engine = vm_.watchpoints();
  if (engine == nullptr) return fail(ErrorCode::NotSupported, "this engine has no watchpoints");
  return insert ? engine->insert_watchpoint(stoppoint.address, stoppoint.size, stoppoint.kind)
                : engine->remove_watchpoint(stoppoint.address, stoppoint.size, stoppoint.kind);
}

Result<void> StoppointList::insert(const Stoppoint& stoppoint, const AgentProgram& program) {
  const auto found = find(stoppoint);
  if (found != list_.end()) {
    TRY(room_.exchange(found->program, program));
    found->program = program;
    return {};
  }
  if (list_.size() >= kMost) {
    return fail(
        ErrorCode::BadRequest,
        fmt::format("there are {} watchpoints and hardware breakpoints already, which is the "
                    "most",
                    kMost));
  }
  TRY(room_.exchange({}, program));
  Result<void> applied = apply(stoppoint, true);
  if (!applied) {
    room_.give_back(program);
    return applied;
  }
  list_.push_back({stoppoint, program, {}});
  const auto past = std::find_if(past_hits_.begin(), past_hits_.end(),
                                 [&](const auto& entry) { return entry.first == stoppoint; });
  if (past != past_hits_.end()) {
    list_.back().hits = std::move(past->second);
    past_hits_.erase(past);
  }
  return {};
}

Result<void> StoppointList::remove(const Stoppoint& stoppoint) {
  const auto found = find(stoppoint);
  if (found == list_.end()) return {};
  TRY(apply(stoppoint, false));
  if (past_hits_.size() < kMost) past_hits_.emplace_back(stoppoint, std::move(found->hits));
  room_.give_back(found->program);
  list_.erase(found);
  return {};
}

void StoppointList::remove_all() {
  for (const Entry& entry : list_) {
    const Result<void> removed = apply(entry.stoppoint, false);
    if (!removed) log::warning("a watchpoint stays behind: {}", removed.error().text());
  }
  list_.clear();
  room_ = {};
  past_hits_.clear();
}

}  // namespace ringside::debug

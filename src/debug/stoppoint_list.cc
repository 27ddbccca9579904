#include "debug/stoppoint_list.h"

#include <algorithm>

#include "base/log.h"

namespace ringside::debug {

bool StoppointList::has(const StopEvent& key) const {
  return std::any_of(list_.begin(), list_.end(),
                     [&](const Stoppoint& stoppoint) { return stoppoint.key() == key; });
}

Result<void> StoppointList::apply(const Stoppoint& stoppoint, bool insert) {
  hypervisor::Stoppoints* engine = vm_.stoppoints();
  if (engine == nullptr)
    return fail(ErrorCode::NotSupported, "this engine has no hardware breakpoints");
  if (stoppoint.cause == StopCause::HardwareBreakpoint) {
    return insert ? engine->insert_breakpoint(stoppoint.address)
                  : engine->remove_breakpoint(stoppoint.address);
  }
  return insert ? engine->insert_watchpoint(stoppoint.address, stoppoint.size, stoppoint.kind)
                : engine->remove_watchpoint(stoppoint.address, stoppoint.size, stoppoint.kind);
}

Result<void> StoppointList::insert(const Stoppoint& stoppoint) {
  if (std::find(list_.begin(), list_.end(), stoppoint) != list_.end()) return {};
  TRY(apply(stoppoint, true));
  list_.push_back(stoppoint);
  return {};
}

Result<void> StoppointList::remove(const Stoppoint& stoppoint) {
  const auto found = std::find(list_.begin(), list_.end(), stoppoint);
  if (found == list_.end()) return {};
  TRY(apply(stoppoint, false));
  list_.erase(found);
  return {};
}

void StoppointList::remove_all() {
  for (const Stoppoint& stoppoint : list_) {
    const Result<void> removed = apply(stoppoint, false);
    if (!removed) log::warning("a watchpoint stays behind: {}", removed.error().text());
  }
  list_.clear();
}

}  // namespace ringside::debug

// Monitor commands that go through the machine's past: when, goto, bookmark, bookmarks, last-write,
// value-at, history, branch.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ringside/options.h"
#include "ringside/vm.h"
#include "time/travels.h"

namespace ringside::cli {

// What the commands reach. All of it outlives the debug server.
struct TimeSubjects {
  hypervisor::Vm& vm;
  time::Travels* travels = nullptr;  // null: there is no past,
  std::string why_not;               // for this reason, in one sentence
  std::function<void()> moved;       // the machine is somewhere else in its run
  std::function<bool()> is_stopped;  // the client has the guest stopped, and knows it
  // Why another future is not to begin in the past; empty: it may.
  std::function<std::string()> why_no_branch;
  std::function<void()> branched;  // it has begun
  // As ServerOptions::why_still.
  std::function<std::optional<std::string>()> why_still;
};

void add_time_commands(debug::ServerOptions& server, const TimeSubjects& subjects);

}  // namespace ringside::cli

// Hardware breakpoints and watchpoints that the client has set: what was asked for, and the way to
// an engine that can realise it. Inserting and removing is idempotent, as for software breakpoints.
// The entries are the master for these; what the engine has is derived from them, of hardware
// breakpoints by way of LinearBreakpoints.
//
// Owned by the server's target; used on its thread.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "debug/agent/agent_program.h"
#include "debug/points/linear_breakpoints.h"
#include "debug/run/run_control.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

struct Stoppoint {
  StopCause cause = StopCause::Watchpoint;  // PhysicalWatchpoint or HardwareBreakpoint
  Gva address;                              // physical where the cause says so
  std::uint64_t size = 1;
  hypervisor::WatchKind kind = hypervisor::WatchKind::Write;
  friend bool operator==(const Stoppoint&, const Stoppoint&) = default;

  // What run control knows its events by.
  StopEvent key() const { return {cause, address.value, kind}; }
};

class StoppointList {
 public:
  StoppointList(hypervisor::Vm& vm, LinearBreakpoints& linear) : vm_(vm), linear_(linear) {}

  struct Entry {
    Stoppoint stoppoint;
    AgentProgram program;
    HitCounts hits;
  };

  // Whether the engine has any of it.
  bool supported() const { return vm_.breakpoints() != nullptr || vm_.watchpoints() != nullptr; }
  bool empty() const { return list_.empty(); }
  std::span<Entry> all() { return list_; }
  // Whether an event with this key is still asked for.
  bool has(const StopEvent& key) const;

  // Again: replaces conditions and commands.
  Result<void> insert(const Stoppoint& stoppoint, const AgentProgram& program = {});
  Result<void> remove(const Stoppoint& stoppoint);
  void remove_all();

 private:
  Result<void> apply(const Stoppoint& stoppoint, bool insert);

  std::vector<Entry>::iterator find(const Stoppoint& stoppoint);

  hypervisor::Vm& vm_;
  LinearBreakpoints& linear_;
  std::vector<Entry> list_;
  ProgramRoom room_;  // that their programs take
  // Of those that were taken out: clients do that at every stop, and put them back.
  std::vector<std::pair<Stoppoint, HitCounts>> past_hits_;
};

}  // namespace ringside::debug

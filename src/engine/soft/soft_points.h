// Breakpoints, watchpoints and catches of the software CPU, as a debugger asks for them: sets on
// the board that every vCPU looks at. Owned by the engine; main thread, while every vCPU is out of
// the guest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/soft/cpu/board.h"
#include "ringside/breakpoints.h"
#include "ringside/catches.h"
#include "ringside/stop_filter.h"
#include "ringside/watchpoints.h"

namespace ringside::soft {

class SoftPoints final : public hypervisor::Breakpoints,
                         public hypervisor::PhysicalBreakpoints,
                         public hypervisor::Watchpoints,
                         public hypervisor::PhysicalWatchpoints,
                         public hypervisor::Catches,
                         public hypervisor::FilteredStops {
 public:
  explicit SoftPoints(Board& board) : board_(board) {}

  void set_filter(hypervisor::StopFilter* filter) override { board_.filter = filter; }
  Result<void> insert_physical_breakpoint(Gpa address) override;
  Result<void> remove_physical_breakpoint(Gpa address) override;
  Result<void> insert_breakpoint(Gva address) override;
  Result<void> remove_breakpoint(Gva address) override;
  Result<void> insert_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override;
  Result<void> remove_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override;
  Result<void> insert_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind kind) override;
  Result<void> remove_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind kind) override;
  bool offers(hypervisor::CatchKind) override { return true; }
  Result<void> insert_catch(const hypervisor::Catch& wanted) override;
  Result<void> remove_catch(const hypervisor::Catch& wanted) override;
  std::string describe_breakpoint(Gva) override;
  std::string describe_watchpoint(Gva, std::uint64_t size, hypervisor::WatchKind) override;

 private:
  Result<void> insert_watch(std::vector<Board::Watch>& watches, const Board::Watch& watch);
  Result<void> remove_watch(std::vector<Board::Watch>& watches, const Board::Watch& watch);
  void catches_changed();
  void checks_changed();
  void breakpoints_changed(Gva address);

  Board& board_;
};

}  // namespace ringside::soft

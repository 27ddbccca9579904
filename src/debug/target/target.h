// The machine under debug: run control's decisions carried out on a Vm, and what its vCPUs do fed
// back to run control. It knows breakpoints, not packets.
//
// Owned by the server; one thread, the one that may use the Vm.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "debug/points/address_spaces.h"
#include "debug/points/breakpoint_table.h"
#include "debug/points/catch_list.h"
#include "debug/points/stoppoint_list.h"
#include "debug/run/run_control.h"
#include "debug/target/hit_filter.h"
#include "debug/target/pc_view.h"
#include "ringside/options.h"
#include "ringside/time_travel.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

class Target {
 public:
  explicit Target(hypervisor::Vm& vm,
                  BreakpointMechanism mechanism = BreakpointMechanism::BestOffered);

  hypervisor::Vm& vm() { return vm_; }
  RunControl& control() { return control_; }
  const RunControl& control() const { return control_; }
  BreakpointTable& breakpoints() { return breakpoints_; }
  StoppointList& stoppoints() { return stoppoints_; }
  CatchList& catches() { return catches_; }
  AddressSpaces& spaces() { return spaces_; }

  // Makes the vCPUs that are alive at power-on known; none runs yet.
  void begin();
  // The machine was reset, with every vCPU out of the guest. Breakpoints stay, also where the guest
  // was loaded anew.
  void begin_again();
  // Carries out run control's commands and takes the Vm's events, until there is neither or there
  // were many.
  void settle();
  // Another settle() would find something to do, though nothing else happens: there were many
  // events, or a vCPU that has waited for room for its text may go on.
  bool has_work() const;
  // Whether a stop report has come due since the last call.
  bool take_report();
  // In non-stop mode: of which vCPU.
  VcpuId reported() const { return reported_; }
  // What the client is to read on its console, while it believes the guest running.
  std::string take_output() { return filter_.take_output(); }

  // The machine is no more.
  bool ended() const { return vm_.ended().has_value(); }
  bool is_active(std::uint64_t index) const;
  std::optional<VcpuId> first_active() const;
  // Whether this host can step. Switches nothing: the trap is run control's.
  bool can_step(VcpuId id) const;

  // What a client's ranges and conditions mean by the instruction pointer, from the next resume on.
  void show_pc(PcView view) { pc_view_ = view, filter_.show_pc(view); }
  Result<x86::RegisterValue> read_pc(VcpuId id, PcView view);
  // Whether steps keep interrupts out, as they do unless a client asks otherwise.
  void mask_interrupts_in_steps(bool mask) { mask_in_steps_ = mask; }

  // Before run control is told to resume by this plan, which says what the client wants: finds out
  // who has to step over a breakpoint first, and has the breakpoints where they are wanted now.
  // Busy while the guest runs; NotSupported where a vCPU cannot do what it is to do.
  Result<void> prepare_resume(ResumePlan& plan);
  // The same in non-stop mode, before run control's resume_each(). Where somebody is to run on, it
  // is called while every vCPU is out of the guest.
  Result<void> prepare_each(std::vector<Action>& actions);

  // --- Journeys through the machine's past, which the machine itself makes (target_travel.cc)
  // Before one, instead of run control's resume(): has the breakpoints where they are wanted, and
  // their hits judged as on such a journey. Busy while the guest runs.
  Result<void> set_out(hypervisor::Journey::Direction direction);
  // By vCPU number: who executes the instruction under a breakpoint that it stands on, because the
  // client knows of that or has this vCPU step.
  std::uint64_t passing(std::optional<VcpuId> stepping);
  // What a hit is to the client. Nothing: it is none.
  std::optional<StopEvent> judge(VcpuId id, const hypervisor::Exit& hit,
                                 hypervisor::Journey::Direction direction);
  // By vCPU number: who has executed nothing on it. Nobody, where the engine does not count.
  std::uint64_t unmoved();
  // The vCPUs are where the journey has ended. Run control is still to be told of what the client
  // will be.
  void come_to();
  // It has not begun: everybody is where it was.
  void stay();
  // For the client's console.
  void print(std::string_view text) { filter_.print(text); }
  // There is room for what commands print.
  bool has_room() const { return filter_.has_room(); }

  // What becomes of a breakpoint at an address that leads to no memory now.
  enum class Unmapped : std::uint8_t {
    Refuse,  // BadAddress
    Await,   // it is pending: armed when the address is mapped
  };
  // Software breakpoints, with the capability that makes them exits. NotSupported where a vCPU does
  // not have it.
  Result<void> insert_breakpoint(VcpuId via, Gva address, const AgentProgram& program,
                                 Unmapped unmapped);
  void remove_breakpoint(Gva address);
  // After its address was bound to another space: a software breakpoint there goes where it leads
  // now.
  Result<void> place_again(VcpuId via, Gva address);
  Result<void> insert_stoppoint(const Stoppoint& stoppoint, const AgentProgram& program);
  Result<void> remove_stoppoint(const Stoppoint& stoppoint);
  // Its number in catches().
  Result<unsigned> insert_catch(const hypervisor::Catch& wanted,
                                const std::optional<RegisterTest>& condition);

  // --- Tracepoints (target_trace.cc). All of them while every vCPU is out of the guest.
  trace::Tracing& tracing() { return tracing_; }
  const trace::Tracing& tracing() const { return tracing_; }
  // They record the instruction pointer in this view.
  Result<void> start_trace(VcpuId via, PcView view);
  void stop_trace();
  // No trace, and nothing defined.
  void clear_trace();
  // The trace is to go on when its client is gone. NotSupported where it would hold vCPUs up.
  Result<void> keep_trace(bool keep);
  bool keeps_trace() const { return keeps_trace_; }
  bool can_keep_trace() const { return breakpoints_.engine_installs(); }

  // What needs one of the engine's few breakpoints by linear address most comes first.
  enum class Need : std::uint8_t {
    Unreachable,  // there is no byte that could be executed
    Changing,     // the address leads elsewhere in other programs, or will
    Stable,       // the kernel's part of all address spaces
    // An int3 can be hit, and where a condition is false the way past it is much shorter.
    None,
  };

  // The linear address of the next instruction.
  Result<Gva> linear_pc(VcpuId id);
  // What there is to say of a vCPU's last stop beyond its cause: why it is dead, who wrote.
  const std::string& words_of(VcpuId id) const { return vcpus_[id.value].words; }

 private:
  struct VcpuState {
    bool masked = false;  // MaskInterrupts is on
    // Out of the guest at a breakpoint that is no stop, until the client takes what was printed.
    bool waits_for_room = false;
    bool skips = false;  // and then it has to get past an int3
    std::string words;
    std::vector<AgentProgram> judged_by;  // its last hit
    std::optional<InsnCount> left_at;     // where a journey began: instructions it had retired
    bool traced_step = false;             // MonitorTrap is on for a tracepoint's sake alone
    bool may_hit = false;                 // runs into what stands here before it is stepped again
  };

  void execute(const Command& command);
  void carry_out();
  // Before anybody runs on, while every vCPU is out of the guest: breakpoints are where they are
  // wanted now, and what is of no use any more is gone.
  void place_what_is_wanted();
  // Looks where the addresses of breakpoints lead by now, for engines that do not look out for the
  // addresses themselves, and gives what breakpoints by linear address the engine can spare to
  // those that need it most.
  void follow_addresses();
  // Whether the next instruction is hidden under an int3 of ours.
  bool on_breakpoint(VcpuId id);
  void prepare_step(VcpuId id);
  void step_range(VcpuId id);
  void handle(const hypervisor::VcpuEvent& event);
  void handle_breakpoint(VcpuId id, const hypervisor::exit::Breakpoint& exit);
  void stop_for(VcpuId id, const StopEvent& event);
  void inserted(const StopEvent& event);
  void handle_stoppoint(VcpuId id, const hypervisor::Exit& exit);
  std::string describe(VcpuId id, const hypervisor::exit::PhysicalWatchpoint& hit,
                       hypervisor::Journey::Direction direction);
  std::optional<StopEvent> event_of(VcpuId id, const hypervisor::Exit& exit);
  void go_on(VcpuId id, bool skips);
  void end_wait(VcpuId id);
  Result<void> prepare_actions(std::vector<Action>& actions);
  Result<void> arm(VcpuId via, Gva address, const AgentProgram& program, Unmapped unmapped);
  void disarm(Gva address);
  Result<void> place_tracepoint(VcpuId via, Gva address);
  void remove_tracepoints();
  void leave_trace();
  void prepare_traced_step(VcpuId id);
  void arrive_at_tracepoint(VcpuId id);
  bool traces_within(const hypervisor::StepRange& range) const;
  bool record_step(VcpuId id);
  void forget_steps();
  bool stands_at_point(VcpuId id);
  Result<void> place_breakpoint(VcpuId via, Gva address, const AgentProgram& program,
                                Unmapped unmapped);
  Result<void> place_linear(VcpuId via, Gva address, const AgentProgram& program,
                            Unmapped unmapped);
  Result<BreakpointTable::Sight> sight_of(VcpuId via, Gva address);
  StopEvent hit_event(Gva address, Gpa where);
  bool still_hit(const StopEvent& event);
  void inserted(Gva address);
  void share_spares(std::vector<std::pair<Need, Gva>> needs, std::size_t spare);
  void give_to_guest(VcpuId id, std::uint8_t insn_length);
  bool notice_vanished();
  Result<void> set_breakpoint_exits(bool on);
  void undo();

  hypervisor::Vm& vm_;
  RunControl control_;
  LinearBreakpoints linear_;
  BreakpointTable breakpoints_;
  StoppointList stoppoints_;
  CatchList catches_;
  AddressSpaces spaces_;
  trace::Tracing tracing_;
  HitFilter filter_;
  // Addresses of pending breakpoints that the client was told of. No breakpoints themselves: a note
  // outlives its wish, which clients take out and put back at every stop.
  std::set<Gva> noted_;
  std::vector<VcpuState> vcpus_;
  // Between run control's Lift and Restore: which of the table's installations it was.
  std::optional<Gpa> lifted_;
  bool mask_in_steps_ = true;
  bool events_left_ = false;  // the last settle() left some
  PcView pc_view_ = PcView::Offset;
  std::set<Gva> traced_;  // where tracepoints are placed
  bool keeps_trace_ = false;
  bool report_ = false;
  VcpuId reported_{0};
};

}  // namespace ringside::debug

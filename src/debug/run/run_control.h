// Run control: which vCPU may be in the guest, whose event is told to the client, and when.
//
// A pure state machine. It has no thread, socket, clock or Vm: the server feeds it what happened
// and executes the commands it answers with, in order.
//
// All-stop: a stop is reported once every vCPU is out of the guest, and at most one stop is
// reported per resume. When several vCPUs have an
// event in the same stop, the first to arrive is reported; the others keep theirs pending and are
// reported one per following resume, unless their breakpoint has been removed by then: such an
// event is discarded and the vCPU executes what now stands there. Likewise a step that is done is
// discarded at the next resume, which says anew what every vCPU is to do. A breakpoint is reported
// once per arrival: who resumes from one that was reported executes the instruction under it.
//
// Non-stop (GDB manual, "Remote Non-Stop"): a vCPU with an event is held and the others run on. The
// client is notified of the oldest stop that it has not heard of, and hears of the next ones as it
// acknowledges. Every event is reported, also one whose breakpoint has been removed since: the
// client knows by itself what it has removed. A vCPU that has to execute the instruction under a
// breakpoint does that alone, here too; the others come out for that moment, which nobody is told.
//
// Owned by the server; one thread. The value is copyable so that a test can explore every
// interleaving.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hypervisor/step_range.h"
#include "ringside/exit.h"
#include "ringside/types.h"

namespace ringside::debug {

enum class StopCause : std::uint8_t {
  Breakpoint,        // the client's Z0, through an alias: by the guest-physical address
  LinearBreakpoint,  // the client's Z0, by its linear address
  HardwareBreakpoint,
  Watchpoint,
  PhysicalWatchpoint,
  Caught,  // what is caught by `monitor catch`
  Step,
  GuestPanic,
  Dead,
  HistoryBegin,  // a journey has come to where the past begins
  HistoryEnd,    // or to where a recorded run ends
  Asked,         // non-stop: the client wanted this vCPU stopped
  Interrupted,   // non-stop: the client wanted some vCPU stopped, as by Ctrl-C
};

// Something that happened on a vCPU and that the client has to hear of.
struct StopEvent {
  StopCause cause = StopCause::Step;
  // Breakpoint, PhysicalWatchpoint: the guest-physical address. The other breakpoints and
  // Watchpoint: the linear address that the client named. Caught: the number of the vector,
  // register or port. Otherwise zero.
  std::uint64_t address = 0;
  hypervisor::WatchKind watch = hypervisor::WatchKind::Write;
  friend bool operator==(const StopEvent&, const StopEvent&) = default;
};

// What one vCPU does between a resume and the next stop.
struct Action {
  enum class Kind : std::uint8_t { Hold, Run, Step, StepRange };
  Kind kind = Kind::Hold;
  // Of StepRange: it goes on while the instruction pointer is in it.
  hypervisor::StepRange range;
  // The vCPU stands on an installed breakpoint and has to execute the instruction under it: it is
  // stepped with the breakpoint lifted, while every other vCPU is out of the guest.
  bool pass_breakpoint = false;
  bool steps() const { return kind == Kind::Step || kind == Kind::StepRange; }
  friend bool operator==(const Action&, const Action&) = default;
};

struct ResumePlan {
  std::vector<Action> actions;  // by vCPU number; those beyond the end take `others`
  Action others;                // also for vCPUs that start meanwhile
};

struct Command {
  enum class Kind : std::uint8_t {
    Suspend,
    Resume,
    TrapOn,  // monitor trap; the vCPU is out of the guest
    TrapOff,
    Lift,     // take out the breakpoint that the vCPU stands on; every vCPU is out of the guest
    Restore,  // put back what Lift took out
    Report,   // tell the client: all-stop, of stopped_vcpu(); non-stop, notify it of this vCPU
    Paused,   // a transparent pause is complete: serve, then call unpause()
    Undo,     // no client any more: remove breakpoints and capabilities; every vCPU is out
  };
  Kind kind;
  VcpuId vcpu;
  friend bool operator==(const Command&, const Command&) = default;
};

class RunControl {
 public:
  enum class Phase : std::uint8_t {
    Running,   // vCPUs are in the guest as planned; in non-stop mode it may be none
    Stopping,  // some are still on their way out
    Stopped,   // all are out, and the client knows or need not be told; never in non-stop mode
    Paused,    // all are out for a moment, and the client believes the guest running
  };

  enum class Mode : std::uint8_t { AllStop, NonStop };

  // Nothing runs until release() or a client's resume().
  explicit RunControl(unsigned vcpu_count);

  // --- What vCPUs do
  // Came alive, and is out of the guest before its first instruction.
  void started(VcpuId id);
  // Went back to waiting for a start-up IPI; it has no event to come.
  void vanished(VcpuId id);
  // Is as at power-on, or at another moment of its run, with every vCPU out of the guest: what it
  // had still to tell is void.
  void reset(VcpuId id, bool active);
  // Left the guest with nothing to tell: parked, or an exit that the server has dealt with.
  void returned(VcpuId id);
  // Left the guest at a breakpoint in memory that does not count now (its condition is false). It
  // executes the instruction under it as a step over it does, and goes on.
  void skipped(VcpuId id);
  // Executed one instruction under the monitor trap and is now at `pc`.
  void trapped(VcpuId id, Gva pc);
  // Left the guest with an event.
  void exited(VcpuId id, const StopEvent& event);

  // --- What the client does
  void attach();
  // False, and no effect, unless phase() is Stopped.
  bool resume(const ResumePlan& plan);
  // The client resumes, but the machine goes on a journey through its past
  // (ringside/time_travel.h): nobody is let into the guest, and nobody is held where it is. Ends
  // with arrived(), or with resume() where the machine runs on. False, and no effect, unless
  // phase() is Stopped.
  bool set_out();
  // The journey is over, and this is what the client is told of it: an event of a vCPU, or nothing,
  // as after an interrupt. A vCPU that is elsewhere now has been reset() before.
  void arrived(std::optional<VcpuId> id, const StopEvent& event);
  void interrupt();
  // Nothing more happens, because a recorded run is over: the client that waits is told of it.
  void come_to_end();
  // The one teardown, for whichever way a client goes.
  void detach();
  // The same teardown for a client that keeps the machine: nothing runs.
  void renew();
  // Lets everything run without a client (a start without waiting for one).
  void release();
  // A breakpoint or watchpoint is no longer there, or is there again.
  void removed(const StopEvent& key) { mark(key, true); }
  void inserted(const StopEvent& key) { mark(key, false); }
  // It is there with another condition, which does not hold for this vCPU's event.
  void doubt(VcpuId id);
  // The client moved this vCPU's instruction pointer: what it stood on is history.
  void moved(VcpuId id);

  // --- Non-stop
  // To NonStop from Stopped: of a machine that ran until attach() stopped it one vCPU is held, or
  // those that have something to tell, and otherwise every vCPU. To AllStop from NonStop with every
  // vCPU out of the guest, after pause(): Stopped. False, and no effect, where this is the mode
  // already, or at another moment.
  bool set_mode(Mode mode);
  Mode mode() const { return mode_; }
  // What each vCPU does from now on, by its number; Hold says nothing. Without effect on a vCPU
  // that is not held, and on one whose stop the client has not acknowledged.
  void resume_each(const std::vector<Action>& actions);
  // A vCPU that is not held stops, and the client is told of `cause`, Asked or Interrupted: or of
  // what happens to it before that.
  void stop(VcpuId id, StopCause cause);
  // What the client was notified of is acknowledged. The next vCPU to tell of, if any.
  std::optional<VcpuId> acknowledge_report();
  bool has_unacknowledged() const { return !reports_.empty(); }
  // Every vCPU that is held is to be told of anew; the first of them.
  std::optional<VcpuId> report_again();
  // The same, as if all of them had stopped just now: a Report follows.
  void report_anew();
  // The client has this vCPU stopped, whether it has heard of it or not.
  bool held(VcpuId id) const { return vcpus_[id.value].action.kind == Action::Kind::Hold; }
  // One vCPU is on its way out by itself.
  bool stops_one() const;

  // Brings everything out for a moment, unseen by the client. Command Paused tells when; the server
  // then calls unpause().
  void pause();
  void unpause();

  // --- What the server asks
  Phase phase() const { return phase_; }
  // Nobody runs, or will before the client says so.
  bool stopped() const;
  bool attached() const { return attached_; }
  // A journey is under way.
  bool travelling() const { return travelling_; }
  // A client waits for a stop report; in non-stop mode: somebody runs whose stop would be one.
  bool awaits_report() const { return mode_ == Mode::NonStop ? !stopped() : report_due_; }
  // The stop that was reported last, or would be: the vCPU, or nothing for an interrupt or attach.
  std::optional<VcpuId> stopped_vcpu() const { return stopped_vcpu_; }
  const StopEvent* event_of(VcpuId id) const;
  bool in_guest(VcpuId id) const { return vcpus_[id.value].in_guest; }
  bool trap_on(VcpuId id) const { return vcpus_[id.value].trap; }
  // The breakpoint that this vCPU stands on, if any, has been told to the client or did not count:
  // its next instruction is what is under it.
  bool has_told(VcpuId id) const { return vcpus_[id.value].told; }
  // Whether this vCPU, resumed to do `action`, executes the instruction under a breakpoint that it
  // stands on (Action::pass_breakpoint) or hits it. A step executes the instruction under whatever
  // is inserted. Who runs on from a breakpoint that was told does not want to hear of it again; one
  // that was not is told now.
  bool passes_breakpoint(VcpuId id, const Action& action) const {
    return action.steps() || has_told(id);
  }
  // The range that this vCPU, about to enter the guest, is to be stepped through; null if it is to
  // execute one instruction or to run.
  const hypervisor::StepRange* stepped_range(VcpuId id) const;
  // The commands since the last call, in the order in which they must be executed.
  std::vector<Command> take_commands();

 private:
  friend class RunControlState;  // the exhaustive test's view of everything below

  struct Vcpu {
    bool active = false;
    bool in_guest = false;
    bool suspending = false;  // asked to leave
    bool trap = false;
    bool lifted = false;  // its breakpoint is out while it is in the guest
    bool stale = false;   // what `pending` tells of has been removed, or does not count any more
    bool told = false;    // see has_told()
    std::optional<StopEvent> pending;
    std::optional<StopCause> asked;  // non-stop: why it is to stop by itself
    Action action;
  };

  bool may_run(std::uint32_t index) const;
  void emit(Command::Kind kind, std::uint32_t index);
  void mark(const StopEvent& key, bool stale);
  void acknowledge();
  void arrive(std::uint32_t index);
  void launch(std::uint32_t index);
  void launch_all();
  void stop_all();
  void settle();
  void conclude();
  void elect();
  void undo();
  void report_end_of_run();
  std::optional<VcpuId> why_stopped() const;
  void ask_out(std::uint32_t index);
  void hold(std::uint32_t index, const StopEvent& event);
  bool hold_if_asked(std::uint32_t index);
  void forget_report(std::uint32_t index);

  std::vector<Vcpu> vcpus_;
  std::vector<Command> commands_;
  Action others_;
  Mode mode_ = Mode::AllStop;
  // Non-stop: vCPUs whose stop the client has not acknowledged, the eldest first. It has been
  // notified of that one, and of no other.
  std::vector<std::uint32_t> reports_;
  Phase phase_ = Phase::Stopped;
  bool attached_ = false;
  bool ran_ = false;          // until attach(), and the client has not resumed it since
  bool leaving_ = false;      // a client is gone and its traces are not yet undone
  bool report_due_ = false;   // a resume has not been answered yet
  bool interrupted_ = false;  // the client asked for the stop
  bool pausing_ = false;
  bool travelling_ = false;
  std::optional<VcpuId> stopped_vcpu_;
  std::optional<std::uint32_t> passing_;  // the vCPU alone in the guest, over a breakpoint
};

}  // namespace ringside::debug

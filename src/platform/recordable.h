// An optional ability of an engine: its run can be recorded and repeated. Such an engine is
// deterministic: what its CPUs have done follows from where they began, from the number of
// instructions retired, and from what came from outside and how far the run was then.
//
// One thread, the one that calls Engine::run_slice, and between two slices.
#pragma once

#include <compare>
#include <functional>
#include <optional>

#include "base/result.h"
#include "base/state_visitor.h"
#include "platform/change.h"
#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::hypervisor {

// How far a run is. One that is repeated comes by the same values, each in the same state of CPUs,
// devices and memory, unless virtual time has passed while all vCPUs slept.
struct Progress {
  InsnCount instructions;  // retired by all vCPUs together
  // What has happened since the last one without retiring anything: events of the machine that were
  // due, interrupts and traps delivered, iterations of a string instruction that is not over, waits
  // for a device begun.
  std::uint64_t parts = 0;
  friend auto operator<=>(const Progress&, const Progress&) = default;
};

// What a debugger does to a run without changing a register or a byte. While a vCPU is kept from
// running, the others execute in an order in which they never would by themselves.
struct Supervision {
  std::uint64_t held = 0;    // vCPUs that have started and are kept out of the guest, by number
  std::uint64_t masked = 0;  // vCPUs in the guest that take no interrupts
  bool survives = false;     // a triple fault, a panic and a halt for good do not end the machine
  friend bool operator==(const Supervision&, const Supervision&) = default;
};

class Recordable {
 public:
  virtual ~Recordable() = default;
  virtual Progress progress() const = 0;
  InsnCount total_instructions() const { return progress().instructions; }
  // run_slice goes exactly this far (a replayed input is due, or a test wants the state there).
  // Nothing: no such limit.
  virtual void stop_at(std::optional<Progress> limit) = 0;
  void stop_at(InsnCount total) { stop_at(Progress{total}); }
  // Everything of the engine and its CPUs that the future of the run depends on, but neither RAM
  // nor the machine's devices, whose owners visit them.
  virtual void visit_processors(StateVisitor& visitor) = 0;
  // The parts of that: what is each vCPU's, and what is none's, as time and whose turn it is.
  virtual void visit_schedule(StateVisitor& visitor) = 0;
  virtual void visit_vcpu(VcpuId vcpu, StateVisitor& visitor) = 0;
  // visit_processors has loaded a state that another process has saved, where the run was this far;
  // RAM is as it was then. False: no machine like this one can be in that state, and nothing may be
  // done with it any more.
  virtual bool set_progress(const Progress& progress) = 0;

  // For who records. Each change is told once it has succeeded; null: nobody listens.
  virtual void tell_changes(std::function<void(const Change&)> listener) = 0;
  // As it is now, from what the debugger has asked for. Not what was imposed.
  virtual Supervision supervision() const = 0;

  // For who repeats. From now on a run in which any vCPU is in the guest is the recorded one: every
  // vCPU gets on that the imposed supervision lets run, and takes the interrupts that it took then,
  // in the guest or not. Only those that are in the guest have events.
  virtual void follow_recording() = 0;
  // Beside what a debugger of the present run asks for; a vCPU that is held seems
  // to it to be in the guest and does not get on.
  virtual void impose(const Supervision& supervision) = 0;
  // Engine::reset for a machine that was reset in the recorded run: vCPUs may be in the guest, and
  // those that wait for their start-up IPI then are out of it without an event.
  virtual void reset_under_way(const x86::CpuState& entry) = 0;
};

}  // namespace ringside::hypervisor

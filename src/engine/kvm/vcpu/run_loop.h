// What a vCPU's thread does: it waits until the vCPU is given to it, has it in the guest until
// something is worth an event, posts that and waits again. Owned by the vCPU; its thread's.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/entry/parts.h"
#include "engine/kvm/step/range_steps.h"
#include "engine/kvm/vcpu/start_up.h"

namespace ringside::kvm {

class RunLoop {
 public:
  RunLoop(EntryParts& parts, RangeSteps& range_steps, StartUp& start_up)
      : parts_(parts), core_(parts.core), range_steps_(range_steps), start_up_(start_up) {}

  // The whole life of the thread.
  void main();

 private:
  // False: the thread is to end.
  bool await_guest();
  // Until an event; nothing once the machine has ended.
  std::optional<Exit> run();
  void leave(Exit why);

  // From what the debugger left to what the guest needs.
  Result<void> prepare();
  // What other threads ask for; nothing else is done before.
  enum class Asked : std::uint8_t { Nothing, Park, End };
  Asked take_requests();
  std::optional<Exit> park();
  // Whether there is something to execute. Otherwise it sleeps until there may be.
  bool runs_or_sleeps();
  bool can_run() const;
  void sleep();

  // One entry into the guest, or one step.
  std::optional<Exit> enter();
  std::optional<Exit> run_freely();
  std::optional<Exit> retry_port();
  // What has come of it: an event, if it is one for the debugger.
  std::optional<Exit> settle(std::optional<Exit> why);
  std::optional<Exit> settle_step();

  EntryParts& parts_;
  VcpuCore& core_;
  RangeSteps& range_steps_;
  StartUp& start_up_;
  bool passing_ = false;  // a breakpoint, whose instruction is to be stepped
  bool aside_ = false;    // the last entry was a step that is none of the debugger's
};

}  // namespace ringside::kvm

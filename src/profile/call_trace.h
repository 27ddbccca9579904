// Every call of a function with its beginning and its end in virtual time, as the JSON text that
// Perfetto and Chrome read (their "Trace Event Format"): one complete event for each call, in a
// process for each vCPU and a thread for each stack.
//
// A return belongs to the call whose return address was at the same place of the same stack. What
// lies deeper on that stack has been left too, as by longjmp, and ends with it. Calls that begin
// before the trace are not in it; those that have not ended end with it.
//
// Owned by who has started it; on the thread that runs the guest.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "platform/engine.h"
#include "profile/guest_code.h"
#include "profile/output.h"

namespace ringside::profile {

class CallTrace final : public hypervisor::FlowListener {
 public:
  // A browser holds about as much.
  static constexpr std::uint64_t kMostBytes = 128u << 20;
  // Of a stack: what is called deeper than that is left out.
  static constexpr std::size_t kMostDepth = 1024;
  static constexpr std::size_t kMostStacks = 8192;

  // Begins at once. Everything outlives it; the engine is observable. `ended`: as Profiler's.
  CallTrace(hypervisor::Engine& engine, GuestCode& code, Output output,
            std::function<void(Result<std::string>)> ended);
  ~CallTrace() override;
  CallTrace(const CallTrace&) = delete;
  CallTrace& operator=(const CallTrace&) = delete;

  void flow(const hypervisor::FlowEvent& event) override;
  // Ends all calls, and the text. Nothing comes afterwards.
  Result<void> finish();

  std::uint64_t calls() const { return calls_; }
  std::uint64_t bytes() const { return output_.bytes(); }

 private:
  struct Frame {
    std::uint64_t place = 0;  // of the return address on the stack
    Gva return_to, function;
    int vector = -1;  // not negative: an interrupt or exception
    VcpuId vcpu;
    VirtualTime since;
  };
  struct Stack {
    unsigned number = 0;
    std::vector<Frame> frames;
  };

  Stack* stack_of(const hypervisor::FlowEvent& event, std::uint64_t pointer, unsigned cpl);
  void enter(const hypervisor::FlowEvent& event);
  void leave(const hypervisor::FlowEvent& event);
  void pop_to(Stack& stack, std::uint64_t place, VirtualTime now);
  void write(const Frame& frame, unsigned stack, VirtualTime until);
  void write_line(std::string line);
  void end(Result<std::string> why);
  std::string name_of(const Frame& frame);

  hypervisor::Engine& engine_;
  GuestCode& code_;
  Output output_;
  std::function<void(Result<std::string>)> ended_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Stack> stacks_;
  std::uint64_t calls_ = 0;
  InsnCount last_;
  VirtualTime now_;
  bool over_ = false;
  bool is_first_line_ = true;
  Result<void> written_;
};

}  // namespace ringside::profile

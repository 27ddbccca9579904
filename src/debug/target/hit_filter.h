// Decides, where a breakpoint or watchpoint is hit, whether that is a stop: evaluates conditions,
// runs commands, counts. An engine that asks (hypervisor::FilteredStops) never leaves the guest for
// a false condition; for others the target asks at the exit.
//
// It keeps no breakpoint: whether an address has one it looks up in the table and in the list at
// each hit. Between a question that was answered with false and the calls of uncover() and
// cover() that follow it, each vCPU's Cover says at which of our int3s it stands.
//
// Owned by the server's target. An engine may ask on a vCPU's thread, several at a time; that is
// what the lock is for. Wishes and programs change only while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "debug/points/address_spaces.h"
#include "debug/points/breakpoint_table.h"
#include "debug/points/catch_list.h"
#include "debug/points/stoppoint_list.h"
#include "debug/target/pc_view.h"
#include "debug/trace/tracing.h"
#include "ringside/vm.h"

namespace ringside::debug {

class HitFilter final : public hypervisor::StopFilter {
 public:
  HitFilter(hypervisor::Vm& vm, BreakpointTable& breakpoints, StoppointList& stoppoints,
            CatchList& catches, const AddressSpaces& spaces, trace::Tracing& tracing)
      : vm_(vm),
        breakpoints_(breakpoints),
        stoppoints_(stoppoints),
        catches_(catches),
        spaces_(spaces),
        tracing_(tracing),
        answers_(vm.vcpu_count()),
        int3s_(vm.vcpu_count()),
        covers_(vm.vcpu_count()),
        traced_at_(vm.vcpu_count()) {}

  // What a hit does beside being judged.
  enum class Mode : std::uint8_t {
    Live,
    // The same on a journey through the past (ringside/time_travel.h), whose engine knows only Stop
    // and GoOn, and asks has_news() where it can stop for a while.
    Onwards,
    Backwards,  // it was counted, and its commands have printed, when it was the present
  };
  void set_mode(Mode mode) { mode_ = mode; }

  enum class Answer : std::uint8_t {
    GoOn,
    Stop,
    // Goes on, but the main loop has to run first: there is text to send, or a lot of work was
    // done since it ran.
    Yield,
  };

  // For the engine: anything but GoOn leaves the guest, and answer_to() says why.
  bool wants_stop(VcpuId vcpu, const hypervisor::Exit& exit) override;
  bool has_news() override;
  void uncover(VcpuId vcpu) override;
  void cover(VcpuId vcpu) override;
  // For the target, at an exit: what the engine was told, or the answer now if it does not ask.
  Answer answer_to(VcpuId vcpu, const hypervisor::Exit& exit);
  // The same for an int3, which may be none of ours.
  struct Int3 {
    enum class Whose : std::uint8_t {
      Ours,
      Guests,
      Nobodys,  // it has gone meanwhile
    };
    Whose whose = Whose::Guests;
    Gva address;
    Gpa where;
    Answer answer = Answer::Stop;  // to one of ours
  };
  Int3 int3_of(VcpuId vcpu, const hypervisor::exit::Breakpoint& exit);

  // The programs of all that such an event tells of.
  std::vector<AgentProgram> programs_of(const StopEvent& event);
  // Whether by these programs this vCPU's hit is a stop, now that it is out of the guest.
  bool counts(VcpuId vcpu, std::span<const AgentProgram> programs);

  // The engine asks, so that what it stops for has been judged.
  bool installed() const { return installed_; }
  // Before the engine gets its first breakpoint, and after its last one went.
  void install();
  void uninstall();
  ~HitFilter() { uninstall(); }

  void show_pc(PcView view) { pc_view_ = view; }

  // What tracepoints record as the instruction pointer, and mean by it.
  void show_traced_pc(PcView view) { trace_view_ = view; }
  // The next instructions of this vCPU are to be recorded: it is not let run past one, and
  // record_step() comes after each, while it is out of the guest.
  bool records_steps(VcpuId vcpu) const;
  void record_step(VcpuId vcpu);
  // It is about to execute one instruction under a step, which passes what stands there: a
  // tracepoint is hit all the same, once for each arrival.
  void arrive_for_step(VcpuId vcpu, Gva address);
  // It has executed something since its last hit.
  void got_on(VcpuId vcpu);

  // What commands have printed, and others have to say to the client while its guest runs.
  std::string take_output();
  void print(std::string_view text);
  bool has_room() const;
  // The main loop runs.
  void yield();

 private:
  void ask(VcpuId vcpu, Gva address, const AgentProgram& program, HitCounts& hits, bool& stop);
  bool holds(VcpuId vcpu, const AgentProgram& program);
  Answer evaluate_exit(VcpuId vcpu, const hypervisor::Exit& exit);
  void ask_breakpoints(VcpuId vcpu, Gva address, const std::optional<Gpa>& where, bool& stop);
  void trace(VcpuId vcpu, Gva address);
  Answer conclude(VcpuId vcpu, bool stop) const;
  Int3 judge(VcpuId vcpu, const hypervisor::exit::Breakpoint& exit);

  hypervisor::Vm& vm_;
  BreakpointTable& breakpoints_;
  StoppointList& stoppoints_;
  CatchList& catches_;
  const AddressSpaces& spaces_;
  trace::Tracing& tracing_;
  mutable std::mutex mutex_;
  std::vector<Answer> answers_;             // by vCPU: what the engine was told last
  std::vector<std::optional<Int3>> int3s_;  // likewise, of an int3; until the target asks
  // By vCPU: where its last hit was at an int3 of ours, and whether uncover() has taken that away.
  struct Cover {
    std::optional<Gpa> where;
    bool lifted = false;
  };
  std::vector<Cover> covers_;
  // By vCPU: where tracepoints were hit last, until it executes what stands there.
  std::vector<std::optional<Gva>> traced_at_;
  PcView pc_view_ = PcView::Offset;
  PcView trace_view_ = PcView::Offset;
  Mode mode_ = Mode::Live;
  bool installed_ = false;
  std::string output_;
  std::uint64_t work_ = 0;  // steps of bytecode since the main loop ran
};

}  // namespace ringside::debug

// Tracepoints: what is defined, the trace that runs, and what it has recorded. A hit evaluates the
// condition, takes the actions and goes on; nobody stops.
//
// Pure: a vCPU's registers and memory come through Guest. Bounded: definitions in number and bytes,
// a frame and the ring in bytes, an expression in steps. No input makes it grow beyond that.
//
// Owned by the debug server's target, without a lock of its own. It is defined and read while every
// vCPU is out of the guest; hits and steps come through HitFilter, which asks on a vCPU's thread
// and has the lock for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "debug/trace/trace_buffer.h"
#include "debug/trace/trace_frame.h"
#include "debug/trace/tracepoint.h"
#include "ringside/types.h"

namespace ringside::debug::trace {

// The vCPU that has come to a tracepoint.
class Guest {
 public:
  virtual ~Guest() = default;
  // By GDB's register number.
  virtual Result<std::uint64_t> read_register(unsigned number) = 0;
  virtual Result<void> read_memory(Gva address, std::span<std::byte> out) = 0;
  // All of them, as `g` has them for a client that knows the description.
  virtual Result<void> read_registers(std::span<std::byte> out) = 0;
  virtual void print(std::string_view text) = 0;
};

class Tracing {
 public:
  static constexpr std::size_t kUsualSize = std::size_t{5} << 20;
  static constexpr std::size_t kLargestSize = std::size_t{256} << 20;
  static constexpr std::size_t kMostTracepoints = 1000;
  static constexpr std::size_t kMostVariables = 1000;
  static constexpr std::size_t kMostActions = 1000;  // of one tracepoint
  static constexpr std::size_t kMostRanges = 1000;
  static constexpr std::size_t kMostBytes = std::size_t{4} << 20;
  static constexpr std::uint64_t kMostSteps = 100'000;  // of while-stepping

  // `registers`: the bytes of a block of them.
  explicit Tracing(std::size_t registers) : registers_(registers), buffer_(kUsualSize) {}

  // --- What the client defines. Refused while a trace runs, but for enable() and notes.
  // Everything is as at the start, but for the size of the buffer.
  void clear();
  Result<void> define(Tracepoint tracepoint);
  Result<void> add_actions(std::uint64_t number, Gva address, bool while_stepping,
                           std::vector<Action> actions);
  Result<void> add_source(std::uint64_t number, Gva address, Source source);
  Result<void> define_variable(Variable variable);
  Result<void> enable(std::uint64_t number, Gva address, bool enabled);
  Result<void> set_ring(bool drops_oldest);
  Result<void> set_size(std::optional<std::uint64_t> bytes);
  struct Notes {
    std::string user, notes, stop;
  };
  Result<void> set_notes(Notes notes);
  // Where frames need not have the memory: [start, end) is read from the machine as it is.
  struct Range {
    Gva start, end;
  };
  Result<void> set_read_only(std::vector<Range> ranges);
  bool is_read_only(Gva address, std::uint64_t length) const;

  // --- The trace
  Result<void> start();
  void stop();
  bool running() const { return running_; }

  struct Status {
    enum class Why : std::uint8_t { NeverRan, Stopped, Full, PassCount, Error };
    Why why = Why::NeverRan;
    std::uint64_t tracepoint = 0;  // PassCount, Error
    std::string text;              // Stopped: the client's note; Error: what was wrong
  };
  const Status& status() const { return status_; }
  const Notes& notes() const { return notes_; }
  bool drops_oldest() const { return when_full_ == TraceBuffer::WhenFull::DropOldest; }

  // --- What vCPUs do
  // Comes to an address. Adds to `work` what it took, in steps of an expression.
  void hit(VcpuId vcpu, Gva address, Guest& guest, std::uint64_t& work);
  // Its next instructions are to be recorded: it executes them one at a time.
  bool steps(VcpuId vcpu) const;
  // Has executed one of them.
  void stepped(VcpuId vcpu, Guest& guest, std::uint64_t& work);
  // Is elsewhere than its last step has led it: a reset, a journey.
  void forget_steps();

  // --- What there is
  const std::vector<Tracepoint>& tracepoints() const { return tracepoints_; }
  const Tracepoint* find(std::uint64_t number, Gva address) const;
  const std::map<std::uint64_t, Variable>& variables() const { return variables_; }
  const TraceBuffer& buffer() const { return buffer_; }
  std::size_t registers() const { return registers_; }
  FrameReader reader(const Frame& frame) const { return {frame.blocks, registers_}; }
  Result<std::int64_t> read_variable(std::uint64_t number) const;
  Result<void> write_variable(std::uint64_t number, std::int64_t value);

 private:
  class Collector;
  struct Stepping {
    Tracepoint* tracepoint;
    std::uint64_t left;
  };

  Result<void> may_define() const;
  Result<Tracepoint*> existing(std::uint64_t number, Gva address);
  Result<void> charge(std::size_t bytes);
  bool holds(const Tracepoint& tracepoint, Guest& guest, std::uint64_t& work);
  void collect(Tracepoint& tracepoint, std::span<const Action> actions, Guest& guest,
               std::uint64_t& work);
  Result<void> take(const Action& action, Collector& collector, std::uint64_t& work);
  void collect_memory(Guest& guest, Gva address, std::uint64_t size);
  void check_pass(const Tracepoint& tracepoint);
  void end(Status::Why why, std::uint64_t tracepoint, std::string text = {});

  const std::size_t registers_;
  TraceBuffer buffer_;
  TraceBuffer::WhenFull when_full_ = TraceBuffer::WhenFull::Refuse;
  std::vector<Tracepoint> tracepoints_;
  std::multimap<Gva, Tracepoint*> by_address_;  // while a trace runs
  std::map<std::uint64_t, Variable> variables_;
  std::size_t bytes_ = 0;  // of definitions
  Notes notes_;
  std::vector<Range> read_only_;
  Status status_;
  bool running_ = false;
  FrameWriter writer_;
  std::vector<std::vector<Stepping>> stepping_;  // by vCPU; may be short
};

}  // namespace ringside::debug::trace

#include "debug/target/hit_filter.h"

#include <algorithm>
#include <utility>

#include "debug/memory/shadowed_memory.h"
#include "debug/target/traced_vcpu.h"
#include "debug/target/vcpu_context.h"
#include "hypervisor/guest_memory.h"

namespace ringside::debug {
namespace {

namespace exit = hypervisor::exit;

// How much text waits for the main loop before vCPUs wait too, and what one hit may add beyond.
constexpr std::size_t kOutputBound = 4 << 10;
constexpr std::size_t kOutputLimit = 256 << 10;
// Some milliseconds of evaluation.
constexpr std::uint64_t kWorkBound = 1'000'000;

class PrintingContext final : public VcpuContext {
 public:
  PrintingContext(hypervisor::Vm& vm, BreakpointTable& breakpoints, trace::Tracing& tracing,
                  VcpuId vcpu, PcView view, std::string& out)
      : VcpuContext(vm, breakpoints, vcpu, view), tracing_(tracing), out_(out) {}
  void print(std::string_view text) override {
    out_.append(text.substr(0, kOutputLimit - std::min(kOutputLimit, out_.size())));
  }
  // Those of tracepoints are everybody's.
  Result<std::int64_t> read_variable(unsigned number) override {
    return tracing_.read_variable(number);
  }
  Result<void> write_variable(unsigned number, std::int64_t value) override {
    return tracing_.write_variable(number, value);
  }

 private:
  trace::Tracing& tracing_;
  std::string& out_;
};

}  // namespace

void HitFilter::install() {
  hypervisor::FilteredStops* const engine = vm_.filtered_stops();
  if (installed_ || engine == nullptr) return;
  engine->set_filter(this);
  installed_ = true;
}

void HitFilter::uninstall() {
  if (std::exchange(installed_, false)) vm_.filtered_stops()->set_filter(nullptr);
  output_.clear();
  work_ = 0;
  mode_ = Mode::Live;
  int3s_.assign(int3s_.size(), std::nullopt);
  covers_.assign(covers_.size(), Cover{});
  traced_at_.assign(traced_at_.size(), std::nullopt);
}

bool HitFilter::wants_stop(VcpuId vcpu, const hypervisor::Exit& exit) {
  const std::lock_guard lock(mutex_);
  if (const auto* int3 = std::get_if<exit::Breakpoint>(&exit)) {
    const Int3& found = int3s_[vcpu.value].emplace(judge(vcpu, *int3));
    covers_[vcpu.value].where.reset();
    if (found.whose == Int3::Whose::Ours) {
      covers_[vcpu.value].where = found.where;
      if (found.answer == Answer::GoOn) traced_at_[vcpu.value].reset();
      return found.answer != Answer::GoOn;
    }
    return found.whose == Int3::Whose::Guests;
  }
  answers_[vcpu.value] = evaluate_exit(vcpu, exit);
  if (answers_[vcpu.value] == Answer::GoOn) traced_at_[vcpu.value].reset();
  return answers_[vcpu.value] != Answer::GoOn;
}

void HitFilter::uncover(VcpuId vcpu) {
  const std::lock_guard lock(mutex_);
  Cover& cover = covers_[vcpu.value];
  if (!cover.where || !breakpoints_.has_byte(*cover.where, vcpu)) return;
  breakpoints_.lift(*cover.where, vcpu);
  cover.lifted = true;
}

void HitFilter::cover(VcpuId vcpu) {
  const std::lock_guard lock(mutex_);
  Cover& cover = covers_[vcpu.value];
  if (std::exchange(cover.lifted, false)) breakpoints_.restore(*cover.where);
}

HitFilter::Answer HitFilter::answer_to(VcpuId vcpu, const hypervisor::Exit& exit) {
  const std::lock_guard lock(mutex_);
  return installed_ ? answers_[vcpu.value] : evaluate_exit(vcpu, exit);
}

HitFilter::Int3 HitFilter::int3_of(VcpuId vcpu, const exit::Breakpoint& exit) {
  const std::lock_guard lock(mutex_);
  if (std::optional<Int3> told = std::exchange(int3s_[vcpu.value], std::nullopt)) return *told;
  return judge(vcpu, exit);
}

HitFilter::Int3 HitFilter::judge(VcpuId vcpu, const exit::Breakpoint& exit) {
  Int3 result;
  std::optional<Gva> pc = exit.rip;
  if (!pc) {
    if (const Result<x86::CpuState> state = vm_.vcpu(vcpu).state()) pc = x86::linear_pc(*state);
  }
  if (!pc) return result;
  // Any prefixes come before the opcode; a byte of ours is the opcode.
  const Result<Gpa> where = hypervisor::translate(vm_, vcpu, *pc + (exit.insn_length - 1u));
  if (!where) return result;
  result.address = *pc + (exit.insn_length - 1u);
  result.where = *where;
  if (!breakpoints_.has_byte(*where, vcpu)) {
    // If the byte has gone with a breakpoint that was removed meanwhile, there is nothing to tell
    // anybody, and the vCPU executes what stands there now.
    constexpr std::byte kInt3{0xcc};
    std::byte now = kInt3;
    if (vm_.memory().read_ram(*where, std::span(&now, 1)) && now != kInt3)
      result.whose = Int3::Whose::Nobodys;
    return result;
  }
  result.whose = Int3::Whose::Ours;
  bool stop = false;
  ask_breakpoints(vcpu, result.address, *where, stop);
  result.answer = conclude(vcpu, stop);
  return result;
}

void HitFilter::ask_breakpoints(VcpuId vcpu, Gva address, const std::optional<Gpa>& where,
                                bool& stop) {
  traced_at_[vcpu.value] = address;
  breakpoints_.for_each_hit(vcpu, address, where, [&](BreakpointTable::Wish& wish) {
    if (wish.traced) trace(vcpu, wish.address);
    if (wish.wanted) ask(vcpu, wish.address, wish.program, wish.hits, stop);
  });
}

// Recorded is the present alone: a journey shows again what has happened.
void HitFilter::trace(VcpuId vcpu, Gva address) {
  if (mode_ != Mode::Live || !spaces_.counts(vm_, vcpu, address)) return;
  PrintingContext context(vm_, breakpoints_, tracing_, vcpu, trace_view_, output_);
  TracedVcpu guest(vm_, vcpu, trace_view_, context);
  tracing_.hit(vcpu, address, guest, work_);
}

void HitFilter::arrive_for_step(VcpuId vcpu, Gva address) {
  const std::lock_guard lock(mutex_);
  if (traced_at_[vcpu.value] == address) return;
  traced_at_[vcpu.value] = address;
  const Result<Gpa> where = hypervisor::translate(vm_, vcpu, address);
  const auto byte = where ? std::optional(*where) : std::nullopt;
  breakpoints_.for_each_hit(vcpu, address, byte, [&](const BreakpointTable::Wish& wish) {
    if (wish.traced) trace(vcpu, wish.address);
  });
}

void HitFilter::got_on(VcpuId vcpu) {
  const std::lock_guard lock(mutex_);
  traced_at_[vcpu.value].reset();
}

void HitFilter::record_step(VcpuId vcpu) {
  const std::lock_guard lock(mutex_);
  PrintingContext context(vm_, breakpoints_, tracing_, vcpu, trace_view_, output_);
  TracedVcpu guest(vm_, vcpu, trace_view_, context);
  tracing_.stepped(vcpu, guest, work_);
}

bool HitFilter::records_steps(VcpuId vcpu) const {
  const std::lock_guard lock(mutex_);
  return tracing_.steps(vcpu);
}

HitFilter::Answer HitFilter::evaluate_exit(VcpuId vcpu, const hypervisor::Exit& exit) {
  bool stop = false;
  const auto ask_stoppoints = [&](const StopEvent& key) {
    for (StoppointList::Entry& entry : stoppoints_.all()) {
      if (entry.stoppoint.key() == key)
        ask(vcpu, entry.stoppoint.address, entry.program, entry.hits, stop);
    }
  };
  if (const auto* hit = std::get_if<exit::HardwareBreakpoint>(&exit)) {
    std::optional<Gpa> byte = hit->where;
    if (!byte && breakpoints_.installations() > 0) {
      if (const Result<Gpa> where = hypervisor::translate(vm_, vcpu, hit->address)) byte = *where;
    }
    // By its linear address, before the int3 that may be there as well: one arrival.
    const bool covered = byte && breakpoints_.has_bytes() && breakpoints_.has_byte(*byte, vcpu);
    covers_[vcpu.value].where = covered ? byte : std::nullopt;
    ask_breakpoints(vcpu, hit->address, byte, stop);
    if (!stoppoints_.empty())
      ask_stoppoints({StopCause::HardwareBreakpoint, hit->address.value, {}});
  } else if (const auto* watch = std::get_if<exit::Watchpoint>(&exit)) {
    ask_stoppoints({StopCause::Watchpoint, watch->address.value, watch->kind});
  } else if (const auto* physical = std::get_if<exit::PhysicalWatchpoint>(&exit)) {
    ask_stoppoints({StopCause::PhysicalWatchpoint, physical->address.value, physical->kind});
  } else if (const auto* caught = std::get_if<exit::Caught>(&exit)) {
    stop = catches_.hit(vcpu, *caught);
  } else {
    stop = true;
  }
  return conclude(vcpu, stop);
}

HitFilter::Answer HitFilter::conclude(VcpuId vcpu, bool stop) const {
  if (stop) return Answer::Stop;
  if (mode_ != Mode::Live) return Answer::GoOn;
  if (tracing_.steps(vcpu)) return Answer::Yield;
  return work_ >= kWorkBound || output_.size() >= kOutputBound ? Answer::Yield : Answer::GoOn;
}

std::vector<AgentProgram> HitFilter::programs_of(const StopEvent& event) {
  const std::lock_guard lock(mutex_);
  std::vector<AgentProgram> result;
  if (event.cause == StopCause::Breakpoint) {
    for (const BreakpointTable::Wish* wish : breakpoints_.wishes_at({event.address})) {
      if (wish->wanted) result.push_back(wish->program);
    }
  } else if (event.cause == StopCause::LinearBreakpoint) {
    const BreakpointTable::Wish* wish = breakpoints_.wish_at({event.address});
    if (wish != nullptr && wish->wanted) result.push_back(wish->program);
  } else {
    for (const StoppointList::Entry& entry : stoppoints_.all()) {
      if (entry.stoppoint.key() == event) result.push_back(entry.program);
    }
  }
  return result;
}

bool HitFilter::counts(VcpuId vcpu, std::span<const AgentProgram> programs) {
  const std::lock_guard lock(mutex_);
  return std::any_of(programs.begin(), programs.end(), [&](const AgentProgram& program) {
    return program.commands.empty() && holds(vcpu, program);
  });
}

void HitFilter::ask(VcpuId vcpu, Gva address, const AgentProgram& program, HitCounts& hits,
                    bool& stop) {
  if (!spaces_.counts(vm_, vcpu, address)) return;
  const bool counts = mode_ != Mode::Backwards;
  if (counts) hits.reach(vcpu);
  if (!holds(vcpu, program)) return;
  if (counts) ++hits.counted;
  if (program.commands.empty()) {
    stop = true;
    return;
  }
  if (mode_ == Mode::Backwards) return;
  PrintingContext context(vm_, breakpoints_, tracing_, vcpu, pc_view_, output_);
  for (const Bytecode& command : program.commands) {
    const Result<std::uint64_t> done = evaluate(command, context, {}, &work_);
    if (!done) context.print("A breakpoint's command failed: " + done.error().text() + "\n");
  }
}

bool HitFilter::holds(VcpuId vcpu, const AgentProgram& program) {
  if (program.conditions.empty()) return true;
  PrintingContext context(vm_, breakpoints_, tracing_, vcpu, pc_view_, output_);
  return std::any_of(program.conditions.begin(), program.conditions.end(),
                     [&](const Bytecode& condition) {
                       const auto value = evaluate(condition, context, {}, &work_);
                       return !value || *value != 0;
                     });
}

std::string HitFilter::take_output() {
  const std::lock_guard lock(mutex_);
  return std::exchange(output_, {});
}

void HitFilter::print(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (output_.size() < kOutputLimit) output_ += text;
}

bool HitFilter::has_news() {
  const std::lock_guard lock(mutex_);
  return !output_.empty() || work_ >= kWorkBound;
}

bool HitFilter::has_room() const {
  const std::lock_guard lock(mutex_);
  return output_.size() < kOutputBound;
}

void HitFilter::yield() {
  const std::lock_guard lock(mutex_);
  work_ = 0;
}

}  // namespace ringside::debug

#include "profile/profiler.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace ringside::profile {
namespace {

// A line for each function. What nothing is known of has the name that perf gives it; a '?' behind
// the module marks a guess.
std::string line_of(const ChainFrame& frame, bool is_programs, GuestCode& code) {
  const bool is_caller = frame.by != ChainFrame::By::Rip;
  const std::string_view mark = frame.by == ChainFrame::By::Guess ? "?" : "";
  // A call may be a function's last instruction.
  const auto place = code.place_of(is_caller ? frame.address - 1 : frame.address);
  if (!place) {
    return fmt::format("\t{:16x} [unknown] ([{}]{})\n", frame.address.value,
                       is_programs ? "program" : "guest", mark);
  }
  return fmt::format("\t{:16x} {}+{:#x} ([{}]{})\n", frame.address.value, place->name,
                     frame.address.value - place->start.value, place->module, mark);
}

}  // namespace

Profiler::Profiler(hypervisor::Engine& engine, GuestCode& code, std::uint64_t every, Output output,
                   std::function<void(Result<std::string>)> ended)
    : engine_(engine),
      code_(code),
      every_(every),
      output_(std::move(output)),
      ended_(std::move(ended)) {
  engine_.observable()->sample_every(every_, this);
}

Profiler::~Profiler() { engine_.observable()->sample_every(1, nullptr); }

std::string Profiler::text_of(VcpuId vcpu, InsnCount total, const x86::CpuState& state) {
  code_.look(total);
  const unsigned cpl = state.seg(x86::SegmentName::Ss).dpl();
  const auto task = code_.task_of(vcpu);
  const std::uint64_t ns = engine_.now().ns;
  const std::uint32_t number = task ? task->number : vcpu.value;
  std::string text = fmt::format("# count {} cpl {} cr3 {:#x}\n", total.value, cpl, state.cr3);
  text +=
      fmt::format("{:<16} {}/{} [{:03}] {}.{:09}: {} instructions:\n", task ? task->name : "guest",
                  number, number, vcpu.value, ns / 1'000'000'000, ns % 1'000'000'000, every_);
  for (const ChainFrame& frame : call_chain(engine_, vcpu, state, code_))
    text += line_of(frame, cpl == 3, code_);
  return text + "\n";
}

void Profiler::sample(VcpuId vcpu, InsnCount total) {
  const auto state = engine_.vcpu(vcpu).state();
  if (!state) return;
  const auto end = [this](Result<std::string> why) {
    engine_.observable()->sample_every(1, nullptr);
    ended_(std::move(why));
  };
  if (total < last_) return end(std::string(kAnotherRun));
  last_ = total;
  ++samples_;
  if (const auto written = output_.append(text_of(vcpu, total, *state)); !written)
    return end(fail(written.error()));
  if (output_.full())
    end(fmt::format("the file has come to its limit of {} MiB", kMostBytes >> 20));
}

Result<void> Profiler::finish() {
  engine_.observable()->sample_every(1, nullptr);
  return output_.flush();
}

}  // namespace ringside::profile

#include "profile/call_trace.h"

#include <fmt/format.h>

#include <utility>

#include "base/file_kind.h"

namespace ringside::profile {
namespace {

using hypervisor::FlowEvent;

// A name for JSON (RFC 8259, section 7), whatever the guest has called its function.
std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    const bool is_plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
    text += is_plain ? c : '?';
  }
  return text + "\"";
}

// Trace events count microseconds.
std::string microseconds(std::uint64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

}  // namespace

CallTrace::CallTrace(hypervisor::Engine& engine, GuestCode& code, Output output,
                     std::function<void(Result<std::string>)> ended)
    : engine_(engine),
      code_(code),
      output_(std::move(output)),
      ended_(std::move(ended)),
      last_(engine.recordable()->total_instructions()),
      now_(engine.now()) {
  written_ = output_.append(beginning_of(FileKind::CallTrace));
  for (std::uint32_t i = 0; i < engine_.vcpu_count(); ++i) {
    write_line(fmt::format(
        R"({{"name":"process_name","ph":"M","pid":{},"args":{{"name":"vCPU {}"}}}})", i + 1, i));
  }
  engine_.observable()->listen_to_flow(this);
}

CallTrace::~CallTrace() { engine_.observable()->listen_to_flow(nullptr); }

void CallTrace::write_line(std::string line) {
  if (!std::exchange(is_first_line_, false)) line.insert(0, ",\n");
  if (written_) written_ = output_.append(line);
}

void CallTrace::end(Result<std::string> why) {
  over_ = true;
  engine_.observable()->listen_to_flow(nullptr);
  ended_(std::move(why));
}

// The stack pointer alone tells stacks apart: by 16 KiB, as large as Linux has them, in the system,
// and by a MiB in programs, each of which has its address space. Where one is larger it seems to be
// two, in which calls and returns find each other all the same, because they meet at one address.
CallTrace::Stack* CallTrace::stack_of(const FlowEvent& event, std::uint64_t pointer, unsigned cpl) {
  const bool is_programs = cpl == 3;
  const std::pair key{is_programs ? event.cr3 >> 13 << 13 | 1 : 0,
                      is_programs ? pointer >> 20 : pointer >> 14};
  const auto found = stacks_.find(key);
  if (found != stacks_.end()) return &found->second;
  if (stacks_.size() >= kMostStacks) return nullptr;
  Stack& stack = stacks_[key];
  stack.number = static_cast<unsigned>(stacks_.size());
  const auto task = code_.task_of(event.vcpu);
  const std::string who = task ? fmt::format(", {} {}", task->name, task->number) : "";
  for (std::uint32_t i = 0; i < engine_.vcpu_count(); ++i) {
    write_line(fmt::format(
        R"({{"name":"thread_name","ph":"M","pid":{},"tid":{},"args":{{"name":{}}}}})", i + 1,
        stack.number,
        quoted(fmt::format("{} stack {:#x}{}", is_programs ? "program" : "system", pointer, who))));
  }
  return &stack;
}

std::string CallTrace::name_of(const Frame& frame) {
  const auto place = code_.place_of(frame.function);
  std::string function = place ? place->name : fmt::format("{:#x}", frame.function.value);
  if (frame.vector < 0) return function;
  return fmt::format("vector {}: {}", frame.vector, function);
}

void CallTrace::write(const Frame& frame, unsigned stack, VirtualTime until) {
  ++calls_;
  write_line(fmt::format(R"({{"name":{},"ph":"X","ts":{},"dur":{},"pid":{},"tid":{}}})",
                         quoted(name_of(frame)), microseconds(frame.since.ns),
                         microseconds(until.ns - frame.since.ns), frame.vcpu.value + 1, stack));
}

// Stacks grow down: what has its return address at `place` or below it has ended.
void CallTrace::pop_to(Stack& stack, std::uint64_t place, VirtualTime now) {
  while (!stack.frames.empty() && stack.frames.back().place <= place) {
    write(stack.frames.back(), stack.number, now);
    stack.frames.pop_back();
  }
}

void CallTrace::enter(const FlowEvent& event) {
  Stack* const stack = stack_of(event, event.new_stack, event.new_cpl);
  if (stack == nullptr) return;
  pop_to(*stack, event.new_stack, event.time);
  if (stack->frames.size() >= kMostDepth) return;
  const bool is_call = event.kind == FlowEvent::Kind::Call;
  stack->frames.push_back({event.new_stack, is_call ? event.next : event.from, event.to,
                           is_call ? -1 : event.vector, event.vcpu, event.time});
}

void CallTrace::leave(const FlowEvent& event) {
  Stack* const stack = stack_of(event, event.stack, event.cpl);
  if (stack == nullptr) return;
  // A RET to an address that no CALL has pushed is a jump, by which the caller calls through a
  // register where the processor must not predict (a "retpoline"): the caller is what it jumps to.
  const bool is_jump = event.kind == FlowEvent::Kind::Return && !stack->frames.empty() &&
                       stack->frames.back().place == event.stack &&
                       stack->frames.back().return_to != event.to;
  if (is_jump) stack->frames.pop_back();
  pop_to(*stack, event.stack, event.time);
  if (is_jump && !stack->frames.empty() && stack->frames.back().place == event.new_stack)
    stack->frames.back().function = event.to;
}

void CallTrace::flow(const FlowEvent& event) {
  if (over_) return;
  if (event.total < last_ || event.time < now_) return end(std::string(kAnotherRun));
  last_ = event.total;
  now_ = event.time;
  code_.look(event.total);
  switch (event.kind) {
    case FlowEvent::Kind::Call:
    case FlowEvent::Kind::Interrupt:
      enter(event);
      break;
    case FlowEvent::Kind::Return:
    case FlowEvent::Kind::Resume:
      leave(event);
      break;
  }
  if (!written_) return end(fail(written_.error()));
  if (output_.full())
    end(fmt::format("the file has come to its limit of {} MiB", kMostBytes >> 20));
}

Result<void> CallTrace::finish() {
  over_ = true;
  engine_.observable()->listen_to_flow(nullptr);
  for (auto& [key, stack] : stacks_)
    pop_to(stack, ~std::uint64_t{0}, now_);
  TRY(written_);
  TRY(output_.append("\n]}\n"));
  return output_.flush();
}

}  // namespace ringside::profile

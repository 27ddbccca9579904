#include "machine/interrupts/apic_timer.h"

namespace ringside::machine {

using x86::apic::TimerMode;

ApicTimer::ApicTimer(EventQueue& events, hypervisor::CpuPort& cpus, EventSink& expired)
    : cpus_(cpus), timer_(events, expired) {}

void ApicTimer::reset() {
  timer_.cancel();
  state_ = State{};
}

void ApicTimer::count_from(std::uint64_t start_ns, std::uint32_t count) {
  state_.start = start_ns;
  state_.start_count = count;
  timer_.arm({start_ns + (std::uint64_t{count} << shift())});
}

void ApicTimer::stop() {
  timer_.cancel();
  state_.start_count = 0;
  state_.deadline = 0;
}

void ApicTimer::set_mode(TimerMode mode) {
  const bool crosses = (mode == TimerMode::TscDeadline) != (this->mode() == TimerMode::TscDeadline);
  if (crosses) stop();
  state_.mode = static_cast<std::uint32_t>(mode);
}

void ApicTimer::set_divide(std::uint32_t configuration) {
  const std::uint32_t count = current_count();
  state_.divide = configuration & 0xb;
  if (count != 0) count_from(cpus_.now().ns, count);
}

void ApicTimer::set_initial_count(std::uint32_t count) {
  if (mode() == TimerMode::TscDeadline) return;
  state_.initial_count = count;
  if (count == 0) {
    stop();
  } else {
    count_from(cpus_.now().ns, count);
  }
}

std::uint32_t ApicTimer::current_count() const {
  if (state_.start_count == 0) return 0;
  const std::uint64_t elapsed = (cpus_.now().ns - state_.start) >> shift();
  return elapsed >= state_.start_count ? 0
                                       : state_.start_count - static_cast<std::uint32_t>(elapsed);
}

void ApicTimer::set_deadline(std::uint64_t tsc) {
  if (mode() != TimerMode::TscDeadline) return;
  state_.deadline = tsc;
  if (tsc == 0) {
    timer_.cancel();
  } else {
    timer_.arm({tsc});
  }
}

void ApicTimer::expire(VirtualTime due) {
  state_.deadline = 0;
  state_.start_count = 0;
  if (mode() != TimerMode::Periodic || state_.initial_count == 0) return;
  // Whole periods that have passed meanwhile were one interrupt: the IRR has one bit per vector.
  const std::uint64_t period = std::uint64_t{state_.initial_count} << shift();
  const std::uint64_t now = cpus_.now().ns;
  const std::uint64_t missed = now > due.ns ? (now - due.ns) / period : 0;
  count_from(due.ns + missed * period, state_.initial_count);
}

}  // namespace ringside::machine

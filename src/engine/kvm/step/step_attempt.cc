#include "engine/kvm/step/step_attempt.h"

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "engine/kvm/host/alarm.h"

namespace ringside::kvm {

using Outcome = StepAttempt::Outcome;

Outcome StepAttempt::run(std::uint32_t flags) {
  points_.plant(parts_.core.view(), parts_.debug.take_slots_for_step());
  if (parts_.pages.is_blocked()) pages_.open();
  const Result<void> debug = parts_.debug.apply_step(flags);
  Outcome outcome = Outcome::Event;
  std::optional<Alarm> alarm;
  if (waking_) alarm.emplace();
  if (debug) {
    outcome = run_until_certain();
  } else {
    event_ = parts_.core.die(debug);
  }
  pages_.close();
  points_.lift();
  if (const Result<void> off = parts_.debug.end_step(); !off)
    log::error("vCPU {}: {}", parts_.core.id.value, off.error().text());
  return outcome;
}

Outcome StepAttempt::run_until_certain() {
  for (;;) {
    parts_.core.file.run().request_interrupt_window = 0;
    const bool completing = parts_.devices.pending();
    const int error = parts_.entry.run();
    const std::optional<Outcome> outcome = error != 0 ? judge_failure(error, completing) : judge();
    if (outcome) return *outcome;
  }
}

// `completing`: a device access had been begun, so the instruction must be ended too.
std::optional<Outcome> StepAttempt::judge_failure(int error, bool completing) {
  if (pages_.watching() && error == EFAULT && !pages_.is_open()) {
    parts_.pages.set_blocked(true);
    pages_.open();
    return std::nullopt;
  }
  if (error != EINTR && error != EAGAIN) {
    event_ = parts_.exits.handle_failure(error);
    return Outcome::Event;
  }
  parts_.thread.looks();
  if (completing) return std::nullopt;
  if (waking_ || parts_.core.system.ended) return Outcome::Undone;
  if (parts_.handover.requests(parts_.handover.lock()).any()) return Outcome::Undone;
  return std::nullopt;
}

std::optional<Outcome> StepAttempt::judge() {
  const kvm_run& run = parts_.core.file.run();
  switch (run.exit_reason) {
    case KVM_EXIT_DEBUG:
      if (run.debug.arch.exception == static_cast<unsigned>(x86::Vector::Breakpoint))
        return at_int3();
      return at_debug(run.debug.arch.dr6);
    case KVM_EXIT_INTERNAL_ERROR:
      if (parts_.core.system.facts.int3_as_error && parts_.core.int3_at_rip() != 0)
        return at_int3();
      if (parts_.pages.blocks(EFAULT)) {
        parts_.pages.set_blocked(true);
        parts_.pages.drop_failed_instruction();
        pages_.open();
        return std::nullopt;
      }
      break;
    case KVM_EXIT_SET_TPR:
      return Outcome::Trapped;  // takes the place of the trap
    case KVM_EXIT_HLT:
      (void)parts_.exits.handle();
      return Outcome::Trapped;
    case KVM_EXIT_MMIO:
      if (run.mmio.is_write == 0) break;
      // KVM has done with the instruction by then, and does not trap after it.
      event_ = parts_.exits.handle();
      if (!event_) event_ = parts_.exits.finish_access();
      return event_ ? Outcome::Event : Outcome::Trapped;
    default:
      break;
  }
  event_ = parts_.exits.handle();
  if (event_ || parts_.core.activity == Activity::Dead) return Outcome::Event;
  if (parts_.core.activity == Activity::WaitingForDevice) return Outcome::Undone;
  return std::nullopt;
}

Outcome StepAttempt::at_int3() {
  RegisterFile& registers = parts_.core.registers;
  if (const auto done = registers.load(RegisterFile::kGeneral | RegisterFile::kSystem); !done) {
    event_ = parts_.core.die(done);
    return Outcome::Event;
  }
  arrived_ = points_.at(registers.linear_rip());
  return arrived_.empty() ? Outcome::Int3 : Outcome::Arrived;
}

std::optional<Outcome> StepAttempt::at_debug(std::uint64_t dr6) {
  for (unsigned i = 0; i < kSlotCount; ++i) {
    if ((dr6 >> i & 1) != 0 && parts_.debug.slots()[i].owner == DebugSlot::Owner::Step)
      return at_int3();
  }
  slot_hits_ = dr6 & 0xf;
  if (slot_hits_ == 0 && is_premature()) return std::nullopt;
  return Outcome::Trapped;
}

// Some processors leave a trap behind when the instruction has to be tried again because the host
// had not mapped a page; it comes before the instruction. An instruction that changes nothing, not
// even RIP, is a jump to itself, and may well be executed a few times more.
bool StepAttempt::is_premature() {
  using x86::rflags::TF;
  constexpr unsigned kPagesTouched = 32;
  if (++traps_ > kPagesTouched || !parts_.core.registers.load(RegisterFile::kGeneral)) return false;
  kvm_regs now = parts_.core.registers.general();
  now.rflags = (now.rflags & ~TF) | (before_.rflags & TF);
  return std::memcmp(&now, &before_, sizeof now) == 0;
}

}  // namespace ringside::kvm

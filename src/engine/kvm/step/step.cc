#include "engine/kvm/step/step.h"

#include <algorithm>
#include <span>

#include "engine/kvm/step/hlt.h"
#include "engine/kvm/step/step_targets.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using Kind = Instruction::Kind;

constexpr unsigned kPlace = RegisterFile::kGeneral | RegisterFile::kSystem;

}  // namespace

Step::Step(EntryParts& parts)
    : parts_(parts),
      core_(parts.core),
      registers_(parts.core.registers),
      points_(parts.core),
      pages_(parts.core, parts.pages),
      attempt_(parts, points_, pages_),
      trap_flag_(parts.core) {}

Result<void> Step::load() { return registers_.load(kPlace | RegisterFile::kEvents); }

std::optional<Exit> Step::take() {
  if (const Result<void> done = load(); !done) return core_.die(done);
  if (!begin()) return std::nullopt;
  if (const Result<void> done = load(); !done) return core_.die(done);
  look();
  if (instruction_.kind == Kind::Breakpoint && intercepts_int3()) {
    // The exit tells KVM the length, which it needs to give the int3 back to the guest.
    const Outcome outcome = attempt_.run(blocked());
    if (outcome != Outcome::Int3) return finish(outcome);
    if (core_.breakpoint_exit) return parts_.exits.at_int3(instruction_.length);
    parts_.exceptions.raise_breakpoint(instruction_.length);
    if (const Result<void> done = load(); !done) return core_.die(done);
    delivering_ = true;
  }
  return execute();
}

bool Step::begin() {
  if (core_.kernel_apic()) return begin_with_kernel_apic();
  if (core_.activity == Activity::Halted) return begin_interrupt();
  if (is_interrupt_due()) (void)begin_interrupt();
  return true;
}

// A debugger's step may lead into an interrupt handler, if it lets it. Passing a breakpoint must
// not: the handler would come back to it.
bool Step::is_interrupt_due() const {
  return core_.monitor_trap && !core_.mask_interrupts && parts_.interrupts.any_waits();
}

// False if it cannot be taken now.
bool Step::begin_interrupt() {
  Interrupts& interrupts = parts_.interrupts;
  if (interrupts.nmi_waits()) {
    interrupts.inject_nmi();
  } else if (!interrupts.window_open() || !interrupts.inject_interrupt()) {
    return false;
  }
  return load().has_value();
}

// The kernel's local APIC may interrupt at any time. Where it must not, KVM holds it back; where it
// may, every interrupt's handler is a step point. False: it has to wait for an interrupt.
bool Step::begin_with_kernel_apic() {
  if (core_.activity == Activity::Halted) {
    if (!await_interrupt(parts_)) return false;
    waking_ = true;
    attempt_.expect_interrupt();
  }
  interrupts_may_come_ = core_.monitor_trap && !core_.mask_interrupts;
  if (!interrupts_may_come_) parts_.interrupts.give_back();
  return true;
}

void Step::look() {
  start_ = registers_.linear_rip();
  attempt_.note_start(registers_.general());
  trap_flag_.note_start();
  const kvm_vcpu_events& events = registers_.events();
  delivering_ = events.exception.injected != 0 || events.exception.pending != 0 ||
                events.interrupt.injected != 0 || events.nmi.injected != 0 ||
                events.nmi.pending != 0;
  if (delivering_) return;
  std::uint8_t code[15];
  const std::size_t size = core_.view().read(start_, code);
  instruction_ = examine(std::span(code, size), core_.code_size());
  trap_flag_.note_loaded(instruction_);
}

std::optional<Exit> Step::execute() {
  if (pages_.watching() && !delivering_) pages_.note_accesses(start_);
  using Begins = StepTargets::Begins;
  StepTargets targets(core_, points_, start_,
                      delivering_ ? Begins::WithDelivery : Begins::WithInstruction);
  const bool to_next = ends_at_next();
  if (to_next) targets.add_direct(start_.value + instruction_.length);
  if (interrupts_may_come_ && !delivering_) targets.add_interrupts();
  targets.add_all(instruction_);
  const std::uint32_t trap = delivering_ || to_next ? 0 : KVM_GUESTDBG_SINGLESTEP;
  return finish(attempt_.run(trap | blocked()));
}

bool Step::intercepts_int3() const {
  return core_.system.facts.int3_exit || core_.system.facts.int3_as_error;
}

// An int3 on the next instruction does instead of the trap flag, without two calls of KVM; for the
// way past a breakpoint that does not count.
bool Step::ends_at_next() const {
  return parts_.passed.under_int3() && !core_.monitor_trap && intercepts_int3() && !delivering_ &&
         !trap_flag_.is_guests() && instruction_.falls_through &&
         core_.view().byte(start_ + instruction_.length) != nullptr;
}

std::uint32_t Step::blocked() const {
  if (!core_.kernel_apic() || (interrupts_may_come_ && !delivering_)) return 0;
  return KVM_GUESTDBG_BLOCKIRQ;
}

std::optional<Exit> Step::finish(Outcome outcome) {
  switch (outcome) {
    case Outcome::Undone:
      trap_flag_.put_back();
      return std::nullopt;
    case Outcome::Event:
      return attempt_.event();
    case Outcome::Int3:
      return parts_.exits.at_int3(std::max<std::uint8_t>(core_.int3_at_rip(), 1));
    case Outcome::Arrived:
    case Outcome::Trapped:
      break;
  }
  return complete(outcome);
}

std::optional<Exit> Step::complete(Outcome outcome) {
  if (core_.kernel_apic() && waking_) core_.activity = Activity::Running;
  if (const Result<void> done = registers_.load(kPlace); !done) return core_.die(done);
  settle(outcome);
  if (const Result<void> done = registers_.flush(); !done) return core_.die(done);
  const std::uint64_t slots = attempt_.slot_hits();
  if (slots != 0) {
    if (std::optional<Exit> hit = parts_.exits.at_slots(slots)) return hit;
  } else if (trap_flag_.is_trap_due()) {
    parts_.exceptions.raise_debug(x86::dr6::BS);
  }
  if (instruction_.kind == Kind::Halt && outcome == Outcome::Trapped) {
    if (const Result<void> done = note_halt(parts_); !done) return core_.die(done);
  }
  return exit::MonitorTrap{};
}

void Step::settle(Outcome outcome) {
  const EntryPoint* handler = nullptr;
  if (outcome == Outcome::Arrived) {
    const std::vector<EntryPoint>& points = attempt_.arrived();
    trap_flag_.settle_arrival(instruction_, points, delivering_);
    if (points.front().kind == EntryPoint::Kind::Handler) handler = &points.front();
  } else {
    trap_flag_.settle_completion(instruction_);
  }
  pages_.settle(handler);
}

// The debugger's int3 on the instruction, if one was hit there, is out of the way meanwhile.
std::optional<Exit> step(EntryParts& parts) {
  VcpuCore& core = parts.core;
  parts.pages.forget_hits();
  const bool alone = parts.passed.under_int3();
  if (alone) core.close_gate();
  hypervisor::StopFilter* filter = alone ? core.system.filter.load() : nullptr;
  if (filter != nullptr) filter->uncover(core.id);
  std::optional<Exit> why = Step(parts).take();
  if (filter != nullptr) filter->cover(core.id);
  if (alone) core.open_gate();
  parts.pages.set_blocked(false);
  std::optional<Gva> stepped_to;
  if (core.registers.load(kPlace)) stepped_to = core.registers.linear_rip();
  parts.exits.note_step(stepped_to);
  return why;
}

}  // namespace ringside::kvm

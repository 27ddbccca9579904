#include "engine/kvm/step/step_targets.h"

#include "x86/msr_numbers.h"

namespace ringside::kvm {
namespace {

using Kind = Instruction::Kind;

constexpr unsigned kExceptions = 32;

}  // namespace

// The instruction itself must not get an int3.
void StepTargets::add(const std::optional<EntryPoint>& point) {
  if (point && (delivering_ || point->address != start_)) points_.add(*point);
}

void StepTargets::add_direct(std::uint64_t address) {
  EntryPoint point;
  point.kind = EntryPoint::Kind::Direct;
  point.address = {address};
  add(point);
}

void StepTargets::add_all(const Instruction& instruction) {
  if (!delivering_ && !instruction.may_fault) return;
  const GuestView memory = core_.view();
  const kvm_vcpu_events& events = registers_.events();
  if (delivering_ && events.interrupt.injected != 0) {
    add(handler_of(registers_, memory, events.interrupt.nr));
  }
  add_goals(instruction, memory);
  for (const unsigned vector : {14u, 13u, 6u, 12u})
    add(handler_of(registers_, memory, static_cast<std::uint8_t>(vector)));
  for (unsigned vector = 0; vector < kExceptions; ++vector)
    add(handler_of(registers_, memory, static_cast<std::uint8_t>(vector)));
}

// Where the instruction itself leads to, if the trap would be lost on the way.
void StepTargets::add_goals(const Instruction& instruction, const GuestView& memory) {
  switch (instruction.kind) {
    case Kind::SoftwareInterrupt:
      add(handler_of(registers_, memory, instruction.vector));
      break;
    case Kind::Breakpoint:
      add(handler_of(registers_, memory, 3));
      break;
    case Kind::SystemCall:
      add_system_call();
      break;
    case Kind::SystemEnter:
      add_msr(x86::msr::kSysenterEip);
      break;
    case Kind::SystemReturn:
      if (core_.system.facts.int3_exit) add_direct(registers_.general().rcx);
      break;
    case Kind::SystemExit:
      if (core_.system.facts.int3_exit) add_direct(registers_.general().rdx);
      break;
    case Kind::LoadStackSegment:
      add_direct(start_.value + instruction.length);
      break;
    default:
      break;
  }
}

// What is requested already comes first.
void StepTargets::add_interrupts() {
  const GuestView memory = core_.view();
  const auto apic = LocalApicPage::get(core_.file.fd());
  for (const bool requested : {true, false}) {
    for (unsigned vector = 255; vector >= kExceptions; --vector) {
      const auto number = static_cast<std::uint8_t>(vector);
      if ((apic && apic->requests(number)) == requested)
        add(handler_of(registers_, memory, number));
    }
  }
  add(handler_of(registers_, memory, 2));  // NMI
}

void StepTargets::add_msr(std::uint32_t number) {
  if (const auto target = get_msr(core_.file.fd(), number)) add_direct(*target);
}

void StepTargets::add_system_call() {
  if (registers_.code64()) {
    add_msr(x86::msr::kLstar);
  } else if (registers_.long_mode()) {
    add_msr(x86::msr::kCstar);
  } else if (const auto star = get_msr(core_.file.fd(), x86::msr::kStar)) {
    add_direct(*star & 0xffffffff);
  }
}

}  // namespace ringside::kvm

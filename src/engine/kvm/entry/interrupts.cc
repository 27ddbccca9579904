#include "engine/kvm/entry/interrupts.h"

#include <utility>

#include "base/log.h"

namespace ringside::kvm {

void Interrupts::set_pin(bool level) {
  pin_ = level;
  if (level) thread_.kick();
}

void Interrupts::raise_nmi() {
  nmi_ = true;
  thread_.kick();
}

void Interrupts::forget() {
  nmi_ = false;
  held_.reset();
}

void Interrupts::reset() {
  forget();
  forget_window();
}

void Interrupts::take_task_priority() {
  if (!core_.kernel_apic()) task_priority_ = core_.system.platform.task_priority(core_.id);
}

void Interrupts::note_run() {
  const kvm_run& run = core_.file.run();
  window_ =
      run.ready_for_interrupt_injection != 0 && run.if_flag != 0 ? Window::Open : Window::Shut;
  if (core_.kernel_apic()) return;
  // MOV to CR8 does not always end KVM_RUN.
  const auto priority = static_cast<std::uint8_t>(run.cr8);
  if (priority == task_priority_) return;
  task_priority_ = priority;
  core_.system.platform.set_task_priority(core_.id, priority);
}

void Interrupts::prepare() {
  kvm_run& run = core_.file.run();
  run.request_interrupt_window = 0;
  if (core_.mask_interrupts) return;
  if (nmi_) inject_nmi();
  if (core_.kernel_apic()) return;
  if (!interrupt_waits()) return;
  if (window_open()) inject_interrupt();
  run.request_interrupt_window = interrupt_waits();
}

bool Interrupts::window_open() {
  if (window_ != Window::Unknown) return window_ == Window::Open;
  if (!core_.registers.load(RegisterFile::kGeneral | RegisterFile::kEvents)) return false;
  const kvm_vcpu_events& events = core_.registers.events();
  const bool open = (core_.registers.general().rflags & x86::rflags::IF) != 0 &&
                    events.interrupt.shadow == 0 && events.interrupt.injected == 0 &&
                    events.exception.injected == 0 && events.exception.pending == 0 &&
                    events.nmi.injected == 0 && events.nmi.pending == 0;
  window_ = open ? Window::Open : Window::Shut;
  return open;
}

void Interrupts::inject_nmi() {
  core_.activity = Activity::Running;
  nmi_ = false;
  core_.registers.forget();
  shut_window();
  const auto done = control(core_.file.fd(), KVM_NMI, 0ul, "an NMI");
  if (!done) log::error("vCPU {}: {}", core_.id.value, done.error().text());
}

// One at a time: KVM would forget the first one.
bool Interrupts::inject_interrupt() {
  std::optional<std::uint8_t> vector = std::exchange(held_, std::nullopt);
  if (!vector) vector = core_.system.platform.acknowledge_interrupt(core_.id);
  if (!vector) return false;
  core_.activity = Activity::Running;
  core_.registers.forget();
  shut_window();
  kvm_interrupt request{};
  request.irq = *vector;
  const auto done = control(core_.file.fd(), KVM_INTERRUPT, &request, "an interrupt");
  if (!done) log::error("vCPU {}: {}", core_.id.value, done.error().text());
  return true;
}

// Interrupts that KVM has taken and not yet delivered go back to us, so that a step from here does
// not begin in their handler.
void Interrupts::withdraw() {
  if (core_.kernel_apic()) return;  // give_back() sees to it before a step
  RegisterFile& registers = core_.registers;
  if (!registers.load(RegisterFile::kEvents)) return;
  kvm_vcpu_events& events = registers.events();
  bool changed = false;
  if (events.interrupt.injected != 0 && events.interrupt.soft == 0) {
    held_ = events.interrupt.nr;
    events.interrupt.injected = 0;
    changed = true;
  }
  if (events.nmi.pending != 0 || events.nmi.injected != 0) {
    nmi_ = true;
    events.nmi.pending = events.nmi.injected = 0;
    registers.changed_nmi();
  }
  if (changed) registers.changed(RegisterFile::kEvents);
}

// An interrupt that a controller of the kernel's has given away and KVM has not delivered would
// come before the next instruction, whatever is held back: the controller gets it back.
void Interrupts::give_back() {
  RegisterFile& registers = core_.registers;
  if (!registers.load(RegisterFile::kEvents)) return;
  kvm_vcpu_events& events = registers.events();
  if (events.nmi.injected != 0) {
    events.nmi.injected = 0;
    events.nmi.pending = 1;
    registers.changed_nmi();
  }
  if (events.interrupt.injected == 0 || events.interrupt.soft != 0) return;
  events.interrupt.injected = 0;
  registers.changed(RegisterFile::kEvents);
  const std::uint8_t vector = events.interrupt.nr;
  KernelControllers& controllers = *core_.system.controllers;
  bool taken_back = false;
  core_.close_gate();
  {
    const auto lines = controllers.hold_lines();
    auto page = LocalApicPage::get(core_.file.fd());
    taken_back = page && page->take_back(vector) && page->set(core_.file.fd());
  }
  core_.open_gate();
  if (!taken_back) controllers.take_back_from_pics(vector);
}

}  // namespace ringside::kvm

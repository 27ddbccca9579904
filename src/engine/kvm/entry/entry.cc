#include "engine/kvm/entry/entry.h"

#include <cerrno>

#include "base/log.h"

namespace ringside::kvm {

int Entry::call() { return ::ioctl(core_.file.fd().get(), KVM_RUN, 0) == 0 ? 0 : errno; }

int Entry::run() {
  kvm_run& run = core_.file.run();
  // What was changed since the last entry counts from this one on; afterwards the registers are
  // others, and the change is lost or put over them.
  if (const Result<void> flushed = core_.registers.flush(); !flushed) {
    log::error("vCPU {}: {}", core_.id.value, flushed.error().text());
    return EIO;
  }
  run.cr8 = interrupts_.task_priority();
  tsc_offset_.follow(core_.file.fd(), core_.system.clock.stood());
  if (core_.system.facts.sync_registers) {
    // A debug exit needs these to be told from others; to have them costs every exit a little.
    const bool debugging = core_.breakpoint_exit || debug_.is_used();
    run.kvm_valid_regs = KVM_SYNC_X86_REGS;
    if (debugging) run.kvm_valid_regs |= KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
  }
  if (!thread_.begin_run()) return EINTR;
  const int error = call();
  note_run();  // whoever waits for this vCPU to be out may look at its registers
  thread_.end_run();
  return error;
}

void Entry::note_run() {
  devices_.completed();
  if (core_.file.run().kvm_valid_regs != 0) {
    core_.registers.take_synchronised();
  } else {
    core_.registers.forget();
  }
  interrupts_.note_run();
}

int Entry::complete_access() {
  immediate_exit(core_.file.run()).store(1);
  core_.file.run().cr8 = interrupts_.task_priority();
  const int error = call();
  note_run();
  return error;
}

void Entry::drop_access() {
  constexpr int kMostPieces = 100'000;
  if (!devices_.pending() && core_.activity != Activity::WaitingForDevice) return;
  for (int i = 0; i < kMostPieces; ++i) {
    immediate_exit(core_.file.run()).store(1);
    if (call() != 0) break;
  }
  devices_.forget();
  core_.registers.drop();
}

}  // namespace ringside::kvm

// What all parts of one vCPU work on: its file, its registers, what it is doing and what the
// debugger wants of it. Owned by the vCPU. Where a member does not say otherwise it belongs to the
// vCPU's thread while the vCPU is in the guest, and to whoever holds the lock while it is out
// (Handover).
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "engine/kvm/code/guest_view.h"
#include "engine/kvm/code/instruction.h"
#include "engine/kvm/entry/system.h"
#include "engine/kvm/entry/vcpu_thread.h"
#include "engine/kvm/host/api.h"
#include "engine/kvm/host/guest_cpuid.h"
#include "engine/kvm/host/registers.h"

namespace ringside::kvm {

using Activity = hypervisor::VcpuActivity;
using hypervisor::Exit;

class VcpuCore {
 public:
  VcpuCore(System& shared, VcpuId number, VcpuFile& vcpu_file, VcpuThread& thread,
           const Identity& what)
      : system(shared),
        id(number),
        file(vcpu_file),
        registers(vcpu_file),
        identity(what),
        thread_(thread) {}

  System& system;
  const VcpuId id;
  VcpuFile& file;
  RegisterFile registers;
  const Identity identity;

  // Written as said above; any thread may read it.
  std::atomic<Activity> activity{Activity::WaitingForStartUp};
  std::atomic<bool> interrupts_on{false};  // RFLAGS.IF at the last HLT; likewise

  // The capabilities that the debugger has switched on.
  bool breakpoint_exit = false;
  bool monitor_trap = false;
  bool mask_interrupts = false;

  // Whether the local APIC is the kernel's. Then the vCPU is started, halted and interrupted inside
  // KVM_RUN.
  bool kernel_apic() const { return system.controllers.has_value(); }

  // General and System must be loaded for these.
  GuestView view();
  CodeSize code_size() const;
  Gva stack(std::uint64_t offset) const;  // the linear address of SS:RSP + offset

  // The length of the int3 that is next, or 0 if there is another instruction.
  std::uint8_t int3_at_rip();
  // While the returned lock is held, no int3 in guest memory is taken away for a single vCPU.
  auto keep_bytes() { return system.gate.keep(thread_); }
  // Between close_gate() and open_gate() no other vCPU is in the guest.
  void close_gate() { system.gate.close(&thread_); }
  void open_gate() { system.gate.open(); }

  // Whether there is a catch for this, so that the filter is to be asked.
  bool is_caught(const hypervisor::exit::Caught& what) const;
  // Whether a hit is one for the debugger.
  bool wants_stop(const Exit& hit);
  // The guest cannot go on. Nothing, when the machine has ended with it.
  std::optional<Exit> die(std::string reason, hypervisor::VmEnd::Kind kind);
  std::optional<Exit> die(const Result<void>& why) {
    return die(why.error().text(), hypervisor::VmEnd::Kind::Error);
  }

 private:
  VcpuThread& thread_;
};

}  // namespace ringside::kvm

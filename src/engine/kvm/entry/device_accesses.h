// One vCPU's accesses to devices: from KVM's run page to the platform and back. Owned by the vCPU;
// its thread's, which holds no lock of the engine meanwhile, unless a function says otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/interrupts.h"
#include "engine/kvm/entry/page_accesses.h"

namespace ringside::kvm {

class DeviceAccesses {
 public:
  DeviceAccesses(VcpuCore& core, VcpuThread& thread, Interrupts& interrupts, PageAccesses& pages)
      : core_(core), thread_(thread), interrupts_(interrupts), pages_(pages) {}

  // ---- Any thread
  // A device that had no answer may have one.
  void retry();
  bool may_retry() const { return retry_; }
  // An access to one of the local APIC's MSRs, where that is the machine's.
  bool write_apic_msr(std::uint32_t number, std::uint64_t value);

  // ---- The thread: what KVM has left the guest for
  void port();
  void port_again();  // the device may have an answer now
  void mmio();
  void msr_read();
  void msr_write();
  // KVM_RUN has yet to complete an access.
  bool pending() const { return pending_; }
  void completed() { pending_ = false; }
  // The device says in an access under way that the guest cannot go on; null when none does.
  void panic(const char* reason) { panic_ = reason; }
  const char* panicked() const { return panic_; }
  const char* take_panic();

  // ---- While the vCPU is out, under the lock
  // Bytes of an OUT that waits for its device.
  struct PortOutput {
    std::uint16_t port = 0;
    unsigned width = 1;
    std::vector<std::uint8_t> bytes;
  };
  PortOutput unsent_output() const;
  // The access under way is given up.
  void forget();
  void reset();
  // ---- The main thread, without the lock
  // Though the host takes no more at the moment: what is executed is not lost.
  void send(const PortOutput& output);

 private:
  void note_port(std::uint32_t value);

  VcpuCore& core_;
  VcpuThread& thread_;
  Interrupts& interrupts_;
  PageAccesses& pages_;
  std::atomic<bool> retry_{false};
  bool pending_ = false;
  unsigned port_progress_ = 0;  // of a string of port accesses
  const char* panic_ = nullptr;
  PageAccesses::Hits caught_;  // of the port accesses under way, which are not over
};

}  // namespace ringside::kvm

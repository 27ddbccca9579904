// Watchpoints by page protection, on the vCPU's thread. A processor that is kept from a page leaves
// KVM_RUN with the instruction yet to be executed: it is stepped with the pages open. Where KVM
// emulates the instruction, it asks for the access as for one to a device.
#include <cerrno>

#include "engine/kvm/vcpu/vcpu.h"
#include "platform/shared_copy.h"

namespace ringside::kvm {
namespace {

constexpr std::uint32_t kEmulationFailed = 1;  // KVM_INTERNAL_ERROR_EMULATION

}  // namespace

// KVM_RUN's error for a page that this process may not touch. The step itself has them open.
bool KvmVcpu::is_blocked(int error) {
  if (error != EFAULT || !system_.pages.any() || blocked_) return false;
  const kvm_run& run = file_.run();
  return run.exit_reason != KVM_EXIT_INTERNAL_ERROR || run.internal.suberror == kEmulationFailed;
}

// An instruction that KVM could not emulate may have left an undefined-opcode exception behind.
void KvmVcpu::drop_failed_instruction() {
  if (!registers_.load(RegisterFile::kEvents)) return;
  kvm_vcpu_events& events = registers_.events();
  if (events.exception.nr != static_cast<std::uint8_t>(x86::Vector::InvalidOpcode)) return;
  if (events.exception.pending == 0 && events.exception.injected == 0) return;
  events.exception.pending = events.exception.injected = 0;
  registers_.changed(RegisterFile::kEvents);
  (void)registers_.flush();
}

// One access that KVM asks for. False: it is none of memory.
bool KvmVcpu::access_watched(Gpa address, std::uint8_t* data, unsigned width, bool write) {
  system_.pages.accessed(address, width, write, watch_hits_);
  const hypervisor::RamSlot* slot = system_.ram.find(address, width);
  if (slot == nullptr) return false;
  std::uint8_t* host = slot->host + (address.value - slot->base.value);
  if (!write) {
    hypervisor::copy_from_shared(std::as_writable_bytes(std::span(data, width)), host);
  } else if (!slot->read_only) {
    hypervisor::copy_to_shared(host, std::as_bytes(std::span(data, width)));
  }
  return true;
}

void KvmVcpu::note_hits(const PageWatches::Hits& hits) {
  watch_hits_.insert(watch_hits_.end(), hits.begin(), hits.end());
}

// The first hit that counts, once the instruction is complete.
std::optional<hypervisor::Exit> KvmVcpu::settle_watch_hits() {
  if (system_.device_hits_waiting) {
    const std::lock_guard lock(system_.device_hits_lock);
    note_hits(std::exchange(system_.device_hits, {}));
    system_.device_hits_waiting = false;
  }
  if (std::optional<Exit> why = finish_access()) return why;
  const PageWatches::Hits hits = std::exchange(watch_hits_, {});
  for (const Exit& hit : hits) {
    if (wants_stop(hit)) return hit;
  }
  return std::nullopt;
}

}  // namespace ringside::kvm

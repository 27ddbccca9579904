#include "engine/kvm/entry/page_accesses.h"

#include <cerrno>
#include <mutex>
#include <span>
#include <utility>

#include "platform/shared_copy.h"

namespace ringside::kvm {
namespace {

constexpr std::uint32_t kEmulationFailed = 1;  // KVM_INTERNAL_ERROR_EMULATION

}  // namespace

bool PageAccesses::blocks(int error) const {
  if (error != EFAULT || !core_.system.pages.any() || blocked_) return false;
  const kvm_run& run = core_.file.run();
  return run.exit_reason != KVM_EXIT_INTERNAL_ERROR || run.internal.suberror == kEmulationFailed;
}

void PageAccesses::drop_failed_instruction() {
  RegisterFile& registers = core_.registers;
  if (!registers.load(RegisterFile::kEvents)) return;
  kvm_vcpu_events& events = registers.events();
  if (events.exception.nr != static_cast<std::uint8_t>(x86::Vector::InvalidOpcode)) return;
  if (events.exception.pending == 0 && events.exception.injected == 0) return;
  events.exception.pending = events.exception.injected = 0;
  registers.changed(RegisterFile::kEvents);
  (void)registers.flush();
}

bool PageAccesses::access(Gpa address, std::uint8_t* data, unsigned width, bool write) {
  core_.system.pages.accessed(address, width, write, hits_);
  const hypervisor::RamSlot* slot = core_.system.ram.find(address, width);
  if (slot == nullptr) return false;
  std::uint8_t* host = slot->host + (address.value - slot->base.value);
  if (!write) {
    hypervisor::copy_from_shared(std::as_writable_bytes(std::span(data, width)), host);
  } else if (!slot->read_only) {
    hypervisor::copy_to_shared(host, std::as_bytes(std::span(data, width)));
  }
  return true;
}

void PageAccesses::note(const Hits& hits) { hits_.insert(hits_.end(), hits.begin(), hits.end()); }

void PageAccesses::note_halt() {
  hypervisor::exit::Caught halt;
  halt.kind = hypervisor::CatchKind::Halt;
  if (core_.is_caught(halt)) hits_.push_back(halt);
}

PageAccesses::Hits PageAccesses::take_hits() { return std::exchange(hits_, {}); }

void PageAccesses::reset() {
  hits_.clear();
  blocked_ = false;
}

void PageAccesses::take_device_hits() {
  System& system = core_.system;
  if (!system.device_hits_waiting) return;
  const std::lock_guard lock(system.device_hits_lock);
  note(std::exchange(system.device_hits, {}));
  system.device_hits_waiting = false;
}

}  // namespace ringside::kvm

#include "engine/kvm/entry/exits.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace ringside::kvm {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;

std::optional<Exit> Exits::handle_failure(int error) {
  if (error == EINTR || error == EAGAIN) return std::nullopt;
  if (pages_.blocks(error)) {
    pages_.set_blocked(true);
    return std::nullopt;
  }
  return core_.die(fmt::format("KVM_RUN: {}", std::strerror(error)), VmEnd::Kind::Error);
}

std::optional<Exit> Exits::handle() {
  const kvm_run& run = core_.file.run();
  if (run.exit_reason != KVM_EXIT_DEBUG) stepped_to_.reset();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      devices_.port();
      return std::nullopt;
    case KVM_EXIT_MMIO:
      devices_.mmio();
      return std::nullopt;
    case KVM_EXIT_X86_RDMSR:
      devices_.msr_read();
      return std::nullopt;
    case KVM_EXIT_X86_WRMSR:
      devices_.msr_write();
      return std::nullopt;
    case KVM_EXIT_HLT:
      core_.interrupts_on = run.if_flag != 0;
      core_.activity = Activity::Halted;
      return std::nullopt;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
      return std::nullopt;
    case KVM_EXIT_DEBUG:
      return at_debug();
    case KVM_EXIT_SHUTDOWN:
      return core_.die("triple fault", VmEnd::Kind::TripleFault);
    case KVM_EXIT_INTERNAL_ERROR:
      return at_internal_error();
    case KVM_EXIT_FAIL_ENTRY:
      return core_.die(fmt::format("the processor refuses the guest's state (reason {:#x})",
                                   run.fail_entry.hardware_entry_failure_reason),
                       VmEnd::Kind::Error);
    default:
      return core_.die(fmt::format("KVM left the guest for reason {}", run.exit_reason),
                       VmEnd::Kind::Error);
  }
}

std::optional<Exit> Exits::at_debug() {
  const auto& debug = core_.file.run().debug.arch;
  if (debug.exception == static_cast<unsigned>(x86::Vector::Breakpoint)) {
    const std::uint8_t length = core_.int3_at_rip();
    return at_int3(length == 0 ? 1 : length);
  }
  if ((debug.dr6 & x86::dr6::BD) != 0) {
    at_debug_access_ = true;
    return std::nullopt;
  }
  return at_slots(is_left_behind(debug.dr6) ? debug.dr6 & ~x86::dr6::BS : debug.dr6);
}

// Some processors keep the trap of a step for later when KVM has executed the instruction in its
// place. It comes before the next instruction, of a guest that does not step itself.
bool Exits::is_left_behind(std::uint64_t dr6) {
  const std::optional<Gva> stepped_to = std::exchange(stepped_to_, std::nullopt);
  if (!stepped_to || (dr6 & x86::dr6::BS) == 0) return false;
  if (!core_.registers.load(RegisterFile::kGeneral | RegisterFile::kSystem)) return false;
  return core_.registers.linear_rip() == *stepped_to &&
         (core_.registers.general().rflags & x86::rflags::TF) == 0;
}

// Where ring 0 is interpreted, an int3 ends as an instruction that cannot be emulated.
std::optional<Exit> Exits::at_internal_error() {
  if (core_.system.facts.int3_as_error) {
    if (const std::uint8_t length = core_.int3_at_rip(); length != 0) return at_int3(length);
  }
  // An interpreter in the kernel fails at some accesses to protected pages.
  if (pages_.blocks(EFAULT)) {
    pages_.set_blocked(true);
    pages_.drop_failed_instruction();
    return std::nullopt;
  }
  const std::string where = core_.registers.load(RegisterFile::kGeneral)
                                ? fmt::format(" at {:#x}", core_.registers.general().rip)
                                : std::string();
  return core_.die(
      fmt::format("KVM failed{} (suberror {})", where, core_.file.run().internal.suberror),
      VmEnd::Kind::Error);
}

std::optional<Exit> Exits::at_int3(std::uint8_t length) {
  if (core_.breakpoint_exit) {
    exceptions_.left_at_int3(length);
    exit::Breakpoint hit{length};
    if (core_.registers.load(RegisterFile::kGeneral | RegisterFile::kSystem))
      hit.rip = core_.registers.linear_rip();
    return hit;
  }
  exceptions_.raise_breakpoint(length);
  return std::nullopt;
}

std::optional<Exit> Exits::at_slots(std::uint64_t dr6) {
  std::uint64_t guests = dr6 & x86::dr6::BS;  // the guest's own step: ours is not handled here
  bool fault = false;
  for (unsigned i = 0; i < kSlotCount; ++i) {
    if ((dr6 >> i & 1) == 0) continue;
    const DebugSlot& slot = debug_.slots()[i];
    const bool execute = slot.access == DebugSlot::Access::Execute;
    if (slot.owner == DebugSlot::Owner::Debugger) {
      if (!execute) return exit::Watchpoint{slot.wished, slot.kind};
      passed_.arrived(slot.address);
      return exit::HardwareBreakpoint{slot.wished};
    }
    if (slot.owner != DebugSlot::Owner::Guest) continue;
    guests |= std::uint64_t{1} << slot.guest_number;
    fault |= execute;
  }
  if (guests == 0) return std::nullopt;
  // An instruction breakpoint is a fault, and its frame has RF set (SDM 3B 17.3.1.1).
  if (fault && core_.registers.load(RegisterFile::kGeneral)) {
    core_.registers.general().rflags |= x86::rflags::RF;
    core_.registers.changed(RegisterFile::kGeneral);
  }
  exceptions_.raise_debug(guests);
  return std::nullopt;
}

std::optional<Exit> Exits::finish_access() {
  while (devices_.pending()) {
    const int error = entry_.complete_access();
    // A trap of a step that is under way.
    if (error == 0 && debug_.is_stepping() && core_.file.run().exit_reason == KVM_EXIT_DEBUG)
      return std::nullopt;
    std::optional<Exit> why = error != 0 ? handle_failure(error) : handle();
    if (why) return why;
  }
  return std::nullopt;
}

std::optional<Exit> Exits::settle_page_hits() {
  pages_.take_device_hits();
  if (std::optional<Exit> why = finish_access()) return why;
  PageAccesses::Hits hits = pages_.take_hits();
  for (Exit& hit : hits) {
    auto* const caught = std::get_if<exit::Caught>(&hit);
    if (caught != nullptr && core_.registers.load(RegisterFile::kGeneral | RegisterFile::kSystem))
      caught->at = core_.registers.linear_rip();
    if (core_.wants_stop(hit)) return hit;
  }
  return std::nullopt;
}

void Exits::note_step(std::optional<Gva> rip) {
  at_debug_access_ = false;
  stepped_to_ = rip;
}

}  // namespace ringside::kvm

#include "engine/kvm/entry/passed_breakpoint.h"

#include <mutex>
#include <variant>

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;

constexpr unsigned kPlace = RegisterFile::kGeneral | RegisterFile::kSystem;

}  // namespace

void PassedBreakpoint::arrived(Gva at) {
  at_ = at;
  under_int3_ = core_.int3_at_rip() != 0;
}

// A breakpoint in a debug register strikes before its instruction; to go on from there the
// instruction is stepped without it. Not where it has gone meanwhile, as with the client who set
// it: a step takes long, and a vCPU that is called out again and again would never get through one.
bool PassedBreakpoint::is_due() {
  if (!at_) return false;
  bool there = false;
  if (core_.registers.load(kPlace) && core_.registers.linear_rip() == *at_) {
    there = core_.int3_at_rip() != 0;
    const std::lock_guard lock(core_.system.stoppoints_lock);
    there |= core_.system.stoppoints.has_breakpoint(*at_);
  }
  if (!there) at_.reset();
  return there && !core_.monitor_trap;
}

void PassedBreakpoint::let_pass(const Exit& hit) {
  at_.reset();
  const bool by_register = std::holds_alternative<exit::HardwareBreakpoint>(hit);
  under_int3_ = std::holds_alternative<exit::Breakpoint>(hit);
  if (!under_int3_ && !by_register) return;
  if (by_register) under_int3_ = core_.int3_at_rip() != 0;
  if (core_.registers.load(kPlace)) at_ = core_.registers.linear_rip();
}

std::optional<Exit> PassedBreakpoint::ahead() {
  if (!core_.registers.load(kPlace)) return std::nullopt;
  const Gva next = core_.registers.linear_rip();
  {
    const std::lock_guard lock(core_.system.stoppoints_lock);
    if (!core_.system.stoppoints.has_breakpoint(next)) return std::nullopt;
  }
  arrived(next);
  return exit::HardwareBreakpoint{next};
}

}  // namespace ringside::kvm

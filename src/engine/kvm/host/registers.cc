#include "engine/kvm/host/registers.h"
#include "x86/register_table.h"

namespace ringside::kvm {
namespace {

constexpr RegisterFile::Part kParts[] = {
    RegisterFile::kSystem, RegisterFile::kGeneral, RegisterFile::kFpu,   RegisterFile::kDebug,
    RegisterFile::kMsrs,   RegisterFile::kXcr0,    RegisterFile::kEvents};

}  // namespace

Gva RegisterFile::linear_rip() const {
  // x86::linear_pc, of KVM's struct.
  const std::uint64_t rip = parts_.registers.general.rip;
  return {code64() ? rip : x86::segmented_address(parts_.registers.system.cs.base, rip)};
}

void RegisterFile::take_synchronised() {
  const kvm_run& run = file_.run();
  loaded_ = 0;
  if ((run.kvm_valid_regs & KVM_SYNC_X86_REGS) != 0) {
    parts_.registers.general = run.s.regs.regs;
    loaded_ |= kGeneral;
  }
  if ((run.kvm_valid_regs & KVM_SYNC_X86_SREGS) != 0) {
    parts_.registers.system = run.s.regs.sregs;
    loaded_ |= kSystem;
  }
  if ((run.kvm_valid_regs & KVM_SYNC_X86_EVENTS) != 0) {
    parts_.events = run.s.regs.events;
    loaded_ |= kEvents;
  }
}

Result<void> RegisterFile::load(unsigned parts) {
  for (const Part part : kParts) {
    if ((parts & ~loaded_ & part) == 0) continue;
    TRY(parts_.read(part));
    loaded_ |= part;
  }
  return {};
}

Result<void> RegisterFile::flush() {
  if (dirty_ == 0) return {};
  // Writing the general registers drops a pending exception in KVM; so the events follow them.
  if ((dirty_ & kGeneral) != 0 && (loaded_ & kEvents) != 0) dirty_ |= kEvents;
  for (const Part part : kParts) {
    if ((dirty_ & part) != 0) TRY(parts_.write(part));
  }
  dirty_ = 0;
  return {};
}

Result<x86::RegisterValue> RegisterFile::read(x86::Register r) {
  TRY(load(RegisterParts::part_of(r)));
  if (const auto value = parts_.plain(r)) return x86::RegisterValue::from_u64(*value);
  return x86::get_register(parts_.state(), r);
}

Result<void> RegisterFile::write(x86::Register r, const x86::RegisterValue& value) {
  const unsigned part = RegisterParts::part_of(r);
  TRY(load(part | kEvents));
  x86::CpuState state = parts_.state();
  x86::set_register(state, r, value);
  TRY(parts_.set_state(state));
  dirty_ |= part;
  return {};
}

Result<x86::CpuState> RegisterFile::state() {
  TRY(load(kAll & ~kEvents));
  return parts_.state();
}

Result<void> RegisterFile::set_state(const x86::CpuState& state) {
  TRY(load(kAll));
  TRY(parts_.set_state(state));
  dirty_ |= kAll;
  return {};
}

}  // namespace ringside::kvm

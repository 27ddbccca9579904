#include "engine/kvm/host/registers.h"
#include "x86/register_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringside::kvm {
namespace {

constexpr RegisterFile::Part kParts[] = {
    RegisterFile::kSystem, RegisterFile::kGeneral, RegisterFile::kFpu,   RegisterFile::kDebug,
    RegisterFile::kMsrs,   RegisterFile::kXcr0,    RegisterFile::kEvents};

// Where each MSR of the list stands in a CpuState.
constexpr std::uint64_t x86::CpuState::*kMsrFields[] = {
    &x86::CpuState::star,         &x86::CpuState::lstar,          &x86::CpuState::cstar,
    &x86::CpuState::sfmask,       &x86::CpuState::kernel_gs_base, &x86::CpuState::sysenter_cs,
    &x86::CpuState::sysenter_esp, &x86::CpuState::sysenter_eip,   &x86::CpuState::pat,
    &x86::CpuState::tsc_aux};

}  // namespace

RegisterFile::RegisterFile(VcpuFile& file) : file_(file) {
  static_assert(std::size(kMsrFields) == kMsrCount);
}

Gva RegisterFile::linear_rip() const {
  // x86::linear_pc, of KVM's struct.
  const std::uint64_t rip = registers_.general.rip;
  return {code64() ? rip : x86::segmented_address(registers_.system.cs.base, rip)};
}

void RegisterFile::take_synchronised() {
  const kvm_run& run = file_.run();
  loaded_ = 0;
  if ((run.kvm_valid_regs & KVM_SYNC_X86_REGS) != 0) {
    registers_.general = run.s.regs.regs;
    loaded_ |= kGeneral;
  }
  if ((run.kvm_valid_regs & KVM_SYNC_X86_SREGS) != 0) {
    registers_.system = run.s.regs.sregs;
    loaded_ |= kSystem;
  }
  if ((run.kvm_valid_regs & KVM_SYNC_X86_EVENTS) != 0) {
    events_ = run.s.regs.events;
    loaded_ |= kEvents;
  }
}

Result<void> RegisterFile::read_msrs() {
  std::vector<kvm_msr_entry> entries;
  for (std::size_t i = 0; i < msr_count_; ++i)
    entries.push_back({kMsrNumbers[i], 0, 0});
  msr_count_ = TRY(get_msrs(file_.fd(), entries));
  for (std::size_t i = 0; i < msr_count_; ++i)
    msrs_[i] = entries[i].data;
  return {};
}

Result<void> RegisterFile::write_msrs() {
  for (std::size_t i = 0; i < msr_count_; ++i)
    TRY(set_msr(file_.fd(), kMsrNumbers[i], msrs_[i]));
  return {};
}

// KVM's FPU calls leave MXCSR out, and what they write is lost if it is noted as unused; so both
// are done in the XSAVE image (SDM 1 13.4), where KVM has that.
Result<void> RegisterFile::read_fpu() {
  TRY(control(file_.fd(), KVM_GET_FPU, &registers_.fpu, "to read FPU registers"));
  XsaveArea area{};
  if (control(file_.fd(), number::kGetXsave, &area, "to read the extended state"))
    std::memcpy(&registers_.fpu.mxcsr, area.bytes + XsaveArea::kMxcsr, sizeof registers_.fpu.mxcsr);
  return {};
}

Result<void> RegisterFile::write_fpu() {
  TRY(control(file_.fd(), KVM_SET_FPU, &registers_.fpu, "to write FPU registers"));
  XsaveArea area{};
  if (!control(file_.fd(), number::kGetXsave, &area, "to read the extended state")) return {};
  std::memcpy(area.bytes + XsaveArea::kMxcsr, &registers_.fpu.mxcsr, sizeof registers_.fpu.mxcsr);
  area.bytes[XsaveArea::kInUse] |= XsaveArea::kX87AndSse;
  TRY(control(file_.fd(), number::kSetXsave, &area, "to write the extended state"));
  return {};
}

Result<void> RegisterFile::read_part(Part part) {
  const Fd& fd = file_.fd();
  switch (part) {
    case kGeneral:
      TRY(control(fd, KVM_GET_REGS, &registers_.general, "to read registers"));
      break;
    case kSystem:
      TRY(control(fd, KVM_GET_SREGS, &registers_.system, "to read system registers"));
      break;
    case kFpu:
      return read_fpu();
    case kDebug:
      TRY(control(fd, KVM_GET_DEBUGREGS, &registers_.debug, "to read debug registers"));
      break;
    case kMsrs:
      return read_msrs();
    case kXcr0: {
      kvm_xcrs xcrs{};
      has_xcr0_ = control(fd, KVM_GET_XCRS, &xcrs, "to read XCR0") && xcrs.nr_xcrs > 0;
      xcr0_ = has_xcr0_ ? xcrs.xcrs[0].value : 1;
      break;
    }
    case kEvents:
      TRY(control(fd, KVM_GET_VCPU_EVENTS, &events_, "to read pending events"));
      break;
    case kAll:
      break;
  }
  return {};
}

Result<void> RegisterFile::write_part(Part part) {
  const Fd& fd = file_.fd();
  switch (part) {
    case kGeneral:
      TRY(control(fd, KVM_SET_REGS, &registers_.general, "to write registers"));
      break;
    case kSystem:
      // An interrupt in this bitmap would be queued once more; those are kept as events.
      std::fill(std::begin(registers_.system.interrupt_bitmap),
                std::end(registers_.system.interrupt_bitmap), 0);
      TRY(control(fd, KVM_SET_SREGS, &registers_.system, "to write system registers"));
      break;
    case kFpu:
      return write_fpu();
    case kDebug:
      TRY(control(fd, KVM_SET_DEBUGREGS, &registers_.debug, "to write debug registers"));
      break;
    case kMsrs:
      return write_msrs();
    case kXcr0: {
      if (!has_xcr0_) break;
      kvm_xcrs xcrs{};
      xcrs.nr_xcrs = 1;
      xcrs.xcrs[0].value = xcr0_;
      TRY(control(fd, KVM_SET_XCRS, &xcrs, "to write XCR0"));
      break;
    }
    case kEvents:
      // With a local APIC in the kernel, these would undo an INIT or NMI that came since they were
      // read.
      events_.flags &=
          ~static_cast<std::uint32_t>(KVM_VCPUEVENT_VALID_SMM | KVM_VCPUEVENT_VALID_NMI_PENDING);
      if (std::exchange(sets_nmi_, false)) events_.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
      TRY(control(fd, KVM_SET_VCPU_EVENTS, &events_, "to write pending events"));
      break;
    case kAll:
      break;
  }
  return {};
}

Result<void> RegisterFile::load(unsigned parts) {
  for (const Part part : kParts) {
    if ((parts & ~loaded_ & part) == 0) continue;
    TRY(read_part(part));
    loaded_ |= part;
  }
  return {};
}

Result<void> RegisterFile::flush() {
  if (dirty_ == 0) return {};
  // Writing the general registers drops a pending exception in KVM; so the events follow them.
  if ((dirty_ & kGeneral) != 0 && (loaded_ & kEvents) != 0) dirty_ |= kEvents;
  for (const Part part : kParts) {
    if ((dirty_ & part) != 0) TRY(write_part(part));
  }
  dirty_ = 0;
  return {};
}

unsigned RegisterFile::part_of(x86::Register r) {
  using x86::Register;
  switch (x86::info(r).group) {
    case x86::RegisterGroup::General:
      return r <= Register::Eflags ? kGeneral : kSystem;
    case x86::RegisterGroup::X87:
    case x86::RegisterGroup::Sse:
      return kFpu;
    case x86::RegisterGroup::Segments:
      return kSystem;
    case x86::RegisterGroup::System:
      break;
  }
  if (r >= Register::Dr0 && r <= Register::Dr7) return kDebug;
  if (r == Register::Xcr0) return kXcr0;
  if (r == Register::KernelGsBase || r >= Register::Star) return kMsrs;
  return kSystem;
}

x86::CpuState RegisterFile::assemble() const {
  x86::CpuState state = to_state(registers_);
  for (std::size_t i = 0; i < kMsrCount; ++i)
    state.*kMsrFields[i] = msrs_[i];
  state.xcr0 = xcr0_;
  return state;
}

// What conditions and page walks read, without putting a whole state together.
std::optional<std::uint64_t> RegisterFile::plain(x86::Register r) const {
  const kvm_regs& general = registers_.general;
  const kvm_sregs& system = registers_.system;
  using enum x86::Register;
  switch (r) {
    case Rax:
      return general.rax;
    case Rbx:
      return general.rbx;
    case Rcx:
      return general.rcx;
    case Rdx:
      return general.rdx;
    case Rsi:
      return general.rsi;
    case Rdi:
      return general.rdi;
    case Rbp:
      return general.rbp;
    case Rsp:
      return general.rsp;
    case R8:
      return general.r8;
    case R9:
      return general.r9;
    case R10:
      return general.r10;
    case R11:
      return general.r11;
    case R12:
      return general.r12;
    case R13:
      return general.r13;
    case R14:
      return general.r14;
    case R15:
      return general.r15;
    case Rip:
      return general.rip;
    case Cr0:
      return system.cr0;
    case Cr3:
      return system.cr3;
    case Cr4:
      return system.cr4;
    case Efer:
      return system.efer;
    default:
      return std::nullopt;
  }
}

Result<x86::RegisterValue> RegisterFile::read(x86::Register r) {
  TRY(load(part_of(r)));
  if (const auto value = plain(r)) return x86::RegisterValue::from_u64(*value);
  return x86::get_register(assemble(), r);
}

Result<void> RegisterFile::write(x86::Register r, const x86::RegisterValue& value) {
  const unsigned part = part_of(r);
  TRY(load(part | kEvents));
  x86::CpuState state = assemble();
  x86::set_register(state, r, value);
  from_state(state, registers_);
  for (std::size_t i = 0; i < kMsrCount; ++i)
    msrs_[i] = state.*kMsrFields[i];
  xcr0_ = state.xcr0;
  dirty_ |= part;
  return {};
}

Result<x86::CpuState> RegisterFile::state() {
  TRY(load(kAll & ~kEvents));
  return assemble();
}

Result<void> RegisterFile::set_state(const x86::CpuState& state) {
  TRY(load(kAll));
  from_state(state, registers_);
  for (std::size_t i = 0; i < kMsrCount; ++i)
    msrs_[i] = state.*kMsrFields[i];
  xcr0_ = state.xcr0;
  dirty_ |= kAll;
  return {};
}

}  // namespace ringside::kvm

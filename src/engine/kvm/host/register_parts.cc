#include "engine/kvm/host/register_parts.h"

#include "x86/register_table.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

namespace ringside::kvm {
namespace {

// Where each MSR of the list stands in a CpuState.
constexpr std::uint64_t x86::CpuState::*kMsrFields[] = {
    &x86::CpuState::star,         &x86::CpuState::lstar,          &x86::CpuState::cstar,
    &x86::CpuState::sfmask,       &x86::CpuState::kernel_gs_base, &x86::CpuState::sysenter_cs,
    &x86::CpuState::sysenter_esp, &x86::CpuState::sysenter_eip,   &x86::CpuState::pat,
    &x86::CpuState::tsc_aux};

}  // namespace

RegisterParts::RegisterParts(VcpuFile& file) : file_(file) {
  static_assert(std::size(kMsrFields) == kMsrCount);
}

Result<void> RegisterParts::read_msrs() {
  std::vector<kvm_msr_entry> entries;
  for (std::size_t i = 0; i < msr_count_; ++i)
    entries.push_back({kMsrNumbers[i], 0, 0});
  msr_count_ = TRY(get_msrs(file_.fd(), entries));
  for (std::size_t i = 0; i < msr_count_; ++i)
    msrs_[i] = entries[i].data;
  return {};
}

Result<void> RegisterParts::write_msrs() {
  for (std::size_t i = 0; i < msr_count_; ++i)
    TRY(set_msr(file_.fd(), kMsrNumbers[i], msrs_[i]));
  return {};
}

// KVM's FPU calls leave MXCSR, the upper halves of the YMM registers and PKRU out, and what they
// write is lost if it is noted as unused; so that is done in the XSAVE image (SDM 1 13.4), where
// KVM has it.
Result<void> RegisterParts::read_fpu() {
  TRY(control(file_.fd(), KVM_GET_FPU, &registers.fpu, "to read FPU registers"));
  XsaveArea area{};
  registers.ymm_high = {};
  registers.pkru = 0;
  if (!control(file_.fd(), number::kGetXsave, &area, "to read the extended state")) return {};
  std::memcpy(&registers.fpu.mxcsr, area.bytes + XsaveArea::kMxcsr, sizeof registers.fpu.mxcsr);
  if ((area.bytes[XsaveArea::kInUse] & XsaveArea::kAvx) != 0)
    std::memcpy(&registers.ymm_high, area.bytes + XsaveArea::kYmmHigh, sizeof registers.ymm_high);
  // KVM fills it in whether it is noted as in use or not.
  if (const unsigned place = XsaveArea::pkru_place(); place != 0)
    std::memcpy(&registers.pkru, area.bytes + place, sizeof registers.pkru);
  return {};
}

Result<void> RegisterParts::write_fpu() {
  TRY(control(file_.fd(), KVM_SET_FPU, &registers.fpu, "to write FPU registers"));
  XsaveArea area{};
  if (!control(file_.fd(), number::kGetXsave, &area, "to read the extended state")) return {};
  std::memcpy(area.bytes + XsaveArea::kMxcsr, &registers.fpu.mxcsr, sizeof registers.fpu.mxcsr);
  area.bytes[XsaveArea::kInUse] |= XsaveArea::kX87AndSse;
  // Zeros are what is not in use: a host without AVX has nothing else.
  area.bytes[XsaveArea::kInUse] &= static_cast<std::uint8_t>(~XsaveArea::kAvx);
  if (registers.ymm_high != Registers{}.ymm_high) {
    area.bytes[XsaveArea::kInUse] |= XsaveArea::kAvx;
    std::memcpy(area.bytes + XsaveArea::kYmmHigh, &registers.ymm_high, sizeof registers.ymm_high);
  }
  area.bytes[XsaveArea::kKeysInUse] &= static_cast<std::uint8_t>(~XsaveArea::kPkru);
  if (registers.pkru != 0) {
    area.bytes[XsaveArea::kKeysInUse] |= XsaveArea::kPkru;
    std::memcpy(area.bytes + XsaveArea::pkru_place(), &registers.pkru, sizeof registers.pkru);
  }
  TRY(control(file_.fd(), number::kSetXsave, &area, "to write the extended state"));
  return {};
}

Result<void> RegisterParts::read(Part part) {
  const Fd& fd = file_.fd();
  switch (part) {
    case kGeneral:
      TRY(control(fd, KVM_GET_REGS, &registers.general, "to read registers"));
      break;
    case kSystem:
      TRY(control(fd, KVM_GET_SREGS, &registers.system, "to read system registers"));
      break;
    case kFpu:
      return read_fpu();
    case kDebug:
      TRY(control(fd, KVM_GET_DEBUGREGS, &registers.debug, "to read debug registers"));
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
      TRY(control(fd, KVM_GET_VCPU_EVENTS, &events, "to read pending events"));
      break;
    case kAll:
      break;
  }
  return {};
}

Result<void> RegisterParts::write(Part part) {
  const Fd& fd = file_.fd();
  switch (part) {
    case kGeneral:
      TRY(control(fd, KVM_SET_REGS, &registers.general, "to write registers"));
      break;
    case kSystem:
      // An interrupt in this bitmap would be queued once more; those are kept as events.
      std::fill(std::begin(registers.system.interrupt_bitmap),
                std::end(registers.system.interrupt_bitmap), 0);
      TRY(control(fd, KVM_SET_SREGS, &registers.system, "to write system registers"));
      break;
    case kFpu:
      return write_fpu();
    case kDebug:
      TRY(control(fd, KVM_SET_DEBUGREGS, &registers.debug, "to write debug registers"));
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
      events.flags &=
          ~static_cast<std::uint32_t>(KVM_VCPUEVENT_VALID_SMM | KVM_VCPUEVENT_VALID_NMI_PENDING);
      if (std::exchange(sets_nmi_, false)) events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
      TRY(control(fd, KVM_SET_VCPU_EVENTS, &events, "to write pending events"));
      break;
    case kAll:
      break;
  }
  return {};
}

RegisterParts::Part RegisterParts::part_of(x86::Register r) {
  using x86::Register;
  switch (x86::info(r).group) {
    case x86::RegisterGroup::General:
      return r <= Register::Eflags ? kGeneral : kSystem;
    case x86::RegisterGroup::X87:
    case x86::RegisterGroup::Sse:
    case x86::RegisterGroup::Avx:
    case x86::RegisterGroup::ProtectionKeys:
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

x86::CpuState RegisterParts::state() const {
  x86::CpuState state = to_state(registers);
  for (std::size_t i = 0; i < kMsrCount; ++i)
    state.*kMsrFields[i] = msrs_[i];
  state.xcr0 = xcr0_;
  return state;
}

Result<void> RegisterParts::set_state(const x86::CpuState& state) {
  if (state.pkru != 0 && XsaveArea::pkru_place() == 0)
    return fail(ErrorCode::NotSupported, "this host has no protection keys, so pkru must be 0");
  from_state(state, registers);
  for (std::size_t i = 0; i < kMsrCount; ++i)
    msrs_[i] = state.*kMsrFields[i];
  xcr0_ = state.xcr0;
  return {};
}

// What conditions and page walks read, without putting a whole state together.
std::optional<std::uint64_t> RegisterParts::plain(x86::Register r) const {
  const kvm_regs& general = registers.general;
  const kvm_sregs& system = registers.system;
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

}  // namespace ringside::kvm

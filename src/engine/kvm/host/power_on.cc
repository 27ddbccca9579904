#include "engine/kvm/host/power_on.h"

#include "ringside/x86/bits.h"
#include "x86/msr_numbers.h"

namespace ringside::kvm {
namespace {

// Time goes on.
bool tells_time(std::uint32_t number) {
  return number == x86::msr::kTsc || number == x86::msr::kTscAdjust;
}

// All that can be read of those that KVM names.
Result<std::vector<kvm_msr_entry>> read_all(const Fd& kvm, const Fd& vcpu) {
  std::vector<kvm_msr_entry> wanted;
  for (const std::uint32_t number : TRY(msr_numbers(kvm))) {
    if (!tells_time(number)) wanted.push_back({number, 0, 0});
  }
  std::vector<kvm_msr_entry> result;
  while (!wanted.empty()) {
    const auto done = static_cast<std::ptrdiff_t>(TRY(get_msrs(vcpu, wanted)));
    result.insert(result.end(), wanted.begin(), wanted.begin() + done);
    const bool one_failed = done < static_cast<std::ptrdiff_t>(wanted.size());
    wanted.erase(wanted.begin(), wanted.begin() + done + (one_failed ? 1 : 0));
  }
  return result;
}

}  // namespace

Result<PowerOnState> PowerOnState::take(const Fd& kvm, const Fd& vcpu, bool kernel_apic) {
  PowerOnState state;
  state.msrs_ = TRY(read_all(kvm, vcpu));
  const auto extended = std::make_shared<XsaveArea>();
  if (control(vcpu, number::kGetXsave, extended.get(), "to read the extended state"))
    state.extended_ = extended;
  if (kernel_apic) state.apic_ = TRY(LocalApicPage::get(vcpu));
  return state;
}

Result<void> PowerOnState::restore_fpu(const Fd& vcpu) const {
  if (!extended_) return {};
  XsaveArea copy = *extended_;
  TRY(control(vcpu, number::kSetXsave, &copy, "to write the extended state"));
  return {};
}

// An MSR that has its value already is left alone: some cannot be written, or do something when
// they are.
Result<void> PowerOnState::restore_rest(const Fd& vcpu) const {
  for (const kvm_msr_entry& msr : msrs_) {
    const Result<std::uint64_t> now = get_msr(vcpu, msr.index);
    if (now && *now != msr.data) (void)set_msr(vcpu, msr.index, msr.data);
  }
  if (apic_) TRY(apic_->set(vcpu));
  return {};
}

}  // namespace ringside::kvm

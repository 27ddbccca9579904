#include "engine/kvm/kvm_setup.h"

#include <iterator>
#include <string>
#include <string_view>

#include "base/log.h"
#include "engine/kvm/host/api.h"
#include "x86/msr_numbers.h"

namespace ringside::kvm {
namespace {

// Pages that KVM needs for itself on processors without unrestricted guest mode; below the APICs,
// where no slot lies.
constexpr std::uint64_t kIdentityMap = 0xfeffc000, kTss = 0xfeffd000;

Result<void> give_memory(System& system) {
  TRY(control(system.vm, KVM_SET_TSS_ADDR, static_cast<unsigned long>(kTss), "its TSS address"));
  std::uint64_t identity = kIdentityMap;
  TRY(control(system.vm, KVM_SET_IDENTITY_MAP_ADDR, &identity, "its identity map"));
  return system.slots.add_all(system.ram);
}

// Why KVM's own do not serve; empty if they do.
std::string_view controllers_lack(const Facts& facts, unsigned vcpus) {
  if (!facts.interrupt_controllers || !facts.timer || !facts.block_interrupts)
    return "this host's KVM has no interrupt controllers of its own that a debugger can use";
  if (vcpus > 1 && !facts.starts_processors)
    return "this host's KVM starts no second vCPU with interrupt controllers of its own";
  return "";
}

// IA32_APIC_BASE and the deadline timer belong to the machine's APICs. Old kernels cannot hand
// them over; then the APIC's place cannot be moved.
Result<void> ask_for_msrs(System& system) {
  kvm_enable_cap cap{};
  cap.cap = KVM_CAP_X86_USER_SPACE_MSR;
  cap.args[0] = KVM_MSR_EXIT_REASON_FILTER;
  if (!control(system.vm, KVM_ENABLE_CAP, &cap, "MSR exits")) return {};
  std::uint8_t nothing_allowed = 0;
  kvm_msr_filter filter{};
  filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW;
  const std::uint32_t numbers[] = {x86::msr::kApicBase, x86::msr::kTscDeadline};
  for (std::size_t i = 0; i < std::size(numbers); ++i) {
    kvm_msr_filter_range& range = filter.ranges[i];
    range.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
    range.base = numbers[i];
    range.nmsrs = 1;
    range.bitmap = &nothing_allowed;
  }
  TRY(control(system.vm, KVM_X86_SET_MSR_FILTER, &filter, "an MSR filter"));
  return {};
}

}  // namespace

Result<void> create_machine(System& system) {
  system.kvm = TRY(open_kvm());
  system.vm = TRY(create_vm(system.kvm));
  return give_memory(system);
}

Result<void> choose_controllers(System& system, const Options& options) {
  using Whose = Options::Controllers;
  if (options.controllers == Whose::Machine) return ask_for_msrs(system);
  const std::string_view lack = controllers_lack(system.facts, options.vcpus);
  if (lack.empty()) return system.controllers.emplace(system.vm).create();
  if (options.controllers == Whose::Kernel) return fail(ErrorCode::NotSupported, std::string(lack));
  log::debug("kvm: the machine's interrupt controllers serve: {}", lack);
  return ask_for_msrs(system);
}

}  // namespace ringside::kvm

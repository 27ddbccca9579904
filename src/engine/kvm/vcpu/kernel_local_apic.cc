#include "engine/kvm/vcpu/kernel_local_apic.h"

#include "x86/msr_numbers.h"

#include <optional>

namespace ringside::kvm {

Result<hypervisor::LocalApicImage> KernelLocalApic::image() const {
  const LocalApicPage page = TRY(LocalApicPage::get(core_.file.fd()));
  return page.image(core_.id, TRY(get_msr(core_.file.fd(), x86::msr::kApicBase)));
}

Result<void> KernelLocalApic::find_page() const {
  using namespace x86::apic;
  const std::uint64_t base = TRY(get_msr(core_.file.fd(), x86::msr::kApicBase));
  if ((base & (kBaseX2apic | kBaseEnable)) == kBaseEnable) return {};
  return fail(ErrorCode::BadAddress, "the local APIC is not in memory");
}

Result<std::uint32_t> KernelLocalApic::read(std::uint64_t offset) const {
  TRY(find_page());
  if ((offset & 0xc) != 0) return 0u;  // registers are 32 bits wide, one in each 16 bytes
  return TRY(LocalApicPage::get(core_.file.fd())).reg(static_cast<unsigned>(offset >> 4)) >>
         (8 * (offset & 3));
}

Result<void> KernelLocalApic::write(std::uint64_t offset, std::uint32_t value) {
  TRY(find_page());
  if ((offset & 0xf) != 0) return {};
  std::optional<ApicCommand> message;
  {
    const Handover::Lock lock = handover_.lock();
    const bool out = !handover_.is_in_guest(lock);
    if (out) TRY(core_.registers.flush());
    const auto lines = core_.system.controllers->hold_lines();
    LocalApicPage page = TRY(LocalApicPage::get(core_.file.fd()));
    message = page.write(static_cast<unsigned>(offset >> 4), value);
    TRY(page.set(core_.file.fd()));
    if (out) core_.registers.drop();  // CR8 is the APIC's
  }
  if (message) send(*message);
  return {};
}

void KernelLocalApic::send(ApicCommand message) {
  using Shorthand = ApicCommand::Shorthand;
  KernelControllers& controllers = *core_.system.controllers;
  if (message.shorthand == Shorthand::None) return controllers.send(message);
  message.logical = false;
  for (std::uint32_t vcpu = 0; vcpu < core_.system.vcpus; ++vcpu) {
    const bool self = vcpu == core_.id.value;
    if (self ? message.shorthand == Shorthand::Others : message.shorthand == Shorthand::Self)
      continue;
    message.destination = vcpu;
    controllers.send(message);
  }
}

}  // namespace ringside::kvm

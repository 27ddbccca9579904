// KVM's own 8259s, I/O APIC and 8254, in the kernel (docs/decisions/0022). Owned by the engine; any
// thread. The local APICs belong to the vCPUs' files (LocalApicPage).
#pragma once

#include <linux/kvm.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <mutex>

#include "base/fd.h"
#include "base/result.h"
#include "engine/kvm/host/local_apic_page.h"
#include "platform/controllers.h"

namespace ringside::kvm {

class KernelControllers {
 public:
  explicit KernelControllers(const Fd& vm) : vm_(vm) {}
  // Before the first vCPU is created.
  Result<void> create();
  // As create() has left them, all lines low. While every vCPU is out of KVM_RUN.
  Result<void> reset();

  // A device's line. Line 0 is the kernel's own timer's, unless that is replaced.
  void set_line(unsigned line, bool asserted);
  // By the HPET, which has its line then; or no longer.
  void replace_timer(bool on);
  // To one vCPU's local APIC or to those that a destination names.
  void send(const ApicCommand& message);
  // A device's write to a place for interrupts. That no vCPU takes it is the guest's affair.
  void send_message(std::uint64_t address, std::uint32_t data);

  Result<hypervisor::IoApicImage> io_apic();
  Result<hypervisor::PicPairImage> pics();
  // A debugger's access. Nothing where there is no register.
  Result<std::uint32_t> read_io_apic(std::uint64_t offset);
  Result<void> write_io_apic(std::uint64_t offset, std::uint32_t value);

  // An interrupt that an 8259 has given away and that was not delivered: it requests it again.
  void take_back_from_pics(std::uint8_t vector);
  // Held while a controller is read, changed and written back: no line of a device changes then.
  std::unique_lock<std::mutex> hold_lines() { return std::unique_lock(lines_lock_); }

 private:
  Result<kvm_irqchip> get(std::uint32_t chip);
  Result<void> set(kvm_irqchip& chip);
  bool take_back(std::uint32_t chip, std::uint8_t vector);
  Result<void> put_line(unsigned line, bool asserted);
  bool timer_is_replaced() const;

  static constexpr std::uint32_t kChips[] = {KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
                                             KVM_IRQCHIP_IOAPIC};
  const Fd& vm_;
  std::mutex lines_lock_;
  // As at power-on.
  std::array<kvm_irqchip, std::size(kChips)> chips_{};
  kvm_pit_state2 timer_{};
};

}  // namespace ringside::kvm

// One vCPU's local APIC as KVM keeps it: the page of registers of SDM 3A table 10-1. A copy;
// whoever reads it, changes it and writes it back sees to it that no interrupt comes between.
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "platform/controllers.h"
#include "x86/apic_registers.h"

namespace ringside::kvm {

// What a write to the command register asks for.
struct ApicCommand {
  using Shorthand = x86::apic::Shorthand;
  Shorthand shorthand = Shorthand::None;
  std::uint32_t destination = 0;
  bool logical = false;
  std::uint8_t vector = 0;
  x86::apic::DeliveryMode mode = x86::apic::DeliveryMode::Fixed;
};

class LocalApicPage {
 public:
  LocalApicPage() = default;
  explicit LocalApicPage(const kvm_lapic_state& state) : state_(state) {}
  static Result<LocalApicPage> get(const Fd& vcpu);
  Result<void> set(const Fd& vcpu) const;

  // By number: the offset in the page / 16.
  std::uint32_t reg(unsigned number) const;
  // As the guest would write it. What is to be sent is returned, and not yet sent.
  std::optional<ApicCommand> write(unsigned number, std::uint32_t value);
  bool requests(std::uint8_t vector) const { return bit(x86::apic::kRequest, vector); }
  // From in service back to requested; false if it is not in service.
  bool take_back(std::uint8_t vector);
  hypervisor::LocalApicImage image(VcpuId vcpu, std::uint64_t base) const;

 private:
  void put(unsigned number, std::uint32_t value);
  bool bit(unsigned first, std::uint8_t vector) const {
    return (reg(first + vector / 32) >> vector % 32 & 1) != 0;
  }
  void set_bit(unsigned first, std::uint8_t vector, bool value);
  void end_of_interrupt();

  kvm_lapic_state state_{};
};

}  // namespace ringside::kvm

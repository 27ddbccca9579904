// Interrupt controllers as a debugger is shown them, whoever has them: the machine's devices or an
// engine's own. Plain values, named as in the manuals (SDM 3A chapter 11; Intel 82093AA; 8259A).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "ringside/types.h"
#include "x86/apic_registers.h"

namespace ringside::hypervisor {

struct LocalApicImage {
  using Bits = std::array<std::uint32_t, 8>;

  VcpuId vcpu;
  std::uint64_t base = 0;     // IA32_APIC_BASE
  std::uint64_t command = 0;  // ICR
  Bits in_service{}, request{};
  std::array<std::uint32_t, x86::apic::kLvtCount> lvt{};  // by x86::apic::LocalVector
  std::uint32_t logical_id = 0, destination_format = 0, spurious = 0, error_status = 0;
  std::uint32_t divide = 0, initial_count = 0, current_count = 0;
  std::uint8_t task_priority = 0, processor_priority = 0;
};

struct IoApicImage {
  static constexpr unsigned kPins = x86::io_apic::kPins;
  std::array<std::uint64_t, kPins> entry{};
  std::uint32_t pins = 0;  // asserted
  std::uint32_t select = 0;
  std::uint8_t id = 0;
  std::uint8_t version = 0;
};

struct PicImage {
  std::uint8_t request = 0, mask = 0, service = 0, level_triggered = 0;
  std::uint8_t vector_base = 0, read_service = 0, fully_nested_special = 0;
  std::uint8_t first = 0;  // the line with the highest priority
};

struct PicPairImage {
  // The vectors that a PC's BIOS leaves.
  static constexpr std::uint8_t kBiosMasterVectors = 0x08, kBiosSlaveVectors = 0x70;
  PicImage master, slave;
};

// Of an engine that has the controllers itself; the machine's then stand idle. For a debugger
// alone: no device asks.
//
// Main thread, without a lock that a device access takes: a vCPU may have to leave the guest first.
class ControllerViews {
 public:
  virtual ~ControllerViews() = default;
  // Nothing where the engine could not find out.
  virtual std::optional<LocalApicImage> local_apic(VcpuId vcpu) = 0;
  virtual std::optional<IoApicImage> io_apic() = 0;
  virtual std::optional<PicPairImage> pics() = 0;
};

}  // namespace ringside::hypervisor

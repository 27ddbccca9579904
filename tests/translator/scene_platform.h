// What a scene's processor is connected to: pins that alarms set, ports and a page of registers
// that remember each access with its moment, and a few that act on the processor at once. One for
// each engine.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "platform/guest_ram.h"
#include "platform/platform.h"
#include "translator/scene.h"

namespace ringside::testing {

// Ports and registers, by what an access does beside being remembered.
namespace scene_port {
inline constexpr std::uint16_t kAlarm = 0x80;  // OUT: an interrupt comes in so many nanoseconds
inline constexpr std::uint16_t kSlow = 0x81;   // IN: every other one waits a while
}  // namespace scene_port
namespace scene_register {
inline constexpr std::uint64_t kPage = 0xd0000000;  // physical
inline constexpr std::uint64_t kRaise = 0x10;       // a write raises the interrupt pin
inline constexpr std::uint64_t kCopy = 0x20;  // bits 20:8 of what is written: an offset to kTarget,
                                              // where the device writes bits 7:0
inline constexpr std::uint64_t kTarget = 0x10000;
}  // namespace scene_register

class ScenePlatform final : public hypervisor::Platform {
 public:
  explicit ScenePlatform(const Scene& scene);
  // Before the first instruction.
  void connect(hypervisor::CpuPort& cpus, hypervisor::GuestRam& ram);
  // Each access so far, in words.
  const std::vector<std::string>& accesses() const { return accesses_; }

  hypervisor::Access port_read(VcpuId, std::uint16_t port, unsigned width,
                               std::uint32_t& value) override;
  hypervisor::Access port_write(VcpuId, std::uint16_t port, unsigned width,
                                std::uint32_t value) override;
  bool mmio_read(VcpuId, Gpa address, unsigned width, std::uint64_t& value) override;
  bool mmio_write(VcpuId, Gpa address, unsigned width, std::uint64_t value) override;
  bool mmio_peek(VcpuId, Gpa, unsigned, std::uint64_t&) const override { return false; }
  bool is_mmio(Gpa address) const override {
    return (address.value & kPageMask) == scene_register::kPage;
  }
  std::optional<std::uint8_t> acknowledge_interrupt(VcpuId) override;
  std::uint8_t task_priority(VcpuId) override { return 0; }
  void set_task_priority(VcpuId, std::uint8_t) override {}
  bool apic_msr_read(VcpuId, std::uint32_t msr, std::uint64_t& value) override;
  bool apic_msr_write(VcpuId, std::uint32_t, std::uint64_t) override { return false; }
  VirtualTime next_event() const override;
  void run_events(VirtualTime now) override;

 private:
  void remember(const char* what, std::uint64_t where, unsigned width, std::uint64_t value);
  void raise(std::uint8_t vector);

  hypervisor::CpuPort* cpus_ = nullptr;
  hypervisor::GuestRam* ram_ = nullptr;
  std::deque<Alarm> alarms_;
  VirtualTime armed_ = kNever, retry_ = kNever;
  std::optional<std::uint8_t> pending_;
  bool answers_ = false;  // the slow port
  std::uint64_t reads_ = 0;
  std::vector<std::string> accesses_;
};

}  // namespace ringside::testing

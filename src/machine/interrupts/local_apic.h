// The local APIC of one vCPU (SDM 3A chapter 10), in xAPIC and x2APIC mode. Owned by ApicBus, which
// carries what it sends. Drives the vCPU's INTR, NMI, INIT and start-up inputs.
//
// Left out: SMI, CMCI, suppression of EOI broadcasts, a writable APIC ID. Interrupts are delivered
// at once, so no delivery status is ever pending.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "machine/bus/device.h"
#include "machine/clocks/event_queue.h"
#include "machine/interrupts/apic_message.h"
#include "machine/interrupts/apic_timer.h"
#include "platform/controllers.h"

namespace ringside::machine {

class LocalApic;

// What a local APIC needs from the world outside its vCPU.
class ApicFabric {
 public:
  virtual ~ApicFabric() = default;
  // Delivers to the APICs that `message` names; `sender` is left out if `exclude_sender`.
  virtual void send(const ApicMessage& message, const LocalApic& sender, bool exclude_sender) = 0;
  // The end of a level-triggered interrupt.
  virtual void broadcast_eoi(std::uint8_t vector) = 0;
  // The interrupt acknowledge cycle of the 8259 pair.
  virtual std::uint8_t acknowledge_external() = 0;
  // The vector that it would give now.
  virtual std::uint8_t peek_external() const = 0;
};

class LocalApic final : public Device, private EventSink {
 public:
  LocalApic(VcpuId vcpu, ApicFabric& fabric, EventQueue& events, hypervisor::CpuPort& cpus);

  void reset() override;  // power-on, with LINT0 as firmware leaves it on the boot processor
  void visit_state(StateVisitor& visitor) override;

  // Registers by number: the MMIO offset / 16, or the x2APIC MSR - 0x800. False: not there, not in
  // this mode, or not allowed; #GP for an MSR, an APIC error for MMIO.
  bool read_register(unsigned number, std::uint64_t& value) const;
  bool write_register(unsigned number, std::uint64_t value);
  std::uint32_t read_mmio(unsigned number);
  // The same for a debugger, to whom a register that is not there is no error of the guest's.
  std::uint32_t peek_mmio(unsigned number) const;
  void write_mmio(unsigned number, std::uint32_t value);

  std::uint64_t base() const { return state_.base; }
  bool set_base(std::uint64_t value);  // IA32_APIC_BASE; false: #GP(0)
  bool enabled() const { return (state_.base & x86::apic::kBaseEnable) != 0; }
  bool x2apic() const { return (state_.base & x86::apic::kBaseX2apic) != 0; }
  std::uint64_t tsc_deadline() const { return timer_.deadline(); }
  void set_tsc_deadline(std::uint64_t tsc) { timer_.set_deadline(tsc); }

  std::uint8_t task_priority() const { return state_.task_priority; }
  void set_task_priority(std::uint8_t priority);
  std::uint8_t processor_priority() const;

  // The vCPU takes an interrupt; nothing when the request is gone.
  std::optional<std::uint8_t> acknowledge();
  // What acknowledge() would give now. Looking changes nothing.
  std::optional<std::uint8_t> peek_interrupt() const;
  // The LINT0 input, wired to the 8259 pair.
  void set_lint0(bool asserted);

  bool matches(std::uint32_t destination, DestinationMode mode) const;
  bool accepts_fixed() const { return enabled() && software_enabled(); }
  // False when the message was refused.
  bool accept(const ApicMessage& message);

  VcpuId vcpu() const { return vcpu_; }
  hypervisor::LocalApicImage image() const;

 private:
  using Bits = std::array<std::uint32_t, 8>;

  struct State {
    std::uint64_t base = 0;
    std::uint64_t command = 0;  // ICR
    Bits in_service{}, trigger_mode{}, request{};
    std::array<std::uint32_t, x86::apic::kLvtCount> lvt{};
    std::uint32_t logical_destination = 0;  // LDR in xAPIC mode
    std::uint32_t destination_format = 0xffffffff;
    std::uint32_t spurious = 0xff;
    std::uint32_t errors = 0;        // since the last write of ESR
    std::uint32_t error_status = 0;  // ESR as read
    std::uint8_t task_priority = 0;
    std::uint8_t lint0 = 0;
    std::uint8_t pin = 0;  // what the vCPU was last told
    std::uint8_t padding[9] = {};
  };

  static_assert(std::has_unique_object_representations_v<State>);

  void run_event(unsigned code, VirtualTime due) override;

  bool software_enabled() const { return (state_.spurious & x86::apic::kSoftwareEnable) != 0; }
  bool boot_processor() const { return vcpu_.value == 0; }
  std::uint32_t logical_id() const;
  void clear_registers();

  std::optional<std::uint64_t> lvt_or_bits(unsigned number) const;
  void write_spurious(std::uint32_t value);
  bool write_lvt(x86::apic::LocalVector entry, std::uint32_t value);
  void write_command(std::uint64_t value);
  void end_of_interrupt();
  void deliver_local(x86::apic::LocalVector entry);
  void request_vector(std::uint8_t vector, TriggerMode trigger);
  void report_error(std::uint32_t bit);
  bool external_ready() const;
  bool fixed_ready() const;
  void update_pin();

  VcpuId vcpu_;
  ApicFabric& fabric_;
  hypervisor::CpuPort& cpus_;
  ApicTimer timer_;
  State state_;
};

}  // namespace ringside::machine

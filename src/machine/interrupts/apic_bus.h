// All local APICs and what travels between them, the I/O APIC and the 8259 pair. Owned by Machine.
#pragma once

#include <memory>
#include <vector>

#include "machine/interrupts/local_apic.h"

namespace ringside::machine {

// The I/O APIC, as the end of an interrupt reaches it.
class EoiListener {
 public:
  virtual ~EoiListener() = default;
  virtual void end_of_interrupt(std::uint8_t vector) = 0;
};

// The 8259 pair, as a processor's acknowledge cycle reaches it.
class ExternalInterrupts {
 public:
  virtual ~ExternalInterrupts() = default;
  virtual std::uint8_t acknowledge() = 0;
  virtual std::uint8_t peek_vector() const = 0;  // that it would give now
};

class ApicBus final : public Device, public ApicFabric {
 public:
  ApicBus(unsigned vcpus, EventQueue& events, hypervisor::CpuPort& cpus);

  void connect(EoiListener* listener) { eoi_listener_ = listener; }
  void connect(ExternalInterrupts* external) { external_ = external; }

  LocalApic& apic(VcpuId vcpu) { return *apics_[vcpu.value]; }
  const LocalApic& apic(VcpuId vcpu) const { return *apics_[vcpu.value]; }
  unsigned count() const { return static_cast<unsigned>(apics_.size()); }

  // From the I/O APIC. False: nobody took it.
  bool deliver(const ApicMessage& message) { return deliver(message, nullptr); }
  // The output of the 8259 pair: LINT0 of every local APIC.
  void set_external(bool asserted);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  void send(const ApicMessage& message, const LocalApic& sender, bool exclude_sender) override;
  void broadcast_eoi(std::uint8_t vector) override;
  std::uint8_t acknowledge_external() override;
  std::uint8_t peek_external() const override;

 private:
  bool deliver(const ApicMessage& message, const LocalApic* excluded);
  LocalApic* lowest_priority(const ApicMessage& message, const LocalApic* excluded);

  std::vector<std::unique_ptr<LocalApic>> apics_;
  EoiListener* eoi_listener_ = nullptr;
  ExternalInterrupts* external_ = nullptr;
};

}  // namespace ringside::machine

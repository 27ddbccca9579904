// Which controller inputs a device's line reaches. ISA lines go to the 8259 pair and to the I/O
// APIC, the timer's line 0 to I/O APIC pin 2 (as the MADT tells the guest); lines from 16 up exist
// only on the I/O APIC. An engine with controllers of its own takes the lines itself. Owned by
// Machine.
#pragma once

#include "machine/bus/interrupt_line.h"
#include "machine/bus/message_sink.h"
#include "machine/interrupts/apic_bus.h"
#include "machine/interrupts/io_apic.h"
#include "machine/interrupts/pic.h"
#include "platform/platform.h"

namespace ringside::machine {

class InterruptRouter final : public InterruptSink, public MessageSink {
 public:
  InterruptRouter(hypervisor::CpuPort& cpus, PicPair& pics, IoApic& io_apic, ApicBus& apics)
      : cpus_(cpus), pics_(pics), io_apic_(io_apic), apics_(apics) {}

  void set_line(unsigned line, bool asserted) override {
    if (cpus_.interrupt_line(line, asserted)) return;
    if (line < 16) pics_.set_line(line, asserted);
    io_apic_.set_pin(line == 0 ? 2 : line, asserted);
  }
  void send_message(std::uint64_t address, std::uint32_t data) override {
    const std::optional<ApicMessage> message = message_of(address, data);
    if (!message || cpus_.interrupt_message(address, data)) return;
    apics_.deliver(*message);
  }

 private:
  hypervisor::CpuPort& cpus_;
  PicPair& pics_;
  IoApic& io_apic_;
  ApicBus& apics_;
};

// The output of the 8259 pair, wired to LINT0 of every local APIC.
class Lint0Wire final : public InterruptSink {
 public:
  explicit Lint0Wire(ApicBus& apics) : apics_(apics) {}
  void set_line(unsigned, bool asserted) override { apics_.set_external(asserted); }

 private:
  ApicBus& apics_;
};

}  // namespace ringside::machine

#include "machine/machine.h"

#include <mutex>
#include <utility>

#include "machine/bus.h"
#include "machine/cpu_link.h"
#include "machine/debug_ports.h"
#include "machine/event_queue.h"
#include "machine/interrupt_line.h"
#include "machine/serial_port.h"

namespace ringside::machine {
namespace {

struct NoInterrupts final : InterruptSink {
  void set_line(unsigned, bool) override {}
};

}  // namespace

struct Machine::Parts {
  Parts(hypervisor::GuestRam& guest_ram, MachineOptions given);

  // Engines with vCPU threads call from all of them. Recursive, because an engine may ask back from
  // within a CpuPort call.
  std::recursive_mutex lock;
  hypervisor::GuestRam& ram;
  MachineOptions options;
  CpuLink cpus;
  EventQueue events{cpus};
  NoInterrupts lines;
  PortBus ports;
  MmioBus mmio;
  SerialPort com1, com2;
  DebugExit debug_exit{cpus};
  DebugConsole debug_console;
  std::vector<Device*> devices;  // in the order in which they are reset and saved
};

Machine::Parts::Parts(hypervisor::GuestRam& guest_ram, MachineOptions given)
    : ram(guest_ram),
      options(std::move(given)),
      com1(0x3f8, {lines, 4}, options.serial[0]),
      com2(0x2f8, {lines, 3}, options.serial[1]),
      debug_console(options.debugcon),
      devices{&com1, &com2} {
  ports.claim(0x3f8, SerialPort::kPorts, com1);
  ports.claim(0x2f8, SerialPort::kPorts, com2);
  if (options.debug_exit)
    ports.claim(DebugExit::kPort, DebugExit::kPorts, debug_exit);
  if (options.debugcon) {
    ports.claim(DebugConsole::kPort, 1, debug_console);
    ports.claim(DebugConsole::kBochsPort, 1, debug_console);
  }
}

using Lock = std::lock_guard<std::recursive_mutex>;

Machine::Machine(hypervisor::GuestRam& ram, MachineOptions options)
    : parts_(std::make_unique<Parts>(ram, std::move(options))) {
  reset();
}
Machine::~Machine() = default;

void Machine::connect(hypervisor::CpuPort& cpus) {
  Lock lock(parts_->lock);
  parts_->cpus.connect(cpus);
}

void Machine::reset() {
  Lock lock(parts_->lock);
  for (Device* device : parts_->devices)
    device->reset();
}

void Machine::visit_state(StateVisitor& visitor) {
  Lock lock(parts_->lock);
  for (Device* device : parts_->devices)
    device->visit_state(visitor);
  parts_->events.visit_state(visitor);
}

std::size_t Machine::serial_room(unsigned port) const {
  Lock lock(parts_->lock);
  return (port == 0 ? parts_->com1 : parts_->com2).room();
}

void Machine::input(const SerialInput& input) {
  Lock lock(parts_->lock);
  (input.port == 0 ? parts_->com1 : parts_->com2).receive(input.bytes);
}

void Machine::input(const GuestGdbInput&) {}
void Machine::input(const GuestGdbConnection&) {}

hypervisor::Access Machine::port_read(VcpuId vcpu, std::uint16_t port, unsigned width,
                                      std::uint32_t& value) {
  Lock lock(parts_->lock);
  return parts_->ports.read({vcpu, port, width}, value);
}

hypervisor::Access Machine::port_write(VcpuId vcpu, std::uint16_t port, unsigned width,
                                       std::uint32_t value) {
  Lock lock(parts_->lock);
  return parts_->ports.write({vcpu, port, width}, value);
}

bool Machine::mmio_read(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t& value) {
  Lock lock(parts_->lock);
  const MmioBus::Range* range = parts_->mmio.find(address);
  if (range == nullptr)
    return false;
  value = range->device->read_mmio({vcpu, address.value - range->base.value, width});
  return true;
}

bool Machine::mmio_write(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t value) {
  Lock lock(parts_->lock);
  const MmioBus::Range* range = parts_->mmio.find(address);
  if (range == nullptr)
    return false;
  range->device->write_mmio({vcpu, address.value - range->base.value, width}, value);
  return true;
}

bool Machine::is_mmio(Gpa address) const {
  Lock lock(parts_->lock);
  return parts_->mmio.find(address) != nullptr;
}

std::optional<std::uint8_t> Machine::acknowledge_interrupt(VcpuId) {
  return std::nullopt;
}
std::uint8_t Machine::task_priority(VcpuId) {
  return 0;
}
void Machine::set_task_priority(VcpuId, std::uint8_t) {}
bool Machine::apic_msr_read(VcpuId, std::uint32_t, std::uint64_t&) {
  return false;
}
bool Machine::apic_msr_write(VcpuId, std::uint32_t, std::uint64_t) {
  return false;
}

VirtualTime Machine::next_event() const {
  Lock lock(parts_->lock);
  return parts_->events.next();
}

void Machine::run_events(VirtualTime now) {
  Lock lock(parts_->lock);
  parts_->events.run(now);
}

}  // namespace ringside::machine

#include "machine/machine.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "machine/machine_parts.h"
#include "x86/msr_numbers.h"

namespace ringside::machine {
namespace {

namespace msr = x86::msr;

// From the page of a local APIC, whose registers are 32 bits wide, one in each 16 bytes; `get` is
// asked for the one that the address lies in, by number.
template <typename Get>
std::uint64_t apic_value(Gpa address, unsigned width, Get get) {
  const unsigned offset = address.value & 0xfff;
  if ((offset & 0xc) != 0) return 0;
  return (std::uint64_t{get(offset >> 4)} >> (8 * (offset & 3))) & all_ones(width);
}

}  // namespace

Machine::Machine(hypervisor::GuestRam& ram, MachineOptions options)
    : parts_(std::make_unique<Parts>(ram, std::move(options))) {
  reset();
}
Machine::~Machine() = default;

void Machine::connect(hypervisor::CpuPort& cpus, hypervisor::ControllerViews* views) {
  Lock lock(*parts_);
  parts_->cpus.connect(cpus);
  parts_->engines_controllers = views;
}

void Machine::send_nmi(VcpuId vcpu) {
  Lock lock(*parts_);
  parts_->cpus.non_maskable_interrupt(vcpu);
}

bool Machine::press_power_button() {
  Lock lock(*parts_);
  return parts_->power.press_button();
}

void Machine::reset() {
  Lock lock(*parts_);
  parts_->reset_devices(Parts::Power::On);
}

void Machine::set_firmware_kernel(FirmwareKernel kernel) {
  Lock lock(*parts_);
  parts_->firmware.set_kernel(std::move(kernel));
}

void Machine::visit_state(StateVisitor& visitor) {
  Lock lock(*parts_);
  for (Device* device : parts_->devices)
    device->visit_state(visitor);
  parts_->events.visit_state(visitor);
  visitor.expect(parts_->guest_gdb.only_below_wait(parts_->options.vcpus));
}

std::size_t Machine::serial_room(unsigned port) const {
  Lock lock(*parts_);
  return (port == 0 ? parts_->com1 : parts_->com2).room();
}

std::size_t Machine::guest_gdb_room() const {
  Lock lock(*parts_);
  return parts_->guest_gdb.room();
}

bool Machine::network_has_room() const {
  Lock lock(*parts_);
  return parts_->network && parts_->network->device.has_room();
}

bool Machine::vsock_has_room() const {
  Lock lock(*parts_);
  return parts_->vsock && parts_->vsock->device.has_room();
}

std::size_t Machine::console_room() const {
  Lock lock(*parts_);
  return parts_->console ? parts_->console->device.room() : 0;
}

std::size_t Machine::keyboard_room() const {
  Lock lock(*parts_);
  return parts_->keyboard.room();
}

std::optional<TextScreen> Machine::text_screen() const {
  Lock lock(*parts_);
  if (!parts_->text_card) return std::nullopt;
  return parts_->text_card->screen();
}

std::size_t Machine::random_wanted() const {
  Lock lock(*parts_);
  const auto& random = parts_->random;
  const bool waits = random && random->transport != nullptr && random->transport->awaits_input();
  return waits ? random->device.wanted() : 0;
}

bool Machine::awaits_room() const {
  Lock lock(*parts_);
  return std::any_of(parts_->virtio.begin(), parts_->virtio.end(),
                     [](const VirtioTransport* device) { return device->awaits_room(); });
}

std::optional<std::string> Machine::share_in_use() const {
  Lock lock(*parts_);
  for (std::size_t i = 0; i < parts_->shares.size(); ++i) {
    if (parts_->shares[i]->device.is_in_use()) return parts_->options.shares[i].tag;
  }
  return std::nullopt;
}

void Machine::input(const SerialInput& input) {
  Lock lock(*parts_);
  (input.port == 0 ? parts_->com1 : parts_->com2).receive(input.bytes);
}

void Machine::input(const GuestGdbInput& input) {
  Lock lock(*parts_);
  parts_->guest_gdb.receive(input.bytes);
}

void Machine::input(const GuestGdbConnection& input) {
  Lock lock(*parts_);
  parts_->guest_gdb.set_connected(input.connected);
}

void Machine::input(const NetworkInput& input) {
  Lock lock(*parts_);
  if (parts_->network) parts_->network->take(input.bytes);
}

void Machine::input(const ShareInput& input) {
  Lock lock(*parts_);
  if (input.share < parts_->shares.size()) parts_->shares[input.share]->take(input.bytes);
}

void Machine::input(const ConsoleInput& input) {
  Lock lock(*parts_);
  if (parts_->console) parts_->console->take(input.bytes);
}

void Machine::input(const KeyInput& input) {
  Lock lock(*parts_);
  parts_->keyboard.receive(input.bytes);
}

void Machine::set_disk_witness(DiskWitness* witness) {
  for (const std::unique_ptr<VirtioBlock>& disk : parts_->disks)
    disk->set_witness(witness);
}

void Machine::input(const VsockInput& input) {
  Lock lock(*parts_);
  if (parts_->vsock) parts_->vsock->take(input.bytes);
}

void Machine::input(const RandomInput& input) {
  Lock lock(*parts_);
  if (parts_->random) parts_->random->take(input.bytes);
}

hypervisor::Access Machine::port_read(VcpuId vcpu, std::uint16_t port, unsigned width,
                                      std::uint32_t& value) {
  Lock lock(*parts_);
  return parts_->ports.read({vcpu, port, width}, value);
}

hypervisor::Access Machine::port_write(VcpuId vcpu, std::uint16_t port, unsigned width,
                                       std::uint32_t value) {
  Lock lock(*parts_);
  return parts_->ports.write({vcpu, port, width}, value);
}

bool Machine::takes_write(VcpuId vcpu, std::uint16_t port, unsigned width) {
  Lock lock(*parts_);
  if (parts_->ports.takes_write({vcpu, port, width})) return true;
  parts_->held |= std::uint64_t{1} << vcpu.value;
  return false;
}

void Machine::output_has_room() {
  Lock lock(*parts_);
  const std::uint64_t held = std::exchange(parts_->held, 0);
  for (std::uint32_t i = 0; i < parts_->options.vcpus; ++i) {
    if ((held >> i & 1) != 0) parts_->cpus.retry({i});
  }
  if (parts_->worker() != nullptr) parts_->cpus.deadline_moved();
}

bool Machine::mmio_read(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t& value) {
  Lock lock(*parts_);
  if (LocalApic* apic = parts_->apic_page(vcpu, address)) {
    const auto read = [apic](unsigned number) { return apic->read_mmio(number); };
    value = apic_value(address, width, read);
    return true;
  }
  const MmioBus::Range* range = parts_->mmio.find(address);
  if (range == nullptr) return false;
  value = range->device->read_mmio({vcpu, address.value - range->base.value, width});
  value &= all_ones(width);
  return true;
}

bool Machine::mmio_peek(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t& value) const {
  Lock lock(*parts_);
  const Parts& parts = *parts_;
  if (const LocalApic* apic = parts.apic_page(vcpu, address)) {
    const auto peek = [apic](unsigned number) { return apic->peek_mmio(number); };
    value = apic_value(address, width, peek);
    return true;
  }
  const MmioBus::Range* range = parts.mmio.find(address);
  if (range == nullptr) return false;
  const MmioDevice& device = *range->device;
  value = device.peek_mmio({vcpu, address.value - range->base.value, width}) & all_ones(width);
  return true;
}

std::uint32_t Machine::port_peek(VcpuId vcpu, std::uint16_t port, unsigned width) const {
  Lock lock(*parts_);
  return parts_->ports.peek({vcpu, port, width});
}

bool Machine::mmio_write(VcpuId vcpu, Gpa address, unsigned width, std::uint64_t value) {
  Lock lock(*parts_);
  if (LocalApic* apic = parts_->apic_page(vcpu, address)) {
    // Other than aligned 32-bit writes are undefined (SDM 3A 10.4.1).
    const unsigned offset = address.value & 0xfff;
    if ((offset & 0xf) == 0 && width >= 4) {
      apic->write_mmio(offset >> 4, static_cast<std::uint32_t>(value));
    }
    return true;
  }
  const MmioBus::Range* range = parts_->mmio.find(address);
  if (range == nullptr) {
    parts_->tell_of_lost_text(address);
    return false;
  }
  range->device->write_mmio({vcpu, address.value - range->base.value, width},
                            value & all_ones(width));
  return true;
}

bool Machine::is_mmio(Gpa address) const {
  Lock lock(*parts_);
  for (std::uint32_t i = 0; i < parts_->apics.count(); ++i) {
    if (std::as_const(*parts_).apic_page({i}, address) != nullptr) return true;
  }
  return parts_->mmio.find(address) != nullptr;
}

std::optional<std::uint8_t> Machine::acknowledge_interrupt(VcpuId vcpu) {
  Lock lock(*parts_);
  return parts_->apics.apic(vcpu).acknowledge();
}

std::optional<std::uint8_t> Machine::peek_interrupt(VcpuId vcpu) const {
  Lock lock(*parts_);
  return std::as_const(parts_->apics).apic(vcpu).peek_interrupt();
}

// CR8 is bits 7..4 of the task-priority register (SDM 3A 10.8.6.1).
std::uint8_t Machine::task_priority(VcpuId vcpu) {
  Lock lock(*parts_);
  return parts_->apics.apic(vcpu).task_priority() >> 4;
}

void Machine::set_task_priority(VcpuId vcpu, std::uint8_t priority) {
  Lock lock(*parts_);
  parts_->apics.apic(vcpu).set_task_priority(static_cast<std::uint8_t>(priority << 4));
}

bool Machine::apic_msr_read(VcpuId vcpu, std::uint32_t number, std::uint64_t& value) {
  Lock lock(*parts_);
  LocalApic& apic = parts_->apics.apic(vcpu);
  if (number == msr::kApicBase) {
    value = apic.base();
    return true;
  }
  if (number == msr::kTscDeadline) {
    value = apic.tsc_deadline();
    return true;
  }
  if (!msr::is_x2apic(number) || !apic.x2apic()) return false;
  return apic.read_register(number - msr::kX2ApicFirst, value);
}

bool Machine::apic_msr_write(VcpuId vcpu, std::uint32_t number, std::uint64_t value) {
  Lock lock(*parts_);
  LocalApic& apic = parts_->apics.apic(vcpu);
  if (number == msr::kApicBase) return apic.set_base(value);
  if (number == msr::kTscDeadline) {
    apic.set_tsc_deadline(value);
    return true;
  }
  if (!msr::is_x2apic(number) || !apic.x2apic()) return false;
  return apic.write_register(number - msr::kX2ApicFirst, value);
}

VirtualTime Machine::next_event() const {
  Lock lock(*parts_);
  return parts_->events.next();
}

void Machine::run_events(VirtualTime now) {
  Lock lock(*parts_);
  parts_->events.run(now);
}

bool Machine::has_work() const {
  Lock lock(*parts_);
  return parts_->has_work();
}

// A thread that has nothing else to do asks for one part after the other.
hypervisor::WorkPart Machine::work() {
  while (parts_->waiting != 0)
    std::this_thread::yield();
  Lock lock(*parts_);
  VirtioTransport* const worker = parts_->worker();
  return worker == nullptr ? hypervisor::WorkPart::Done : worker->work();
}

bool Machine::awaits_input() const {
  Lock lock(*parts_);
  return parts_->worker() == nullptr && parts_->has_work();
}

}  // namespace ringside::machine

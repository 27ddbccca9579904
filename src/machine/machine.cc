#include "machine/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/state_hash.h"
#include "machine/bus/bus.h"
#include "machine/bus/platform_map.h"
#include "machine/clocks/event_queue.h"
#include "machine/clocks/pit.h"
#include "machine/clocks/rtc.h"
#include "machine/cpu_link.h"
#include "machine/describe.h"
#include "machine/devices/acpi_power.h"
#include "machine/devices/debug_ports.h"
#include "machine/devices/firmware_config.h"
#include "machine/devices/guest_gdb_port.h"
#include "machine/devices/i8042.h"
#include "machine/devices/serial_port.h"
#include "machine/devices/system_control.h"
#include "machine/interrupts/apic_bus.h"
#include "machine/interrupts/interrupt_router.h"
#include "machine/interrupts/io_apic.h"
#include "machine/interrupts/pic.h"
#include "machine/network/virtio_net.h"
#include "machine/pci/host_bridge.h"
#include "machine/pci/pci_bus.h"
#include "machine/share/virtio_share.h"
#include "machine/storage/virtio_block.h"
#include "machine/virtio/virtio_mmio.h"
#include "machine/virtio/virtio_pci.h"
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

struct Machine::Parts {
  Parts(hypervisor::GuestRam& guest_ram, MachineOptions given);

  // Engines with vCPU threads call from all of them. Recursive, because an engine may ask back from
  // within a CpuPort call.
  std::recursive_mutex lock;
  std::atomic<unsigned> waiting{0};  // threads
  hypervisor::GuestRam& ram;
  MachineOptions options;
  CpuLink cpus;
  hypervisor::ControllerViews* engines_controllers = nullptr;
  EventQueue events{cpus};
  ApicBus apics;
  // vCPUs that wait for a sink, one bit each. No state of the guest's.
  std::uint64_t held = 0;
  Lint0Wire lint0{apics};
  PicPair pics{{lint0, 0}};
  IoApic io_apic{apics};
  InterruptRouter lines{cpus, pics, io_apic, apics};
  Pit pit{events, cpus, {lines, 0}};
  PortBus ports;
  MmioBus mmio;
  SerialPort com1, com2;
  Rtc rtc;
  SystemControl system{cpus};
  PciBus pci;
  PciPorts pci_ports{pci};
  PciEcam pci_ecam{pci};
  PciWindow pci_window{pci, kPciWindowBase};
  HostBridge host_bridge;
  I8042 keyboard{system, {lines, 1}};
  AcpiPower power{events, cpus, {lines, kSciLine}};
  FirmwareConfig firmware;
  GuestGdbPort guest_gdb;
  DebugExit debug_exit{cpus};
  PanicPort panic{cpus};
  DebugConsole debug_console;
  std::vector<std::unique_ptr<VirtioBlock>> disks;
  // With its transport.
  struct Network {
    VirtioNet device;
    VirtioTransport* transport = nullptr;
  };
  struct Share {
    VirtioShare device;
    VirtioTransport* transport = nullptr;
  };
  std::unique_ptr<Network> network;
  std::vector<std::unique_ptr<Share>> shares;
  std::vector<std::unique_ptr<VirtioMmio>> virtio_mmio;
  std::vector<std::unique_ptr<VirtioPci>> virtio_pci;
  std::vector<VirtioTransport*> virtio;
  std::vector<std::string> virtio_names;
  void add_disk(std::shared_ptr<BlockBackend> backend);
  void add_network(const NetworkCard& card);
  void add_share(const SharedFolder& folder);
  VirtioTransport* add_virtio(VirtioDevice& device, std::string name);
  // What firmware does for the devices on the PCI bus.
  void place_pci();
  bool has_work() const;
  // The first device that can do a part of its work now, or null.
  VirtioTransport* worker() const;
  // The local APIC of `vcpu` if its page is at `address`, or null.
  const LocalApic* apic_page(VcpuId vcpu, Gpa address) const;
  LocalApic* apic_page(VcpuId vcpu, Gpa address) {
    return std::as_const(*this).apic_page(vcpu, address) == nullptr ? nullptr : &apics.apic(vcpu);
  }

  std::vector<Device*> devices;  // in the order in which they are reset and saved
};

Machine::Parts::Parts(hypervisor::GuestRam& guest_ram, MachineOptions given)
    : ram(guest_ram),
      options(std::move(given)),
      apics(options.vcpus, events, cpus),
      com1(0x3f8, {lines, 4}, options.serial[0], options.input_taken),
      com2(0x2f8, {lines, 3}, options.serial[1], options.input_taken),
      rtc(events, cpus, {lines, 8}, options.start_time, ram.size(), options.vcpus),
      firmware(ram, cpus, options.vcpus),
      guest_gdb(cpus, options.guest_gdb_wants_client, options.guest_gdb_out, options.input_taken),
      debug_console(options.debugcon),
      devices{&apics,     &pics,        &io_apic,  &pit, &com1,  &com2,     &system,
              &pci_ports, &host_bridge, &keyboard, &rtc, &power, &firmware, &guest_gdb} {
  pci.add(0, host_bridge, {"PCI host bridge"});
  apics.connect(&io_apic);
  apics.connect(&pics);
  mmio.claim(IoApic::kBase, IoApic::kSize, io_apic, {"I/O APIC"});
  for (const std::uint16_t first : {PicPair::kMaster, PicPair::kSlave, PicPair::kEdgeLevel})
    ports.claim(first, 2, pics, {"8259 pair"});
  ports.claim(Pit::kPort, 4, pit, {"8254 timer", 0});
  ports.claim(Pit::kSpeakerPort, 1, pit, {"8254 timer", 0});
  ports.claim(0x3f8, SerialPort::kPorts, com1, {"COM1 (16550A)", 4});
  ports.claim(0x2f8, SerialPort::kPorts, com2, {"COM2 (16550A)", 3});
  ports.claim(Rtc::kPort, 2, rtc, {"real-time clock (MC146818)", 8});
  ports.claim(I8042::kData, 1, keyboard, {"keyboard controller (8042)", 1});
  ports.claim(I8042::kCommand, 1, keyboard, {"keyboard controller (8042)", 1});
  ports.claim(SystemControl::kPortA, 1, system, {"system control"});
  ports.claim(PciPorts::kAddress, 1, pci_ports, {"PCI host bridge"});
  ports.claim(PciPorts::kData, 4, pci_ports, {"PCI host bridge"});
  mmio.claim(kPciEcamBase, kPciEcamSize, pci_ecam, {"PCI host bridge"});
  mmio.claim(kPciWindowBase, kPciWindowSize, pci_window, {"PCI memory"});
  ports.claim(SystemControl::kResetControl, 1, system, {"system control"});
  ports.claim(kPm1Event, AcpiPower::kPorts, power, {"ACPI power management", kSciLine});
  ports.claim(FirmwareConfig::kPort, FirmwareConfig::kPorts, firmware, {"firmware configuration"});
  for (const std::shared_ptr<BlockBackend>& disk : options.disks)
    add_disk(disk);
  if (options.network) add_network(*options.network);
  for (const SharedFolder& folder : options.shares)
    add_share(folder);
  if (options.guest_gdb)
    ports.claim(GuestGdbPort::kPort, 4, guest_gdb, {"guest's debug port (-g)"});
  ports.claim(PanicPort::kPort, PanicPort::kPorts, panic, {"panic port"});
  if (options.debug_exit)
    ports.claim(DebugExit::kPort, DebugExit::kPorts, debug_exit, {"debug exit"});
  if (options.debugcon) {
    ports.claim(DebugConsole::kPort, 1, debug_console, {"debug console"});
    ports.claim(DebugConsole::kBochsPort, 1, debug_console, {"debug console"});
  }
}

void Machine::Parts::add_disk(std::shared_ptr<BlockBackend> backend) {
  const auto number = static_cast<unsigned>(disks.size());
  const BlockBackend& disk = *backend;
  disks.push_back(std::make_unique<VirtioBlock>(std::move(backend), DmaMemory(ram, cpus), number));
  add_virtio(*disks.back(), fmt::format("virtio disk {}, {} KiB{}", number, disk.size() >> 10,
                                        disk.read_only() ? ", read-only" : ""));
}

void Machine::Parts::add_network(const NetworkCard& card) {
  network =
      std::make_unique<Network>(Network{VirtioNet(card.address, card.out, DmaMemory(ram, cpus))});
  network->transport = add_virtio(network->device, "virtio network card");
}

void Machine::Parts::add_share(const SharedFolder& folder) {
  shares.push_back(std::make_unique<Share>(
      Share{VirtioShare(folder.tag, folder.requests, DmaMemory(ram, cpus))}));
  shares.back()->transport =
      add_virtio(shares.back()->device, fmt::format("virtio shared folder {}", folder.tag));
}

VirtioTransport* Machine::Parts::add_virtio(VirtioDevice& device, std::string name) {
  if (virtio.size() == kMaxVirtioDevices) return nullptr;
  virtio_names.push_back(name.substr(0, name.find(',')));
  const auto number = static_cast<unsigned>(virtio.size());
  const DmaMemory memory(ram, cpus);
  const InterruptLine line(lines, kVirtioFirstLine + number);
  if (options.virtio_bus == VirtioBus::Mmio) {
    virtio_mmio.push_back(std::make_unique<VirtioMmio>(device, memory, line, cpus));
    VirtioMmio& transport = *virtio_mmio.back();
    mmio.claim(kVirtioBase + number * kVirtioStride, kVirtioSize, transport,
               {std::move(name), kVirtioFirstLine + number});
    devices.push_back(&transport);
    virtio.push_back(&transport);
    return &transport;
  }
  virtio_pci.push_back(std::make_unique<VirtioPci>(device, memory, line, lines, cpus));
  VirtioPci& function = *virtio_pci.back();
  pci.add(kVirtioFirstPciDevice + number, function, {std::move(name), kVirtioFirstLine + number});
  devices.push_back(&function);
  virtio.push_back(&function);
  return &function;
}

void Machine::Parts::place_pci() {
  pci.place_all(kPciWindowBase);
  for (std::size_t i = 0; i < virtio_pci.size(); ++i)
    virtio_pci[i]->set_interrupt_line(static_cast<std::uint8_t>(kVirtioFirstLine + i));
}

VirtioTransport* Machine::Parts::worker() const {
  const auto found = std::find_if(virtio.begin(), virtio.end(), [](const VirtioTransport* device) {
    return device->has_work() && !device->awaits_input();
  });
  return found == virtio.end() ? nullptr : *found;
}

bool Machine::Parts::has_work() const {
  return std::any_of(virtio.begin(), virtio.end(),
                     [](const VirtioTransport* device) { return device->has_work(); });
}

const LocalApic* Machine::Parts::apic_page(VcpuId vcpu, Gpa address) const {
  const LocalApic& apic = apics.apic(vcpu);
  const bool here = (apic.base() & kPageMask) == (address.value & kPageMask);
  return here && apic.enabled() && !apic.x2apic() ? &apic : nullptr;
}

// Whoever waits for it is seen: a thread that takes it again and again has to let others have it.
class Machine::Lock {
 public:
  explicit Lock(Parts& parts) : parts_(parts) {
    if (parts_.lock.try_lock()) return;
    ++parts_.waiting;
    parts_.lock.lock();
    --parts_.waiting;
  }
  ~Lock() { parts_.lock.unlock(); }
  Lock(const Lock&) = delete;

 private:
  Parts& parts_;
};

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

// The engine is asked without the lock: a vCPU may have to come out of a device access first.
std::string Machine::describe_local_apic(VcpuId vcpu) const {
  if (hypervisor::ControllerViews* const engines = parts_->engines_controllers)
    return describe(engines->local_apic(vcpu).value_or(hypervisor::LocalApicImage{}));
  Lock lock(*parts_);
  return describe(parts_->apics.apic(vcpu).image());
}

std::string Machine::describe_io_apic() const {
  if (hypervisor::ControllerViews* const engines = parts_->engines_controllers)
    return describe(engines->io_apic().value_or(hypervisor::IoApicImage{}));
  Lock lock(*parts_);
  return describe(parts_->io_apic.image());
}

std::string Machine::describe_pics() const {
  if (hypervisor::ControllerViews* const engines = parts_->engines_controllers)
    return describe(engines->pics().value_or(hypervisor::PicPairImage{}));
  Lock lock(*parts_);
  return describe(parts_->pics.image());
}

std::string Machine::describe_memory_map() const {
  const bool engines = parts_->engines_controllers != nullptr;
  Lock lock(*parts_);
  std::vector<MapEntry> memory;
  for (const hypervisor::RamSlot& slot : parts_->ram.slots())
    memory.push_back({slot.base.value, slot.size, slot.read_only ? "rom" : "ram", ""});
  for (const MmioBus::Range& range : parts_->mmio.ranges())
    memory.push_back({range.base.value, range.size, "i/o", range.label.name});
  for (unsigned device = 0; device < PciBus::kDevices; ++device) {
    const PciFunction* function = parts_->pci.function(device);
    for (unsigned bar = 0; function != nullptr && bar < PciFunction::kBars; ++bar) {
      if (function->is_mapped(bar))
        memory.push_back({function->bar_base(bar).value, function->bar_size(bar), "i/o",
                          parts_->pci.label(device).name});
    }
  }
  std::map<std::uint64_t, std::string> apics;  // who has its page there
  for (std::uint32_t i = 0; i < parts_->apics.count() && !engines; ++i) {
    const LocalApic& apic = parts_->apics.apic({i});
    if (!apic.enabled() || apic.x2apic()) continue;
    std::string& who = apics[apic.base() & kPageMask];
    who += (who.empty() ? "local APIC of vCPU " : ", ") + std::to_string(i);
  }
  if (engines) apics[x86::apic::kDefaultBase] = "local APICs, the engine's";
  for (const auto& [base, who] : apics)
    memory.push_back({base, kPageSize, "i/o", who});
  std::vector<MapEntry> ports;
  for (const PortBus::Range& range : parts_->ports.ranges())
    ports.push_back({range.first, range.count, "i/o", range.label.name});
  return "address-space: memory\n" + describe(std::move(memory), 16) + "address-space: I/O\n" +
         describe(std::move(ports), 4);
}

std::string Machine::describe_devices() const {
  Lock lock(*parts_);
  std::vector<DeviceEntry> devices;
  const auto entry = [&](const DeviceLabel& label) -> DeviceEntry& {
    for (DeviceEntry& device : devices) {
      if (device.label.name == label.name) return device;
    }
    return devices.emplace_back(DeviceEntry{label, {}});
  };
  entry({fmt::format("local APICs of {} vCPUs", parts_->apics.count())}).places = "each vCPU's own";
  for (const MmioBus::Range& range : parts_->mmio.ranges())
    entry(range.label).add(fmt::format("mmio {:016x}/{:x}", range.base.value, range.size));
  for (const PortBus::Range& range : parts_->ports.ranges())
    entry(range.label)
        .add(fmt::format("ports {:04x}-{:04x}", range.first, range.first + range.count - 1));
  for (unsigned device = 0; device < PciBus::kDevices; ++device) {
    const PciFunction* function = parts_->pci.function(device);
    if (function == nullptr) continue;
    DeviceEntry& described = entry(parts_->pci.label(device));
    described.add(fmt::format("pci 00:{:02x}.0", device));
    for (unsigned bar = 0; bar < PciFunction::kBars; ++bar) {
      if (function->bar_size(bar) == 0) continue;
      described.add(
          fmt::format("mmio {:016x}/{:x}", function->bar_base(bar).value, function->bar_size(bar)));
    }
  }
  return describe(devices);
}

std::optional<std::uint32_t> Machine::look_at_port(VcpuId vcpu, std::uint16_t port,
                                                   unsigned width) const {
  // The engine is asked without the lock; see describe_local_apic.
  if (parts_->engines_controllers == nullptr) return port_peek(vcpu, port, width);
  const hypervisor::PicPairImage pics =
      parts_->engines_controllers->pics().value_or(hypervisor::PicPairImage{});
  for (unsigned i = 0; i < width; ++i) {
    const unsigned at = port + i;
    const bool timer = (at >= Pit::kPort && at < Pit::kPort + 4u) || at == Pit::kSpeakerPort;
    const bool controller = (at & ~0x81u) == PicPair::kMaster || (at & ~1u) == PicPair::kEdgeLevel;
    if (timer || (controller && width > 1)) return std::nullopt;
    if (controller) return peek(pics, port);
  }
  return port_peek(vcpu, port, width);
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
  for (Device* device : parts_->devices)
    device->reset();
  if (!parts_->options.has_firmware) parts_->place_pci();
}

void Machine::visit_state(StateVisitor& visitor) {
  Lock lock(*parts_);
  for (Device* device : parts_->devices)
    device->visit_state(visitor);
  parts_->events.visit_state(visitor);
  visitor.expect(parts_->guest_gdb.only_below_wait(parts_->options.vcpus));
}

std::vector<std::pair<std::string, std::uint64_t>> Machine::hash_devices() {
  static constexpr const char* kNames[] = {"local APICs",
                                           "8259 pair",
                                           "I/O APIC",
                                           "8254 timer",
                                           "COM1",
                                           "COM2",
                                           "system control",
                                           "PCI ports",
                                           "PCI host bridge",
                                           "keyboard controller",
                                           "real-time clock",
                                           "ACPI power",
                                           "firmware configuration",
                                           "guest's debug port"};
  Lock lock(*parts_);
  std::vector<std::pair<std::string, std::uint64_t>> hashes;
  const auto add = [&](std::string name, auto& part) {
    StateHasher hasher;
    part.visit_state(hasher);
    hashes.emplace_back(std::move(name), hasher.value());
  };
  for (std::size_t i = 0; i < parts_->devices.size(); ++i) {
    add(i < std::size(kNames) ? kNames[i] : parts_->virtio_names[i - std::size(kNames)],
        *parts_->devices[i]);
  }
  add("deadlines of timers", parts_->events);
  return hashes;
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
  if (!parts_->network || parts_->network->transport == nullptr) return;
  parts_->network->device.receive(input.bytes);
  parts_->network->transport->input_came();
}

void Machine::input(const ShareInput& input) {
  Lock lock(*parts_);
  if (input.share >= parts_->shares.size()) return;
  Parts::Share& share = *parts_->shares[input.share];
  if (share.transport == nullptr) return;
  share.device.receive(input.bytes);
  share.transport->input_came();
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
  if (range == nullptr) return false;
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

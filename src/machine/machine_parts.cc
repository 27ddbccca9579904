#include "machine/machine_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/log.h"

namespace ringside::machine {

Machine::Parts::Parts(hypervisor::GuestRam& guest_ram, MachineOptions given)
    : ram(guest_ram),
      options(std::move(given)),
      apics(options.vcpus, events, cpus),
      com1(0x3f8, {lines, 4}, options.serial[0], options.input_taken),
      com2(0x2f8, {lines, 3}, options.serial[1], options.input_taken),
      rtc(events, cpus, {legacy_lines, 8}, options.start_time,
          {ram.low_end().value, ram.size() - ram.low_end().value}, options.vcpus,
          [this] { power.ring_alarm(); }),
      keyboard(system, {lines, 1}, options.input_taken),
      firmware(ram, cpus, options.vcpus, options.video_bios,
               {[this] { return host_bridge.configuration_in_memory(); },
                [this](auto range) {
                  const auto devices_there = static_cast<unsigned>(virtio.size());
                  return acpi_for_firmware(options, devices_there, pci_memory, range);
                }},
               firmware_files(options, ram)),
      guest_gdb(cpus, options.guest_gdb_wants_client, options.guest_gdb_out, options.input_taken),
      debug_console(options.debugcon),
      devices{&apics,       &pics,     &io_apic, &pit,   &com1,     &com2,      &system, &pci_ports,
              &host_bridge, &keyboard, &rtc,     &power, &firmware, &guest_gdb, &hpet} {
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
  ports.claim(SystemControl::kResetControl, 1, system, {"system control"});
  ports.claim(kPm1Event, AcpiPower::kPorts, power, {"ACPI power management", kSciLine});
  ports.claim(FirmwareConfig::kPort, FirmwareConfig::kPorts, firmware, {"firmware configuration"});
  mmio.claim(kHpet, kHpetSize, hpet, {"high-precision event timer"});
  for (const std::shared_ptr<BlockBackend>& disk : options.disks)
    add_disk(disk);
  if (const auto& card = options.network) {
    network = add_receiver<VirtioNet>("virtio network card", card->address, card->out,
                                      options.input_taken);
  }
  for (const SharedFolder& folder : options.shares) {
    shares.push_back(add_receiver<VirtioShare>(fmt::format("virtio shared folder {}", folder.tag),
                                               folder.tag, folder.requests));
  }
  if (options.random)
    random = add_receiver<VirtioRandom>("virtio entropy device", options.input_taken);
  if (const auto& sockets = options.vsock) {
    vsock = add_receiver<VirtioVsock>("virtio sockets", sockets->guest_cid, sockets->out,
                                      options.input_taken);
  }
  if (options.console) {
    console =
        add_receiver<VirtioConsole>("virtio console", options.console->out, options.input_taken);
  }
  if (options.guest_gdb)
    ports.claim(GuestGdbPort::kPort, 4, guest_gdb, {"guest's debug port (-g)"});
  ports.claim(PanicPort::kPort, PanicPort::kPorts, panic, {"panic port"});
  if (options.debug_exit)
    ports.claim(DebugExit::kPort, DebugExit::kPorts, debug_exit, {"debug exit"});
  if (options.test_device) add_test_device();
  if (options.debugcon) {
    ports.claim(DebugConsole::kPort, 1, debug_console, {"debug console"});
    ports.claim(DebugConsole::kBochsPort, 1, debug_console, {"debug console"});
  }
  if (options.has_firmware) add_firmware();
  if (options.text_card) add_text_card();
  // Behind those that have fixed addresses within it.
  mmio.claim(pci_memory.range().base, pci_memory.range().size, pci_memory, {"PCI memory"});
}

void Machine::Parts::add_test_device() {
  const std::string name = "test device";
  test_device.emplace(lines);
  ports.claim(TestDevice::kPort, TestDevice::kPorts, *test_device, {name});
  ports.claim(TestDevice::kLinePort, TestDevice::kLines, *test_device, {name});
  mmio.claim(TestDevice::kWindow, TestDevice::kWindowSize, *test_device, {name});
  devices.push_back(&*test_device);
  later_names.push_back(name);
}

void Machine::Parts::add_firmware() {
  pci.add(IsaBridge::kDevice, isa_bridge, {"PCI to ISA bridge"});
  devices.push_back(&isa_bridge);
  later_names.emplace_back("PCI to ISA bridge");
  firmware.set_kernel(options.firmware_kernel);
  if (options.firmware_vars == nullptr) return;
  flash.emplace(options.firmware_vars);
  const Gpa base{firmware_base(ram).value - flash->size()};
  mmio.claim(base, flash->size(), *flash, {"firmware variables"});
  devices.push_back(&*flash);
  later_names.emplace_back("firmware variables");
}

void Machine::Parts::add_text_card() {
  text_card.emplace(cpus,
                    options.has_firmware ? TextCard::PowerOn::Blank : TextCard::PowerOn::TextMode);
  ports.claim(TextCard::kPort, TextCard::kPorts, *text_card, {"VGA text card"});
  devices.push_back(&*text_card);
  later_names.emplace_back("VGA text card");
}

void Machine::Parts::tell_of_lost_text(Gpa address) const {
  const bool is_text = address.value - TextCard::kMemory.value < TextCard::kMemorySize;
  if (is_text && options.text_was_lost) options.text_was_lost();
}

void Machine::Parts::add_disk(std::shared_ptr<BlockBackend> backend) {
  const auto number = static_cast<unsigned>(disks.size());
  const BlockBackend& disk = *backend;
  disks.push_back(std::make_unique<VirtioBlock>(std::move(backend), DmaMemory(ram, cpus), number));
  add_virtio(*disks.back(), fmt::format("virtio disk {}, {} KiB{}", number, disk.size() >> 10,
                                        disk.read_only() ? ", read-only" : ""));
}

template <typename Kind, typename... Args>
std::unique_ptr<Machine::Parts::Receiver<Kind>> Machine::Parts::add_receiver(
    const std::string& name, Args&&... args) {
  auto made = std::make_unique<Receiver<Kind>>(
      Receiver<Kind>{Kind(std::forward<Args>(args)..., DmaMemory(ram, cpus))});
  made->transport = add_virtio(made->device, name);
  return made;
}

// A guest can break a device, reset it and break it again for ever: the more often it did, the
// fewer lines there are. What happens at a time that was told of before is the past, which runs
// again.
void Machine::Parts::tell_failures(VirtioTransport& transport, std::string name) {
  transport.on_failure(
      [this, name = std::move(name), times = std::uint64_t{0}, last = VirtualTime{}]() mutable {
        if (times != 0 && cpus.now() <= last) return;
        last = cpus.now();
        if (!std::has_single_bit(++times)) return;
        log::warning(
            "guest: what its driver has put into a queue of the {} makes no sense; the device does "
            "nothing more until the driver resets it",
            name);
      });
}

VirtioTransport* Machine::Parts::add_virtio(VirtioDevice& device, std::string name) {
  if (virtio.size() == kMaxVirtioDevices) return nullptr;
  later_names.push_back(name.substr(0, name.find(',')));
  const auto number = static_cast<unsigned>(virtio.size());
  const DmaMemory memory(ram, cpus);
  const InterruptLine line(lines, kVirtioFirstLine + number);
  if (options.virtio_bus == VirtioBus::Mmio) {
    virtio_mmio.push_back(std::make_unique<VirtioMmio>(device, memory, line, cpus));
    VirtioMmio& transport = *virtio_mmio.back();
    mmio.claim(kVirtioBase + number * kVirtioStride, kVirtioSize, transport,
               {std::move(name), kVirtioFirstLine + number});
    tell_failures(transport, later_names.back());
    devices.push_back(&transport);
    virtio.push_back(&transport);
    return &transport;
  }
  virtio_pci.push_back(std::make_unique<VirtioPci>(device, memory, line, lines, cpus));
  VirtioPci& function = *virtio_pci.back();
  pci.add(kVirtioFirstPciDevice + number, function, {std::move(name), kVirtioFirstLine + number});
  tell_failures(function, later_names.back());
  devices.push_back(&function);
  virtio.push_back(&function);
  return &function;
}

void Machine::Parts::place_pci() {
  host_bridge.place_configuration(kPciEcamBase);
  pci.place_all(kPciWindowBase);
  for (std::size_t i = 0; i < virtio_pci.size(); ++i)
    virtio_pci[i]->set_interrupt_line(static_cast<std::uint8_t>(kVirtioFirstLine + i));
}

VirtioTransport* Machine::Parts::worker() const {
  const auto found = std::find_if(virtio.begin(), virtio.end(), [](const VirtioTransport* device) {
    return device->can_work() || device->awaits_room();
  });
  return found == virtio.end() || !(*found)->can_work() ? nullptr : *found;
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

}  // namespace ringside::machine

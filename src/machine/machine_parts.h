// What the machine is made of, for the sources that Machine has. Nobody else includes this.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "machine/bus/bus.h"
#include "machine/bus/platform_map.h"
#include "machine/clocks/event_queue.h"
#include "machine/clocks/pit.h"
#include "machine/clocks/rtc.h"
#include "machine/console/virtio_console.h"
#include "machine/cpu_link.h"
#include "machine/devices/acpi_power.h"
#include "machine/devices/debug_ports.h"
#include "machine/devices/guest_gdb_port.h"
#include "machine/devices/i8042.h"
#include "machine/devices/serial_port.h"
#include "machine/devices/system_control.h"
#include "machine/devices/test_device.h"
#include "machine/display/text_card.h"
#include "machine/firmware/firmware_config.h"
#include "machine/firmware/flash_memory.h"
#include "machine/firmware_places.h"
#include "machine/hpet/hpet.h"
#include "machine/interrupts/apic_bus.h"
#include "machine/interrupts/interrupt_router.h"
#include "machine/interrupts/io_apic.h"
#include "machine/interrupts/pic.h"
#include "machine/machine.h"
#include "machine/network/virtio_net.h"
#include "machine/pci/host_bridge.h"
#include "machine/pci/isa_bridge.h"
#include "machine/pci/pci_bus.h"
#include "machine/pci/pci_memory.h"
#include "machine/random/virtio_random.h"
#include "machine/share/virtio_share.h"
#include "machine/storage/virtio_block.h"
#include "machine/virtio/virtio_mmio.h"
#include "machine/virtio/virtio_pci.h"
#include "machine/vsock/virtio_vsock.h"

namespace ringside::machine {

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
  LegacyLine legacy_lines{lines};  // those that the HPET may take over
  Pit pit{events, cpus, {legacy_lines, 0}};
  PortBus ports;
  MmioBus mmio;
  SerialPort com1, com2;
  Rtc rtc;
  SystemControl system{cpus};
  PciBus pci;
  PciPorts pci_ports{pci};
  HostBridge host_bridge;
  PciMemory pci_memory{pci, host_bridge, pci_range(ram)};
  IsaBridge isa_bridge;
  I8042 keyboard;
  AcpiPower power{events, cpus, {lines, kSciLine}, {[this] { fall_asleep(); }, [this] { wake(); }}};
  FirmwareConfig firmware;
  Hpet hpet{events, cpus, lines, [this](bool on) {
              legacy_lines.take(on);
              cpus.replace_timer(on);
            }};
  GuestGdbPort guest_gdb;
  DebugExit debug_exit{cpus};
  PanicPort panic{cpus};
  DebugConsole debug_console;
  std::optional<TestDevice> test_device;
  std::vector<std::unique_ptr<VirtioBlock>> disks;
  // A device that gets inputs, with its transport, or null where there are too many devices.
  template <typename Kind>
  struct Receiver {
    Kind device;
    VirtioTransport* transport = nullptr;
    void take(std::span<const std::byte> input) {
      if (transport == nullptr) return;
      device.receive(input);
      transport->input_came();
    }
  };
  std::unique_ptr<Receiver<VirtioNet>> network;
  std::vector<std::unique_ptr<Receiver<VirtioShare>>> shares;
  std::unique_ptr<Receiver<VirtioRandom>> random;
  std::unique_ptr<Receiver<VirtioVsock>> vsock;
  std::unique_ptr<Receiver<VirtioConsole>> console;
  std::vector<std::unique_ptr<VirtioMmio>> virtio_mmio;
  std::vector<std::unique_ptr<VirtioPci>> virtio_pci;
  std::vector<VirtioTransport*> virtio;
  std::optional<FlashMemory> flash;
  std::optional<TextCard> text_card;
  // After which there is power again.
  enum class Power : std::uint8_t { On, Sleep };
  void reset_devices(Power after);
  void fall_asleep();
  void wake();
  void add_firmware();
  void add_text_card();
  void tell_of_lost_text(Gpa address) const;
  void add_test_device();
  void add_disk(std::shared_ptr<BlockBackend> backend);
  // Makes one of its arguments.
  template <typename Kind, typename... Args>
  std::unique_ptr<Receiver<Kind>> add_receiver(const std::string& name, Args&&... args);
  VirtioTransport* add_virtio(VirtioDevice& device, std::string name);
  void tell_failures(VirtioTransport& transport, std::string name);
  // What firmware does for the devices on the PCI bus.
  void place_pci();
  bool has_work() const;
  // The first device that can do a part of its work now, or null: also where one before it waits
  // for room, as it would come first without.
  VirtioTransport* worker() const;
  // The local APIC of `vcpu` if its page is at `address`, or null.
  const LocalApic* apic_page(VcpuId vcpu, Gpa address) const;
  LocalApic* apic_page(VcpuId vcpu, Gpa address) {
    return std::as_const(*this).apic_page(vcpu, address) == nullptr ? nullptr : &apics.apic(vcpu);
  }

  std::vector<Device*> devices;          // in the order in which they are reset and saved
  std::vector<std::string> later_names;  // of those behind the ones that every machine has
};

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

}  // namespace ringside::machine

// The machine in words, and in figures.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/state_hash.h"
#include "machine/describe.h"
#include "machine/machine_parts.h"

namespace ringside::machine {

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
  // Functions answer only in PCI's memory, and there the first that takes an address.
  const AddressRange& pci = parts_->pci_memory.range();
  const auto add_in_pci = [&](Gpa base, std::uint64_t size, const std::string& name) {
    const std::uint64_t from = std::max(base.value, pci.base.value),
                        end = std::min(base.value + size, pci.base.value + pci.size);
    if (from < end) memory.push_back({from, end - from, "i/o", name});
  };
  const auto add_all_in_pci = [&] {
    if (const auto range = parts_->host_bridge.configuration_in_memory())
      add_in_pci(range->base, range->size, "PCI configuration space");
    for (unsigned device = 0; device < PciBus::kDevices; ++device) {
      const PciFunction* function = parts_->pci.function(device);
      for (unsigned bar = 0; function != nullptr && bar < PciFunction::kBars; ++bar) {
        if (!function->is_mapped(bar)) continue;
        add_in_pci(function->bar_base(bar), function->bar_size(bar),
                   parts_->pci.label(device).name);
      }
    }
  };
  for (const MmioBus::Range& range : parts_->mmio.ranges()) {
    if (range.device == &parts_->pci_memory) add_all_in_pci();
    memory.push_back({range.base.value, range.size, "i/o", range.label.name});
  }
  std::vector<MapEntry> ports;
  for (const PortBus::Range& range : parts_->ports.ranges())
    ports.push_back({range.first, range.count, "i/o", range.label.name});
  return "address-space: memory\n" + describe(without_overlaps(memory), 16) +
         "address-space: I/O\n" + describe(std::move(ports), 4);
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
  if (const auto range = parts_->host_bridge.configuration_in_memory())
    entry(parts_->pci.label(0))
        .add(fmt::format("mmio {:016x}/{:x}", range->base.value, range->size));
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

std::vector<std::pair<std::string, std::uint64_t>> Machine::hash_devices() {
  Lock lock(*parts_);
  std::vector<std::pair<std::string, std::uint64_t>> hashes;
  const auto add = [&](std::string name, auto& part) {
    StateHasher hasher;
    part.visit_state(hasher);
    hashes.emplace_back(std::move(name), hasher.value());
  };
  for (std::size_t i = 0; i < parts_->devices.size(); ++i) {
    add(i < kDeviceNames.size() ? kDeviceNames[i] : parts_->later_names[i - kDeviceNames.size()],
        *parts_->devices[i]);
  }
  add("deadlines of timers", parts_->events);
  return hashes;
}

}  // namespace ringside::machine

// The interrupt controllers and the machine's map in words, for `monitor info lapic` and its like,
// after the layout that QEMU gave them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/bus/bus.h"
#include "platform/controllers.h"

namespace ringside::machine {

std::string describe(const hypervisor::LocalApicImage& apic);
std::string describe(const hypervisor::IoApicImage& apic);
std::string describe(const hypervisor::PicPairImage& pics);

// Of the devices that every machine has, in the order in which they are saved.
inline constexpr auto kDeviceNames = std::to_array<const char*>(
    {"local APICs", "8259 pair", "I/O APIC", "8254 timer", "COM1", "COM2", "system control",
     "PCI ports", "PCI host bridge", "keyboard controller", "real-time clock", "ACPI power",
     "firmware configuration", "guest's debug port", "high-precision event timer"});

// A line of QEMU's `info mtree`.
struct MapEntry {
  std::uint64_t base = 0, size = 0;
  std::string kind, name;
};
// Each address once: what is before another in the list hides it where they overlap.
std::vector<MapEntry> without_overlaps(const std::vector<MapEntry>& entries);
// By address, which have `digits` digits.
std::string describe(std::vector<MapEntry> entries, unsigned digits);

struct DeviceEntry {
  DeviceLabel label;
  std::string places;
  void add(const std::string& place) { places += (places.empty() ? "" : ", ") + place; }
};
std::string describe(const std::vector<DeviceEntry>& devices);

// What a read of a port of theirs shows, but for a poll.
std::uint8_t peek(const hypervisor::PicPairImage& pics, std::uint16_t port);

}  // namespace ringside::machine

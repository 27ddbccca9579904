#include "machine/acpi/acpi_tables.h"

#include <string>
#include <string_view>
#include <vector>

#include "base/little_endian.h"
#include "machine/acpi/aml.h"
#include "machine/bus/platform_map.h"
#include "machine/hpet/hpet.h"
#include "machine/interrupts/io_apic.h"

namespace ringside::machine {
namespace {

constexpr std::uint32_t kLocalApic = x86::apic::kDefaultBase;

// Appends little-endian fields.
class Bytes {
 public:
  Bytes& u8(std::uint64_t v) { return put(v, 1); }
  Bytes& u16(std::uint64_t v) { return put(v, 2); }
  Bytes& u32(std::uint64_t v) { return put(v, 4); }
  Bytes& u64(std::uint64_t v) { return put(v, 8); }
  Bytes& text(std::string_view v) {
    data_ += v;
    return *this;
  }
  Bytes& zeros(std::size_t n) {
    data_.append(n, '\0');
    return *this;
  }
  // Generic address structure of an I/O port (5.2.3.1); access size 1 to 4 is 1, 2, 4 or 8 bytes.
  Bytes& port(std::uint16_t address, unsigned bits, unsigned access) {
    return u8(1).u8(bits).u8(0).u8(access).u64(address);
  }
  const std::string& data() const { return data_; }

 private:
  Bytes& put(std::uint64_t v, unsigned size) {
    data_ += little_endian(v, size);
    return *this;
  }
  std::string data_;
};

constexpr std::uint32_t kHeader = 36, kHeaderChecksum = 9;

// A system description table: the common header (5.2.6), without its checksum, and `body`.
std::string table(std::string_view signature, unsigned revision, const std::string& body) {
  Bytes bytes;
  bytes.text(signature).u32(kHeader + body.size()).u8(revision).u8(0);
  bytes.text("RNGSDE").text("RINGSIDE").u32(1).text("RNGS").u32(1).text(body);
  return bytes.data();
}

aml::Term serial_port(std::string_view name, unsigned uid, std::uint16_t base, unsigned line) {
  return aml::device(
      name,
      aml::name("_HID", aml::eisa_id("PNP0501")) + aml::name("_UID", aml::integer(uid)) +
          aml::name("_STA", aml::integer(0xf)) +
          aml::name("_CRS", aml::resources(aml::io_ports(base, 8) + aml::isa_interrupt(line))));
}

aml::Term clock() {
  const aml::Term ports = aml::io_ports(0x70, 2) + aml::isa_interrupt(8);
  return aml::device("RTC_", aml::name("_HID", aml::eisa_id("PNP0B00")) +
                                 aml::name("_CRS", aml::resources(ports)));
}

aml::Term precision_timer() {
  const aml::Term place = aml::memory32(static_cast<std::uint32_t>(kHpet.value), kHpetSize);
  return aml::device("HPET", aml::name("_HID", aml::eisa_id("PNP0103")) +
                                 aml::name("_CRS", aml::resources(place)));
}

// SeaBIOS and Linux look for no keyboard that is not told of.
aml::Term keyboard() {
  const aml::Term places = aml::io_ports(0x60, 1) + aml::io_ports(0x64, 1) + aml::isa_interrupt(1);
  return aml::device("KBD_", aml::name("_HID", aml::eisa_id("PNP0303")) +
                                 aml::name("_STA", aml::integer(0xf)) +
                                 aml::name("_CRS", aml::resources(places)));
}

aml::Term virtio_device(unsigned index) {
  const auto base = static_cast<std::uint32_t>(kVirtioBase.value + index * kVirtioStride);
  const aml::Term place = aml::memory32(base, static_cast<std::uint32_t>(kVirtioSize)) +
                          aml::level_interrupt(kVirtioFirstLine + index);
  return aml::device("VIO" + std::to_string(index), aml::name("_HID", aml::text("LNRO0005")) +
                                                        aml::name("_UID", aml::integer(index)) +
                                                        aml::name("_CCA", aml::integer(1)) +
                                                        aml::name("_CRS", aml::resources(place)));
}

// Pin INTA# of each device that has one, by the I/O APIC's pin (6.2.13).
aml::Term pci_interrupts(unsigned devices) {
  std::vector<aml::Term> routes;
  for (unsigned i = 0; i < devices; ++i) {
    const std::uint32_t any_function = (kVirtioFirstPciDevice + i) << 16 | 0xffff;
    routes.push_back(aml::package({aml::integer(any_function), aml::integer(0), aml::integer(0),
                                   aml::integer(kVirtioFirstLine + i)}));
  }
  return aml::name("_PRT", aml::package(routes));
}

aml::Term pci_bus(const AcpiOptions& options) {
  aml::Term places = aml::bus_numbers(0, 0) + aml::io_ports(0xcf8, 8) + aml::port_window(0, 0xcf7) +
                     aml::port_window(0xd00, 0xffff);
  for (const AddressRange& window : options.pci_windows) {
    const auto first = static_cast<std::uint32_t>(window.base.value);
    places += aml::memory_window(first, static_cast<std::uint32_t>(first + window.size - 1));
  }
  const bool has_devices = options.virtio_bus == VirtioBus::Pci;
  return aml::device(
      "PCI0", aml::name("_HID", aml::eisa_id("PNP0A03")) + aml::name("_UID", aml::integer(0)) +
                  aml::name("_BBN", aml::integer(0)) + aml::name("_CRS", aml::resources(places)) +
                  pci_interrupts(has_devices ? options.virtio_devices : 0));
}

// Where nothing else may be put: configuration space in memory, which the MCFG alone does not keep
// free.
aml::Term reserved_places(const AddressRange& pci_configuration) {
  const aml::Term configuration =
      aml::memory32(static_cast<std::uint32_t>(pci_configuration.base.value),
                    static_cast<std::uint32_t>(pci_configuration.size));
  return aml::device("RSVD", aml::name("_HID", aml::eisa_id("PNP0C02")) +
                                 aml::name("_CRS", aml::resources(configuration)));
}

std::string dsdt(const AcpiOptions& options) {
  aml::Term bus = serial_port("COM1", 1, 0x3f8, 4) + serial_port("COM2", 2, 0x2f8, 3) + clock() +
                  precision_timer();
  if (options.text_card) bus += keyboard();
  if (options.pci_configuration) bus += reserved_places(*options.pci_configuration);
  bus += pci_bus(options);
  for (unsigned i = 0; i < options.virtio_devices && options.virtio_bus == VirtioBus::Mmio; ++i)
    bus += virtio_device(i);
  const auto sleep_state = [](std::string_view name, unsigned type) {
    const aml::Term value = aml::integer(type), zero = aml::integer(0);
    return aml::name(name, aml::package({value, value, zero, zero}));
  };
  return table("DSDT", 2,
               aml::scope("\\_SB_", bus) + sleep_state("\\_S3_", kSleepTypeS3) +
                   sleep_state("\\_S5_", kSleepTypeS5));
}

std::string madt(const AcpiOptions& options) {
  Bytes body;
  body.u32(kLocalApic).u32(1);  // there are 8259s too
  for (unsigned i = 0; i < options.vcpus; ++i)
    body.u8(0).u8(8).u8(i).u8(i).u32(1);
  body.u8(1).u8(12).u8(IoApic::kId).u8(0).u32(IoApic::kBase.value).u32(0);
  body.u8(2).u8(10).u8(0).u8(0).u32(2).u16(0);                  // the timer is on pin 2
  body.u8(2).u8(10).u8(0).u8(kSciLine).u32(kSciLine).u16(0xd);  // level, active high
  body.u8(4).u8(6).u8(0xff).u16(0).u8(1);                       // NMI is LINT1 everywhere
  return table("APIC", 3, body.data());
}

// Of bus 0 alone (PCI Firmware specification 3.0, 4.1.2).
std::string mcfg(const AddressRange& pci_configuration) {
  Bytes body;
  body.zeros(8).u64(pci_configuration.base.value).u16(0).u8(0).u8(0).zeros(4);
  return table("MCFG", 1, body.data());
}

// IA-PC HPET specification 1.0a, 3.2.4. The least count for a periodic interrupt is 100 us, as
// Linux takes it.
std::string hpet() {
  constexpr unsigned kLeastCount = 10'000;
  Bytes body;
  body.u32(Hpet::kCapabilities).u8(0).u8(64).u8(0).u8(0).u64(kHpet.value);
  body.u8(0).u16(kLeastCount).u8(0);
  return table("HPET", 1, body.data());
}

// Always in ACPI mode (no SMI command port), no GPEs, a power button and no sleep button. The
// clock's alarm is a fixed event.
std::string fadt(std::uint64_t facs, std::uint64_t dsdt_address, bool text_card) {
  constexpr std::uint32_t kWbinvd = 1 << 0, kProcessorC1 = 1 << 2, kNoSleepButton = 1 << 5,
                          kTimer32 = 1 << 8, kResetRegister = 1 << 10;
  constexpr std::uint16_t kLegacyDevices = 1 << 0, k8042 = 1 << 1, kNoVga = 1 << 2;
  Bytes body;
  body.u32(facs).u32(dsdt_address).u8(0).u8(0).u16(kSciLine).u32(0).u32(0);
  body.u32(kPm1Event).u32(0).u32(kPm1Control).u32(0).u32(0).u32(kPmTimer).u32(0).u32(0);
  body.u8(4).u8(2).u8(0).u8(4).u8(0).u8(0).u8(0).u8(0);
  body.u16(0xfff).u16(0xfff).u16(0).u16(0).u8(0).u8(0);  // no C2, no C3, no throttling
  body.u8(0).u8(0).u8(0x32);                             // the clock's century
  body.u16(static_cast<std::uint16_t>(kLegacyDevices | (text_card ? k8042 : kNoVga))).u8(0);
  body.u32(kWbinvd | kProcessorC1 | kNoSleepButton | kTimer32 | kResetRegister);
  body.port(kResetPort, 8, 1).u8(kResetValue).u16(0).u8(0);
  body.u64(0).u64(dsdt_address);  // the FACS has its 32-bit address
  body.port(kPm1Event, 32, 2).zeros(12).port(kPm1Control, 16, 2).zeros(12).zeros(12);
  body.port(kPmTimer, 32, 3).zeros(12).zeros(12).zeros(12).zeros(12);
  return table("FACP", 5, body.data());
}

// Offsets of the FADT's addresses of FACS and DSDT, which has two.
constexpr std::uint32_t kFadtFacs = 36, kFadtDsdt = 40, kFadtLongDsdt = 140;

std::string facs() { return Bytes().text("FACS").u32(64).zeros(24).u8(2).zeros(31).data(); }

// Lays blocks one after the other, aligned.
class Area {
 public:
  std::uint32_t place(const std::string& block) {
    const auto at = static_cast<std::uint32_t>(piece_.bytes.size());
    piece_.bytes += block;
    const std::size_t end = piece_.bytes.size();
    piece_.bytes.resize((end + kAcpiAlignment - 1) / kAcpiAlignment * kAcpiAlignment);
    return at;
  }
  std::uint32_t place_table(const std::string& block) {
    const std::uint32_t at = place(block);
    piece_.checksums.push_back(
        {at + kHeaderChecksum, at, static_cast<std::uint32_t>(block.size())});
    return at;
  }
  void point(std::uint32_t at, std::uint32_t size) { piece_.pointers.push_back({at, size}); }
  AcpiPiece finish() { return std::move(piece_); }

 private:
  AcpiPiece piece_;
};

AcpiPiece rsdp(std::uint32_t rsdt, std::uint32_t xsdt) {
  Bytes bytes;
  bytes.text("RSD PTR ").u8(0).text("RNGSDE").u8(2).u32(rsdt).u32(36).u64(xsdt).zeros(4);
  return {bytes.data(), {{16, 4}, {24, 8}}, {{8, 0, 20}, {32, 0, 36}}};
}

std::uint8_t checksum(std::string_view bytes) {
  unsigned sum = 0;
  for (char c : bytes)
    sum += static_cast<std::uint8_t>(c);
  return static_cast<std::uint8_t>(-sum);
}

}  // namespace

AcpiTables make_acpi_tables(const AcpiOptions& options) {
  Area area;
  const std::uint32_t facs_at = area.place(facs());
  const std::uint32_t dsdt_at = area.place_table(dsdt(options));
  const std::uint32_t fadt_at = area.place_table(fadt(facs_at, dsdt_at, options.text_card));
  area.point(fadt_at + kFadtFacs, 4);
  area.point(fadt_at + kFadtDsdt, 4);
  area.point(fadt_at + kFadtLongDsdt, 8);
  std::vector<std::uint32_t> entries = {fadt_at, area.place_table(madt(options)),
                                        area.place_table(hpet())};
  if (options.pci_configuration)
    entries.push_back(area.place_table(mcfg(*options.pci_configuration)));
  const auto place_list = [&](std::string_view signature, std::uint32_t width) {
    Bytes body;
    for (const std::uint32_t entry : entries)
      width == 4 ? body.u32(entry) : body.u64(entry);
    const std::uint32_t at = area.place_table(table(signature, 1, body.data()));
    for (std::uint32_t i = 0; i < entries.size(); ++i)
      area.point(at + kHeader + i * width, width);
    return at;
  };
  const std::uint32_t rsdt = place_list("RSDT", 4), xsdt = place_list("XSDT", 8);
  return {rsdp(rsdt, xsdt), area.finish()};
}

void place(AcpiPiece& piece, Gpa tables) {
  for (const AcpiPiece::Pointer& pointer : piece.pointers) {
    std::uint64_t value = 0;
    for (std::uint32_t i = 0; i < pointer.size; ++i)
      value |= std::uint64_t{static_cast<std::uint8_t>(piece.bytes[pointer.at + i])} << (8 * i);
    value += tables.value;
    piece.bytes.replace(pointer.at, pointer.size, little_endian(value, pointer.size));
  }
  for (const AcpiPiece::Checksum& sum : piece.checksums) {
    const std::string_view range = std::string_view(piece.bytes).substr(sum.first, sum.size);
    piece.bytes[sum.at] = static_cast<char>(checksum(range));
  }
}

}  // namespace ringside::machine

#include "machine/firmware/firmware_config.h"

#include <algorithm>
#include <utility>

#include "base/little_endian.h"
#include "machine/acpi/loader_script.h"

namespace ringside::machine {
namespace {

constexpr std::uint16_t kSignature = 0x00, kFeatures = 0x01, kRamSize = 0x03, kNoGraphics = 0x04,
                        kCpuCount = 0x05, kMaxCpus = 0x0f, kDirectory = 0x19, kFirstFile = 0x20,
                        kFirstAcpiFile = 0x21;
constexpr std::uint16_t kSelector = 0x510, kData = 0x511, kDmaHigh = 0x514, kDmaLow = 0x518;

// Control word of a DMA request.
constexpr std::uint32_t kError = 1, kRead = 2, kSkip = 4, kSelect = 8, kWrite = 16;

// Files have the size that the directory told, whatever the tables have grown to by the time they
// are fetched; zeros are no commands for the loader, and no tables.
constexpr std::size_t kScriptSize = 8u << 10, kTablesSize = 32u << 10;
constexpr std::size_t kAcpiItems = 3;

std::string big_endian(std::uint64_t value, unsigned size) {
  std::string bytes = little_endian(value, size);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

// Entries of {base, size, kind}; kind 1 is memory.
std::string memory_map(const hypervisor::GuestRam& ram) {
  std::string map;
  constexpr std::uint64_t kHighStart = 4ull << 30;
  const std::uint64_t low = ram.low_end().value;
  map += little_endian(0, 8) + little_endian(low, 8) + little_endian(1, 4);
  if (ram.size() > low) {
    map += little_endian(kHighStart, 8) + little_endian(ram.size() - low, 8) + little_endian(1, 4);
  }
  return map;
}

}  // namespace

FirmwareConfig::FirmwareConfig(hypervisor::GuestRam& ram, hypervisor::CpuPort& cpus, unsigned vcpus,
                               const std::string& video_bios, AcpiSource acpi,
                               std::vector<File> files)
    : memory_(ram, cpus), acpi_(std::move(acpi)) {
  add(kSignature, "QEMU");
  add(kFeatures, little_endian(3, 4));  // the ports, and DMA
  add(kRamSize, little_endian(ram.size(), 8));
  add(kNoGraphics, little_endian(video_bios.empty() ? 1 : 0, 2));
  add(kCpuCount, little_endian(vcpus, 2));
  add(kMaxCpus, little_endian(vcpus, 2));
  add_file("etc/e820", memory_map(ram));
  first_acpi_item_ = items_.size();
  add_file("etc/table-loader", std::string(kScriptSize, '\0'));
  add_file(kAcpiRootFile, make_acpi_tables({}).root.bytes);
  add_file(kAcpiTablesFile, std::string(kTablesSize, '\0'));
  if (!video_bios.empty()) add_file("vgaroms/vgabios.bin", video_bios);
  for (File& file : files)
    add_file(file.name, std::move(file.content));
  finish_directory();
}

void FirmwareConfig::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  const AddressRange& range = state_.pci_configuration;
  visitor.expect(range.base.value < kPciEnd.value && range.size <= kPciEcamSize);
  if (visitor.loading()) make_acpi();
}

// Whatever a loader has refused, too.
void FirmwareConfig::make_acpi() {
  const AddressRange& range = state_.pci_configuration;
  const AcpiTables made =
      make_acpi_tables(acpi_.options(range.size == 0 ? std::nullopt : std::optional(range)));
  const std::string contents[kAcpiItems] = {acpi_loader_script(made), made.root.bytes,
                                            made.tables.bytes};
  for (std::size_t i = 0; i < kAcpiItems; ++i) {
    std::string& item = items_[first_acpi_item_ + i].second;
    const std::size_t size = item.size();
    item = contents[i];
    item.resize(size);
  }
}

void FirmwareConfig::add(std::uint16_t key, std::string content) {
  items_.emplace_back(key, std::move(content));
}

void FirmwareConfig::add_file(std::string_view name, std::string content) {
  const auto key = static_cast<std::uint16_t>(kFirstFile + directory_.size());
  std::string padded_name(name);
  padded_name.resize(56, '\0');
  directory_.push_back(big_endian(content.size(), 4) + big_endian(key, 2) + big_endian(0, 2) +
                       padded_name);
  add(key, std::move(content));
}

void FirmwareConfig::finish_directory() {
  std::string content = big_endian(directory_.size(), 4);
  for (const std::string& entry : directory_)
    content += entry;
  add(kDirectory, content);
}

std::string_view FirmwareConfig::item() const {
  for (const auto& [key, content] : items_) {
    if (key == state_.key) return content;
  }
  return kernel_.content(static_cast<std::uint16_t>(state_.key));
}

void FirmwareConfig::select(std::uint16_t key) {
  state_.key = key;
  state_.offset = 0;
  if (key < kFirstAcpiFile || key >= kFirstAcpiFile + kAcpiItems) return;
  state_.pci_configuration = acpi_.pci_configuration().value_or(AddressRange{});
  make_acpi();
}

// Beyond the end, and for an item that is not there, everything is zero.
std::string_view FirmwareConfig::rest() const {
  const std::string_view content = item();
  return content.substr(std::min<std::size_t>(state_.offset, content.size()));
}

std::uint32_t FirmwareConfig::peek_port(const PortAccess& access) const {
  static constexpr std::string_view kDmaSignature = "QEMU CFG";
  std::uint32_t value = 0;
  if (access.port == kData) return rest().empty() ? 0 : static_cast<std::uint8_t>(rest().front());
  if (access.port >= kDmaHigh) {
    for (unsigned i = 0; i < access.width; ++i) {
      const unsigned at = access.port - kDmaHigh + i;
      const char c = at < kDmaSignature.size() ? kDmaSignature[at] : '\xff';
      value |= std::uint32_t{static_cast<std::uint8_t>(c)} << (8 * i);
    }
  }
  return value;
}

Access FirmwareConfig::read_port(const PortAccess& access, std::uint32_t& value) {
  value = peek_port(access);
  if (access.port == kData && !rest().empty()) ++state_.offset;
  return Access::Done;
}

Access FirmwareConfig::write_port(const PortAccess& access, std::uint32_t value) {
  if (access.port == kSelector && access.width == 2) select(static_cast<std::uint16_t>(value));
  if (access.width != 4) return Access::Done;
  if (access.port == kDmaHigh) state_.dma_address = std::uint64_t{__builtin_bswap32(value)} << 32;
  if (access.port == kDmaLow) {  // starts the transfer
    state_.dma_address |= __builtin_bswap32(value);
    run_dma();
    state_.dma_address = 0;
  }
  return Access::Done;
}

void FirmwareConfig::run_dma() {
  struct Request {
    std::uint32_t control, length;
    std::uint64_t address;
  } request;
  const Gpa at{state_.dma_address};
  if (!memory_.read(at, request)) return;
  const std::uint32_t control = __builtin_bswap32(request.control);
  const std::uint32_t length = __builtin_bswap32(request.length);
  if (control & kSelect) select(static_cast<std::uint16_t>(control >> 16));
  bool good = true;
  if (control & kRead) {
    good = transfer({__builtin_bswap64(request.address)}, length);
  } else if (control & kSkip) {
    state_.offset += static_cast<std::uint32_t>(std::min<std::size_t>(rest().size(), length));
  } else if (control & kWrite) {
    good = false;  // nothing here can be written
  }
  memory_.write(at, __builtin_bswap32(good ? 0 : kError));
}

bool FirmwareConfig::transfer(Gpa address, std::uint32_t length) {
  std::byte* to = memory_.writable(address, length);
  if (to == nullptr) return false;
  const std::string_view content = rest();
  const std::size_t count = std::min<std::size_t>(content.size(), length);
  if (count != 0) std::memcpy(to, content.data(), count);
  std::memset(to + count, 0, length - count);
  state_.offset += static_cast<std::uint32_t>(count);
  memory_.written(address, length);
  return true;
}

}  // namespace ringside::machine

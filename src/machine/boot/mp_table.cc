#include "machine/boot/mp_table.h"

#include <cstdint>
#include <cstring>
#include <iterator>

#include "machine/boot/boot_image.h"
#include "machine/boot/table_sum.h"
#include "machine/bus/platform_map.h"
#include "machine/interrupts/io_apic.h"

namespace ringside::machine {
namespace {

constexpr std::uint8_t kRevision = 4;  // 1.4

// 4.1. Features that say nothing: there is a table, and no IMCR, so virtual wire mode.
struct FloatingPointer {
  char signature[4] = {'_', 'M', 'P', '_'};
  std::uint32_t table = 0;
  std::uint8_t paragraphs = 1, revision = kRevision, checksum = 0, features[5] = {};
};
static_assert(sizeof(FloatingPointer) == 16);

// 4.2.
struct Header {
  char signature[4] = {'P', 'C', 'M', 'P'};
  std::uint16_t size = 0;
  std::uint8_t revision = kRevision, checksum = 0;
  char maker[8] = {'R', 'I', 'N', 'G', 'S', 'I', 'D', 'E'};
  char product[12] = {'P', 'C', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
  std::uint32_t makers_table = 0;
  std::uint16_t makers_size = 0, entries = 0;
  std::uint32_t local_apic = x86::apic::kDefaultBase;
  std::uint16_t extended_size = 0;
  std::uint8_t extended_checksum = 0, reserved = 0;
};
static_assert(sizeof(Header) == 44);

// 4.3.1. Signature and features are hints for processors without CPUID: family 6, with FPU, CX8
// and APIC.
struct Processor {
  static constexpr std::uint8_t kEnabled = 1, kBoot = 2;
  std::uint8_t type = 0, id = 0, version = 0x14, flags = kEnabled;
  std::uint32_t signature = 0x600, features = 1 << 0 | 1 << 8 | 1 << 9;
  std::uint32_t reserved[2] = {};
};
static_assert(sizeof(Processor) == 20);

// 4.3.2.
struct Bus {
  std::uint8_t type = 1, id = 0;
  char name[6];
};

// 4.3.3.
struct IoApicEntry {
  std::uint8_t type = 2, id = IoApic::kId, version = 0x20, enabled = 1;
  std::uint32_t address = IoApic::kBase.value;
};

// 4.3.4, to a pin of the I/O APIC, and 4.3.5, to one of local APICs.
struct Interrupt {
  static constexpr std::uint8_t kIo = 3, kLocal = 4;
  std::uint8_t type = kIo, kind = 0;
  std::uint16_t flags = 0;  // as usual on that bus
  std::uint8_t bus = 0, source = 0, apic = IoApic::kId, pin = 0;
};
static_assert(sizeof(Bus) == 8 && sizeof(IoApicEntry) == 8 && sizeof(Interrupt) == 8);

constexpr std::uint8_t kPciBus = 0, kIsaBus = 1, kEveryApic = 0xff;
constexpr std::uint8_t kMaskable = 0, kNonMaskable = 1, kExternal = 3;
constexpr std::uint16_t kLevelActiveHigh = 0xd;

class Table {
 public:
  template <typename Entry>
  void add(const Entry& entry) {
    const Bytes bytes = bytes_of(entry);
    entries_.insert(entries_.end(), bytes.begin(), bytes.end());
    ++count_;
  }
  std::vector<std::byte> finish() const {
    Header header;
    header.size = static_cast<std::uint16_t>(sizeof header + entries_.size());
    header.entries = count_;
    const Bytes bytes = bytes_of(header);
    std::vector<std::byte> table(bytes.begin(), bytes.end());
    table.insert(table.end(), entries_.begin(), entries_.end());
    table[offsetof(Header, checksum)] = sum_to_zero(table);
    return table;
  }

 private:
  std::vector<std::byte> entries_;
  std::uint16_t count_ = 0;
};

void add_interrupts(Table& table, unsigned pci_devices) {
  constexpr std::uint8_t kIsaLines = 16, kTimer = 0, kTimerPin = 2, kCascade = 2;
  for (std::uint8_t line = 0; line < kIsaLines; ++line) {
    if (line == kCascade) continue;
    Interrupt entry{.kind = kMaskable, .bus = kIsaBus, .source = line, .pin = line};
    if (line == kTimer) entry.pin = kTimerPin;
    if (line == kSciLine) entry.flags = kLevelActiveHigh;
    table.add(entry);
  }
  for (unsigned i = 0; i < pci_devices; ++i) {
    // Pin INTA#.
    const auto source = static_cast<std::uint8_t>((kVirtioFirstPciDevice + i) << 2);
    table.add(Interrupt{.kind = kMaskable,
                        .bus = kPciBus,
                        .source = source,
                        .pin = static_cast<std::uint8_t>(kVirtioFirstLine + i)});
  }
  table.add(
      Interrupt{.type = Interrupt::kLocal, .kind = kExternal, .bus = kIsaBus, .apic = 0, .pin = 0});
  table.add(Interrupt{.type = Interrupt::kLocal,
                      .kind = kNonMaskable,
                      .bus = kIsaBus,
                      .apic = kEveryApic,
                      .pin = 1});
}

}  // namespace

std::vector<std::byte> make_mp_table(Gpa at, unsigned vcpus, unsigned pci_devices) {
  Table table;
  for (unsigned i = 0; i < vcpus; ++i) {
    Processor processor{.id = static_cast<std::uint8_t>(i)};
    if (i == 0) processor.flags |= Processor::kBoot;
    table.add(processor);
  }
  table.add(Bus{.id = kPciBus, .name = {'P', 'C', 'I', ' ', ' ', ' '}});
  table.add(Bus{.id = kIsaBus, .name = {'I', 'S', 'A', ' ', ' ', ' '}});
  table.add(IoApicEntry{});
  add_interrupts(table, pci_devices);

  FloatingPointer pointer;
  pointer.table = static_cast<std::uint32_t>(at.value + sizeof pointer);
  pointer.checksum = std::to_integer<std::uint8_t>(sum_to_zero(bytes_of(pointer)));
  const Bytes bytes = bytes_of(pointer);
  std::vector<std::byte> all(bytes.begin(), bytes.end());
  const std::vector<std::byte> configuration = table.finish();
  all.insert(all.end(), configuration.begin(), configuration.end());
  return all;
}

}  // namespace ringside::machine

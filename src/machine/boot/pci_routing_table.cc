#include "machine/boot/pci_routing_table.h"

#include <cstdint>

#include "machine/boot/boot_image.h"
#include "machine/boot/table_sum.h"
#include "machine/bus/platform_map.h"

namespace ringside::machine {
namespace {

struct Header {
  char signature[4] = {'$', 'P', 'I', 'R'};
  std::uint16_t version = 0x100, size = 0;
  // There is no router, no interrupt for PCI alone, and no router that ours is like.
  std::uint8_t router_bus = 0, router_function = 0;
  std::uint16_t exclusive_lines = 0;
  std::uint32_t compatible_router = 0, miniport_data = 0;
  std::uint8_t reserved[11] = {}, checksum = 0;
};
static_assert(sizeof(Header) == 32);

struct __attribute__((packed)) Pin {
  std::uint8_t link = 0;  // reaches no input
  std::uint16_t possible_lines = 0;
};
struct __attribute__((packed)) Slot {
  std::uint8_t bus = 0, function = 0;
  Pin pins[4];
  std::uint8_t slot = 0;  // soldered on
  std::uint8_t reserved = 0;
};
static_assert(sizeof(Slot) == 16);

}  // namespace

std::vector<std::byte> make_pci_routing_table(unsigned pci_devices) {
  Header header;
  header.size = static_cast<std::uint16_t>(sizeof header + pci_devices * sizeof(Slot));
  const Bytes bytes = bytes_of(header);
  std::vector<std::byte> table(bytes.begin(), bytes.end());
  for (unsigned i = 0; i < pci_devices; ++i) {
    Slot slot;
    slot.function = static_cast<std::uint8_t>((kVirtioFirstPciDevice + i) << 3);
    const Bytes entry = bytes_of(slot);
    table.insert(table.end(), entry.begin(), entry.end());
  }
  table[offsetof(Header, checksum)] = sum_to_zero(table);
  return table;
}

}  // namespace ringside::machine

#include "machine/boot/bios_remains.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "machine/boot/boot_image.h"
#include "machine/boot/mp_table.h"
#include "machine/boot/pci_routing_table.h"
#include "machine/bus/platform_map.h"
#include "machine/smbios/smbios.h"

namespace ringside::machine {
namespace {

constexpr std::uint16_t kBiosSegment = 0xf000;
// Where the first PC's BIOS had its lone IRET.
constexpr std::uint16_t kReturn = 0xff53, kRefuse = 0xff60;
constexpr Gpa kMpTable = kBiosStart, kPciRouting{0xf4000}, kSmbios{0xf5000}, kSmbiosTables{0xf5020};
constexpr unsigned kVectors = 256, kDiskService = 0x13, kSystemService = 0x15;

constexpr std::uint8_t kReturnCode[] = {0xcf};
// "No such function": AH 86h and CF in the flags that IRET restores.
constexpr std::uint8_t kRefuseCode[] = {
    0x55,                    // push bp
    0x89, 0xe5,              // mov bp, sp
    0x80, 0x4e, 0x06, 0x01,  // or byte [bp + 6], 1
    0x5d,                    // pop bp
    0xb4, 0x86,              // mov ah, 86h
    0xcf,                    // iret
};

// Offsets in the data area, from linear address 0x400.
namespace field {
constexpr std::size_t kSerialPorts = 0x00, kExtendedSegment = 0x0e, kEquipment = 0x10,
                      kBaseMemory = 0x13, kKeyboardHead = 0x1a, kKeyboardTail = 0x1c,
                      kVideoMode = 0x49, kColumns = 0x4a, kPageSize = 0x4c, kCursorShape = 0x60,
                      kCrtcPort = 0x63, kRowsLessOne = 0x84, kCharacterLines = 0x85,
                      kKeyboardStart = 0x80, kKeyboardEnd = 0x82, kKeyboardKind = 0x96;
}
constexpr Gpa kBiosData{0x400};
constexpr std::size_t kBiosDataSize = 0x100;

class DataArea {
 public:
  template <typename T>
  void set(std::size_t offset, T value) {
    std::memcpy(&bytes_[offset], &value, sizeof value);
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::array<std::byte, kBiosDataSize> bytes_{};
};

void describe_screen(DataArea& area) {
  area.set<std::uint8_t>(field::kVideoMode, kTextMode);
  area.set<std::uint16_t>(field::kColumns, kTextColumns);
  area.set<std::uint16_t>(field::kPageSize, 0x1000);
  area.set<std::uint16_t>(field::kCursorShape, 0x0d0e);
  area.set<std::uint16_t>(field::kCrtcPort, 0x3d4);
  area.set<std::uint8_t>(field::kRowsLessOne, kTextRows - 1);
  area.set<std::uint16_t>(field::kCharacterLines, kTextLines);
}

DataArea data_area(bool text_card) {
  // No diskettes, two serial ports; a floating-point unit. A display in 80 columns with colours, or
  // none.
  const std::uint16_t equipment = 2 << 9 | 1 << 1 | (text_card ? 2 << 4 : 0);
  constexpr std::uint16_t kKeyboardBuffer = 0x1e, kKeyboardBufferEnd = 0x3e;
  constexpr std::uint8_t kEnhancedKeyboard = 0x10;
  DataArea area;
  area.set<std::uint16_t>(field::kSerialPorts, 0x3f8);
  area.set<std::uint16_t>(field::kSerialPorts + 2, 0x2f8);
  area.set(field::kExtendedSegment, static_cast<std::uint16_t>(kExtendedBios.value >> 4));
  area.set(field::kEquipment, equipment);
  area.set(field::kBaseMemory, static_cast<std::uint16_t>(kExtendedBios.value >> 10));
  area.set(field::kKeyboardHead, kKeyboardBuffer);
  area.set(field::kKeyboardTail, kKeyboardBuffer);
  area.set(field::kKeyboardStart, kKeyboardBuffer);
  area.set(field::kKeyboardEnd, kKeyboardBufferEnd);
  area.set(field::kKeyboardKind, kEnhancedKeyboard);
  if (text_card) describe_screen(area);
  return area;
}

struct Vector {
  std::uint16_t offset, segment;
};

std::array<Vector, kVectors> vectors() {
  std::array<Vector, kVectors> table;
  table.fill({kReturn, kBiosSegment});
  table[kDiskService].offset = table[kSystemService].offset = kRefuse;
  return table;
}

}  // namespace

Result<void> leave_bios(hypervisor::GuestRam& ram, const BiosRemains& remains) {
  if (ram.host({0}, kBiosData.value + kBiosDataSize) == nullptr ||
      ram.host(kExtendedBios, kExtendedBiosSize) == nullptr ||
      ram.host(kBiosStart, kBiosSize) == nullptr) {
    return fail(ErrorCode::BadAddress, "there is no memory below 1M for what a BIOS leaves");
  }
  // 64 processors and 8 devices take under 2 KiB, so that the tables cannot meet.
  if (remains.vcpus > kMaxVcpus || remains.pci_devices > kMaxVirtioDevices)
    return fail(ErrorCode::BadRequest, "too many processors or devices for the MP table");
  const auto write = [&](Gpa at, Bytes content) {
    std::memcpy(ram.host(at, content.size()), content.data(), content.size());
  };
  write({0}, bytes_of(vectors()));
  write(kBiosData, data_area(remains.text_card).bytes());
  std::array<std::byte, kExtendedBiosSize> extended{};
  extended[0] = std::byte{kExtendedBiosSize >> 10};
  write(kExtendedBios, extended);
  const Gpa bios = kBiosStart;
  write(bios + kReturn, bytes_of(kReturnCode));
  write(bios + kRefuse, bytes_of(kRefuseCode));
  write(kMpTable, make_mp_table(kMpTable, remains.vcpus, remains.pci_devices));
  write(kPciRouting, make_pci_routing_table(remains.pci_devices));
  const std::uint64_t low = ram.low_end().value;
  Smbios smbios = make_smbios({remains.vcpus, low, ram.size() - low});
  place(smbios, kSmbiosTables);
  write(kSmbios, bytes_of_text(smbios.entry.data(), smbios.entry.size()));
  write(kSmbiosTables, bytes_of_text(smbios.tables.data(), smbios.tables.size()));
  return {};
}

}  // namespace ringside::machine

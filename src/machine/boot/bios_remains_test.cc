#include "machine/boot/bios_remains.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "machine/boot/boot_image.h"
#include "machine/bus/platform_map.h"

namespace ringside::machine {
namespace {

class BiosRemainsInMemory : public ::testing::Test {
 protected:
  BiosRemainsInMemory() : ram(hypervisor::GuestRam::create(8u << 20).value()) {}

  void leave(unsigned vcpus, unsigned pci_devices) {
    ASSERT_TRUE(leave_bios(ram, {.vcpus = vcpus, .pci_devices = pci_devices}));
  }
  template <typename T>
  T peek(std::uint64_t address) const {
    T value{};
    std::memcpy(&value, ram.host({address}, sizeof value), sizeof value);
    return value;
  }
  std::string text(std::uint64_t address, std::size_t size) const {
    return {reinterpret_cast<const char*>(ram.host({address}, size)), size};
  }
  unsigned sum(std::uint64_t address, std::size_t size) const {
    std::uint8_t sum = 0;
    for (std::size_t i = 0; i < size; ++i)
      sum = static_cast<std::uint8_t>(sum + peek<std::uint8_t>(address + i));
    return sum;
  }
  // As a kernel finds it: on a boundary of 16 in the last 64 KiB (MP 1.4, chapter 4).
  std::uint64_t find(std::string_view signature) const {
    for (std::uint64_t at = 0xf0000; at < 0x100000; at += 16) {
      if (text(at, signature.size()) == signature) return at;
    }
    ADD_FAILURE() << signature << " is not there";
    return 0;
  }

  hypervisor::GuestRam ram;
};

TEST_F(BiosRemainsInMemory, EveryVectorReturnsAndDiskAndSystemServicesRefuse) {
  leave(1, 0);
  const auto code = [&](unsigned vector) -> std::uint64_t {
    return peek<std::uint16_t>(vector * 4) + (peek<std::uint16_t>(vector * 4 + 2) << 4);
  };
  for (unsigned vector = 0; vector < 256; ++vector) {
    if (vector == 0x13 || vector == 0x15) continue;
    EXPECT_EQ(peek<std::uint8_t>(code(vector)), 0xcf) << vector;  // IRET
  }
  EXPECT_EQ(code(0x13), code(0x15));
  EXPECT_EQ(text(code(0x15), 11), "\x55\x89\xe5\x80\x4e\x06\x01\x5d\xb4\x86\xcf");
}

TEST_F(BiosRemainsInMemory, TheDataAreaTellsOfPortsAndMemory) {
  leave(1, 0);
  EXPECT_EQ(peek<std::uint16_t>(0x400), 0x3f8);
  EXPECT_EQ(peek<std::uint16_t>(0x402), 0x2f8);
  EXPECT_EQ(peek<std::uint16_t>(0x404), 0);
  EXPECT_EQ(peek<std::uint16_t>(0x40e), 0x9fc0);
  EXPECT_EQ(peek<std::uint16_t>(0x410) >> 9 & 7, 2);  // serial ports
  EXPECT_EQ(peek<std::uint16_t>(0x413), 639);
  EXPECT_EQ(peek<std::uint16_t>(0x41a), peek<std::uint16_t>(0x41c));  // no key
  EXPECT_EQ(peek<std::uint8_t>(0x9fc00), 1);                          // KiB
}

TEST_F(BiosRemainsInMemory, TheDataAreaTellsOfAScreenWhereThereIsOne) {
  leave(1, 0);
  EXPECT_EQ(peek<std::uint16_t>(0x410) >> 4 & 3, 0);
  EXPECT_EQ(peek<std::uint16_t>(0x463), 0);
  ASSERT_TRUE(leave_bios(ram, {.text_card = true}));
  EXPECT_EQ(peek<std::uint16_t>(0x410) >> 4 & 3, 2);  // 80 columns, colours
  EXPECT_EQ(peek<std::uint8_t>(0x449), 3);
  EXPECT_EQ(peek<std::uint16_t>(0x44a), 80);
  EXPECT_EQ(peek<std::uint16_t>(0x463), 0x3d4);
  EXPECT_EQ(peek<std::uint8_t>(0x484), 24);
}

TEST_F(BiosRemainsInMemory, TheMpTableNamesProcessorsBusesAndInterrupts) {
  leave(3, 2);
  const std::uint64_t pointer = find("_MP_");
  EXPECT_EQ(peek<std::uint8_t>(pointer + 8), 1);  // 16 bytes
  EXPECT_EQ(sum(pointer, 16), 0u);
  EXPECT_EQ(peek<std::uint8_t>(pointer + 11), 0);  // there is a table
  EXPECT_EQ(peek<std::uint8_t>(pointer + 12), 0);  // no IMCR
  const std::uint64_t table = peek<std::uint32_t>(pointer + 4);
  EXPECT_EQ(text(table, 4), "PCMP");
  EXPECT_EQ(sum(table, peek<std::uint16_t>(table + 4)), 0u);
  EXPECT_EQ(peek<std::uint32_t>(table + 36), 0xfee00000u);

  std::map<unsigned, unsigned> count;
  std::map<unsigned, std::uint64_t> pins;  // of the I/O APIC, by bus and source
  std::uint64_t at = table + 44;
  for (unsigned i = 0; i < peek<std::uint16_t>(table + 34); ++i) {
    const auto type = peek<std::uint8_t>(at);
    if (type == 0) {
      EXPECT_EQ(peek<std::uint8_t>(at + 1), count[0]);
      EXPECT_EQ(peek<std::uint8_t>(at + 3), count[0] == 0 ? 3 : 1);  // the first one boots
    }
    if (type == 1) {
      EXPECT_EQ(text(at + 2, 6), count[1] == 0 ? "PCI   " : "ISA   ");
    }
    if (type == 2) {
      EXPECT_EQ(peek<std::uint32_t>(at + 4), 0xfec00000u);
    }
    if (type == 3)
      pins[peek<std::uint16_t>(at + 4)] = peek<std::uint8_t>(at + 7) | peek<std::uint16_t>(at + 2)
                                                                           << 8;
    ++count[type];
    at += type == 0 ? 20 : 8;
  }
  EXPECT_EQ(at, table + peek<std::uint16_t>(table + 4));
  EXPECT_EQ(count, (std::map<unsigned, unsigned>{{0, 3}, {1, 2}, {2, 1}, {3, 17}, {4, 2}}));
  EXPECT_EQ(pins.at(0x0001), 2u);      // the timer
  EXPECT_EQ(pins.at(0x0401), 4u);      // COM1
  EXPECT_EQ(pins.at(0x0901), 0xd09u);  // ACPI, level and active high
  EXPECT_EQ(pins.at(0x0400), 16u);     // PCI device 1, INTA#
  EXPECT_EQ(pins.at(0x0800), 17u);     // PCI device 2
}

TEST_F(BiosRemainsInMemory, PciRoutesNamesSlotsWhosePinsReachNo8259) {
  leave(1, 2);
  const std::uint64_t table = find("$PIR");
  EXPECT_EQ(peek<std::uint16_t>(table + 4), 0x100);
  ASSERT_EQ(peek<std::uint16_t>(table + 6), 32 + 2 * 16);
  EXPECT_EQ(sum(table, 64), 0u);
  EXPECT_EQ(peek<std::uint8_t>(table + 33), 1 << 3);
  EXPECT_EQ(peek<std::uint8_t>(table + 49), 2 << 3);
  EXPECT_EQ(peek<std::uint8_t>(table + 34), 0);
}

TEST_F(BiosRemainsInMemory, TheLargestMachinesTablesDoNotMeet) {
  leave(kMaxVcpus, kMaxVirtioDevices);
  const std::uint64_t table = peek<std::uint32_t>(find("_MP_") + 4);
  EXPECT_LE(table + peek<std::uint16_t>(table + 4), find("$PIR"));
  EXPECT_EQ(sum(table, peek<std::uint16_t>(table + 4)), 0u);
  EXPECT_FALSE(leave_bios(ram, {.vcpus = kMaxVcpus + 1}));
}

}  // namespace
}  // namespace ringside::machine

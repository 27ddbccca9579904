#include "machine/pci/pci_memory.h"

#include <gtest/gtest.h>

#include "machine/pci/isa_bridge.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr Gpa kBase{0x80000000};

class OneRegister final : public PciFunction {
 public:
  OneRegister() : PciFunction({0x1234, 0x5678, 0x020000}, std::nullopt) { add_bar(0, 0x1000); }
  std::uint64_t read_bar(unsigned, const MmioAccess& access) override {
    return 0x5a00 + access.offset;
  }
  std::uint64_t peek_bar(unsigned, const MmioAccess& access) const override {
    return 0x5a00 + access.offset;
  }
  void write_bar(unsigned, const MmioAccess&, std::uint64_t value) override { written = value; }

  std::uint64_t written = 0;
};

struct PciMemoryTest : ::testing::Test {
  HostBridge bridge;
  IsaBridge isa;
  OneRegister function;
  PciBus bus;
  PciMemory memory{bus, bridge, {kBase, kPciEnd.value - kBase.value}};

  PciMemoryTest() {
    bus.add(0, bridge, {});
    bus.add(1, function, {});
    bus.add(IsaBridge::kDevice, isa, {});
  }
  std::uint64_t read(std::uint64_t address) {
    const MmioAccess access{{}, address - kBase.value, 4};
    const std::uint64_t value = memory.read_mmio(access);
    EXPECT_EQ(memory.peek_mmio(access), value);
    if (!memory.answers(access.offset)) {
      EXPECT_EQ(value, 0xffffffffu);
    }
    return value;
  }
  bool answers(std::uint64_t address) { return memory.answers(address - kBase.value); }
  void write(std::uint64_t address, std::uint64_t value) {
    memory.write_mmio({{}, address - kBase.value, 4}, value);
  }
};

TEST_F(PciMemoryTest, HasNothingUntilItIsPlaced) {
  EXPECT_FALSE(bridge.configuration_in_memory());
  for (const std::uint64_t address : {0x80000000u, 0xb0000000u, 0xe0000000u, 0xfebffffcu}) {
    EXPECT_EQ(read(address), 0xffffffffu);
    EXPECT_FALSE(answers(address));
  }
}

// As SeaBIOS and OVMF place it, and back.
TEST_F(PciMemoryTest, ConfigurationSpaceIsWhereTheBridgeHasIt) {
  for (const std::uint32_t base : {0xb0000000u, 0xe0000000u}) {
    bridge.write_configuration(0x64, 4, 0);
    bridge.write_configuration(0x60, 4, base | 1);
    EXPECT_EQ(bridge.configuration_in_memory()->base.value, base);
    EXPECT_EQ(bridge.configuration_in_memory()->size, 256u << 20);
    EXPECT_EQ(read(base), 0x29c08086u);
    EXPECT_EQ(read(base + (31u << 15)), 0x29188086u);
    EXPECT_EQ(read(base + (1u << 20)), 0xffffffffu);  // bus 1
    EXPECT_TRUE(answers(base + (1u << 20)));
    EXPECT_FALSE(answers(base - 1));
    EXPECT_FALSE(answers(base + (256u << 20)));
    EXPECT_EQ(read(0xd0000000), 0xffffffffu);
    write(base + (1u << 15) + 0x10, 0xf0000000);
    EXPECT_EQ(function.bar_base(0).value, 0xf0000000u);
  }
  bridge.write_configuration(0x60, 1, 0);
  EXPECT_FALSE(bridge.configuration_in_memory());
}

TEST_F(PciMemoryTest, ConfigurationSpaceMayBeSmaller) {
  bridge.write_configuration(0x60, 4, 0xb4000000 | 5);  // of 64 buses
  EXPECT_EQ(bridge.configuration_in_memory()->base.value, 0xb4000000u);
  EXPECT_EQ(bridge.configuration_in_memory()->size, 64u << 20);
  bridge.write_configuration(0x60, 4, 0xb4000000 | 3);  // of 128, and an address that is none
  EXPECT_EQ(bridge.configuration_in_memory()->base.value, 0xb0000000u);
  bridge.write_configuration(0x60, 4, 0xb4000000 | 7);  // reserved
  EXPECT_FALSE(bridge.configuration_in_memory());
}

TEST_F(PciMemoryTest, FunctionsAreWhereTheGuestPutsThem) {
  function.place_bar(0, {0xfebff000});
  EXPECT_EQ(read(0xfebff010), 0x5a10u);
  write(0xfebff010, 7);
  EXPECT_EQ(function.written, 7u);
  function.place_bar(0, {0x90000000});
  EXPECT_EQ(read(0x90000000), 0x5a00u);
  EXPECT_EQ(read(0xfebff010), 0xffffffffu);
  EXPECT_TRUE(answers(0x90000000));
  EXPECT_FALSE(answers(0xfebff010));
}

TEST_F(PciMemoryTest, TellsWhatIsLeft) {
  const auto left = [&](std::vector<AddressRange> taken) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (const AddressRange& range : memory.range_without(std::move(taken)))
      ranges.emplace_back(range.base.value, range.base.value + range.size);
    return ranges;
  };
  using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  EXPECT_EQ(left({}), (Ranges{{0x80000000, 0xfec00000}}));
  EXPECT_EQ(left({{{0xe0000000}, 0x10000000}, {{0xd0000000}, 0x8000}}),
            (Ranges{{0x80000000, 0xd0000000}, {0xd0008000, 0xe0000000}, {0xf0000000, 0xfec00000}}));
  EXPECT_EQ(left({{{0x70000000}, 0x20000000}, {{0xf0000000}, 0x20000000}}),
            (Ranges{{0x90000000, 0xf0000000}}));
}

// What firmware for a Q35 asks of it before it uses ACPI's timer.
TEST_F(PciMemoryTest, TheIsaBridgeSaysWhereAcpiIs) {
  EXPECT_EQ(isa.read_configuration(0xa, 2), 0x0601u);
  EXPECT_EQ(isa.read_configuration(4, 2), 7u);
  EXPECT_EQ(isa.read_configuration(0x40, 4), 0x601u);
  EXPECT_EQ(isa.read_configuration(0x44, 1) & 0x80, 0x80u);
  for (unsigned offset = 0; offset < 256; ++offset)
    isa.write_configuration(offset, 1, 0);
  EXPECT_EQ(isa.read_configuration(0x40, 4), 0x601u);
  EXPECT_EQ(isa.read_configuration(0x44, 1), 0x80u);
  EXPECT_EQ(isa.read_configuration(0x60, 4), 0u);
  isa.write_configuration(0x60, 4, 0x0b0a0b0a);
  EXPECT_EQ(isa.read_configuration(0x60, 4), 0x0b0a0b0au);
  IsaBridge other;
  EXPECT_TRUE(testing::load(other, testing::save(isa)));
  EXPECT_EQ(other.read_configuration(0x60, 4), 0x0b0a0b0au);
  isa.reset();
  EXPECT_EQ(isa.read_configuration(0x60, 4), 0x80808080u);
  EXPECT_EQ(isa.read_configuration(0xf0, 4), 0u);
}

}  // namespace
}  // namespace ringside::machine

#include "machine/pci/pci_bus.h"

#include <gtest/gtest.h>

#include "machine/bus/platform_map.h"
#include "machine/devices/system_control.h"
#include "machine/pci/host_bridge.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

// A function with memory of 4 KiB and of 64 KiB, which remembers what it was asked.
class Probe final : public PciFunction {
 public:
  explicit Probe(testing::FakeLines& lines)
      : PciFunction({0x1234, 0x5678, 0x020000, 3, 0x1af4, 0x1100}, InterruptLine(lines, 17)) {
    add_bar(0, 0x1000);
    add_bar(2, 0x10000);
    first = add_capability(0x09, 6);
    second = add_capability(0x11, 12);
  }
  std::uint64_t read_bar(unsigned bar, const MmioAccess& access) override {
    ++reads;
    return peek_bar(bar, access);
  }
  std::uint64_t peek_bar(unsigned bar, const MmioAccess& access) const override {
    return 0x100000 * bar + access.offset;
  }
  void write_bar(unsigned bar, const MmioAccess& access, std::uint64_t value) override {
    written = {bar, access.offset, value};
  }
  void want(bool interrupt) { set_interrupt(interrupt); }

  unsigned first = 0, second = 0, reads = 0;
  std::tuple<unsigned, std::uint64_t, std::uint64_t> written;
};

struct PciBusTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  HostBridge bridge;
  Probe probe{lines};
  PciBus pci;
  PciPorts pci_ports{pci};
  PciEcam ecam{pci};
  PciWindow window{pci, kPciWindowBase};
  SystemControl system{cpus};
  PortBus bus;

  PciBusTest() {
    pci.add(0, bridge, {"bridge"});
    pci.add(5, probe, {"probe", 17});
    bus.claim(PciPorts::kAddress, 1, pci_ports);
    bus.claim(PciPorts::kData, 4, pci_ports);
    bus.claim(SystemControl::kResetControl, 1, system);
  }
  std::uint32_t in(std::uint16_t port, unsigned width) {
    std::uint32_t value = 0;
    bus.read({{}, port, width}, value);
    return value;
  }
  void out(std::uint16_t port, unsigned width, std::uint32_t value) {
    bus.write({{}, port, width}, value);
  }
  // By mechanism 1.
  void select(unsigned device, unsigned offset) {
    out(0xcf8, 4, 0x80000000 | device << 11 | (offset & 0xfc));
  }
  std::uint32_t read(unsigned device, unsigned offset, unsigned width) {
    select(device, offset);
    return in(static_cast<std::uint16_t>(0xcfc + (offset & 3)), width);
  }
  void write(unsigned device, unsigned offset, unsigned width, std::uint32_t value) {
    select(device, offset);
    out(static_cast<std::uint16_t>(0xcfc + (offset & 3)), width, value);
  }
};

TEST_F(PciBusTest, ShowsTheHostBridge) {
  select(0, 0);
  EXPECT_EQ(in(0xcf8, 4), 0x80000000u);
  EXPECT_EQ(read(0, 0, 4), 0x29c08086u);
  EXPECT_EQ(read(0, 2, 2), 0x29c0u);
  EXPECT_EQ(read(0, 0xa, 2), 0x0600u);
  EXPECT_EQ(read(0, 0xb, 1), 0x06u);
  EXPECT_EQ(read(0, 0x60, 4), 0u);
  bridge.place_configuration(kPciEcamBase);
  EXPECT_EQ(read(0, 0x60, 4), kPciEcamBase.value | 1);
}

TEST_F(PciBusTest, NobodyAnswersElsewhere) {
  EXPECT_EQ(read(1, 0, 4), 0xffffffffu);
  out(0xcf8, 4, 0x80010000);  // bus 1
  EXPECT_EQ(in(0xcfc, 4), 0xffffffffu);
  out(0xcf8, 4, 0x80000100);  // function 1
  EXPECT_EQ(in(0xcfc, 4), 0xffffffffu);
  out(0xcf8, 4, 0);  // not switched on
  EXPECT_EQ(in(0xcfc, 2), 0xffffu);
  write(1, 4, 4, ~0u);
}

TEST_F(PciBusTest, LeavesTheResetRegisterAlone) {
  out(0xcf8, 4, 0x80000600);
  EXPECT_FALSE(cpus.ended);
  out(0xcf9, 1, 6);
  EXPECT_TRUE(cpus.ended);
  EXPECT_EQ(in(0xcf8, 4), 0x80000600u);
}

// Both ways lead to the same registers.
TEST_F(PciBusTest, ConfigurationIsInMemoryToo) {
  for (const unsigned device : {0u, 1u, 5u}) {
    for (unsigned offset = 0; offset < 256; offset += 4) {
      const MmioAccess access{{}, (std::uint64_t{device} << 15) + offset, 4};
      EXPECT_EQ(ecam.read_mmio(access), read(device, offset, 4)) << device << " " << offset;
      EXPECT_EQ(ecam.peek_mmio(access), read(device, offset, 4)) << device << " " << offset;
    }
  }
  EXPECT_EQ(ecam.read_mmio({{}, 5 << 15, 8}), read(5, 0, 4) | std::uint64_t{read(5, 4, 4)} << 32);
  EXPECT_EQ(ecam.read_mmio({{}, (5 << 15) + 0x100, 4}), 0u);            // no extended capability
  EXPECT_EQ(ecam.read_mmio({{}, (5 << 15) + 0x1000, 4}), 0xffffffffu);  // function 1
  EXPECT_EQ(ecam.read_mmio({{}, 1 << 20, 4}), 0xffffffffu);             // bus 1
  EXPECT_EQ(ecam.read_mmio({{}, (5 << 15) + 3, 2}), 0xffffu);           // across two registers
  ecam.write_mmio({{}, (5 << 15) + 0x3c, 1}, 0x42);
  EXPECT_EQ(read(5, 0x3c, 1), 0x42u);
  ecam.write_mmio({{}, (5 << 15) + 0x100, 4}, ~0u);
  ecam.write_mmio({{}, 1 << 20, 8}, ~std::uint64_t{0});
}

TEST_F(PciBusTest, OnlyWhatIsWritableChanges) {
  for (unsigned offset = 0; offset < 256; ++offset)
    write(5, offset, 1, 0xff);
  EXPECT_EQ(read(5, 0, 4), 0x56781234u);
  EXPECT_EQ(read(5, 4, 2), 0x546u);
  EXPECT_EQ(read(5, 6, 2), 0x10u);
  EXPECT_EQ(read(5, 8, 4), 0x02000003u);
  EXPECT_EQ(read(5, 0x10, 4), 0xfffff000u);  // as a system finds out the size
  EXPECT_EQ(read(5, 0x14, 4), 0u);
  EXPECT_EQ(read(5, 0x18, 4), 0xffff0000u);
  EXPECT_EQ(read(5, 0x30, 4), 0u);
  EXPECT_EQ(read(5, 0x3c, 2), 0x1ffu);
}

TEST_F(PciBusTest, CapabilitiesAreAList) {
  EXPECT_EQ(read(5, 0x34, 1), probe.first);
  EXPECT_EQ(read(5, probe.first, 2), probe.second << 8 | 0x09);
  EXPECT_EQ(read(5, probe.second, 2), 0x11u);
  EXPECT_EQ(read(0, 6, 2), 0u);  // the bridge has none
}

TEST_F(PciBusTest, MemoryAnswersWhereItIsPut) {
  const auto at = [&](std::uint64_t offset) { return window.read_mmio({{}, offset, 4}); };
  EXPECT_EQ(at(0), 0xffffffffu);
  pci.place_all(kPciWindowBase + 0x800);
  EXPECT_EQ(read(5, 0x10, 4), 0xc0001000u);
  EXPECT_EQ(read(5, 0x18, 4), 0xc0010000u);
  EXPECT_EQ(at(0x1004), 4u);
  EXPECT_EQ(at(0x1ffc), 0xffcu);
  EXPECT_EQ(at(0x2000), 0xffffffffu);
  EXPECT_EQ(at(0x1fffc), 0x20fffcu);
  EXPECT_EQ(at(0x20000), 0xffffffffu);
  EXPECT_EQ(probe.reads, 3u);
  EXPECT_EQ(window.peek_mmio({{}, 0x1004, 4}), 4u);
  EXPECT_EQ(probe.reads, 3u);
  window.write_mmio({{}, 0x10008, 8}, 77);
  EXPECT_EQ(probe.written, std::tuple(2u, 8u, 77u));
  write(5, 0x10, 4, 0xcf000000);
  EXPECT_EQ(at(0x1004), 0xffffffffu);
  EXPECT_EQ(at(0xf000008), 8u);
  write(5, 4, 2, 0);
  EXPECT_EQ(at(0xf000008), 0xffffffffu);
}

TEST_F(PciBusTest, AnInterruptIsHeldBackByTheCommandRegister) {
  probe.want(true);
  EXPECT_TRUE(lines.level[17]);
  EXPECT_EQ(read(5, 6, 2), 0x18u);
  EXPECT_EQ(read(5, 4, 4), 0x180000u);
  EXPECT_EQ(read(5, 6, 1), 0x18u);
  EXPECT_EQ(read(5, 7, 1), 0u);
  write(5, 4, 2, 0x400);
  EXPECT_FALSE(lines.level[17]);
  EXPECT_EQ(read(5, 6, 2), 0x18u);
  write(5, 4, 2, 0);
  EXPECT_TRUE(lines.level[17]);
  probe.reset();
  EXPECT_FALSE(lines.level[17]);
  EXPECT_EQ(read(5, 6, 2), 0x10u);
}

TEST_F(PciBusTest, StateMoves) {
  pci.place_all(kPciWindowBase);
  probe.want(true);
  Probe other(lines);
  const std::vector<std::byte> saved = testing::save(probe);
  EXPECT_TRUE(testing::load(other, saved));
  EXPECT_EQ(testing::save(other), saved);
  EXPECT_EQ(other.bar_base(2).value, 0xc0010000u);
  std::vector<std::byte> another_device = saved;
  another_device[2] = std::byte{0x79};
  EXPECT_FALSE(testing::load(other, another_device));
  select(5, 0x40);
  PciPorts other_ports(pci);
  EXPECT_TRUE(testing::load(other_ports, testing::save(pci_ports)));
  EXPECT_EQ(testing::save(other_ports), testing::save(pci_ports));
}

}  // namespace
}  // namespace ringside::machine

#include "machine/machine.h"

#include <gmock/gmock.h>

#include <array>
#include <cstring>

#include "machine/bus/platform_map.h"
#include "machine/pci/pci_function.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"
#include "x86/apic_registers.h"
#include "x86/msr_numbers.h"

namespace ringside::machine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr VcpuId kBoot{0};

struct MachineTest : ::testing::Test {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(16 << 20);
  testing::FakeCpuPort cpus;
};

TEST_F(MachineTest, SerialOutputReachesItsSink) {
  std::string sent;
  MachineOptions options;
  options.serial[0] = [&](std::span<const std::byte> bytes) {
    sent += static_cast<char>(bytes[0]);
  };
  Machine machine(ram, options);
  machine.connect(cpus);
  machine.port_write(kBoot, 0x3f8, 1, 'A');
  EXPECT_EQ(sent, "A");
  EXPECT_EQ(machine.serial_room(0), 1u);
}

TEST_F(MachineTest, AnOutputThatIsFullHoldsItsWritersOnly) {
  bool full = true;
  MachineOptions options;
  options.vcpus = 3;
  options.serial[0] = {[](std::span<const std::byte>) {}, [&] { return full; }};
  Machine machine(ram, options);
  machine.connect(cpus);
  EXPECT_TRUE(machine.takes_write(kBoot, 0x2f8, 1));
  EXPECT_TRUE(machine.takes_write(kBoot, 0x3f9, 1));
  EXPECT_FALSE(machine.takes_write({2}, 0x3f8, 1));
  EXPECT_FALSE(machine.takes_write({1}, 0x3f8, 2));
  full = false;
  EXPECT_TRUE(cpus.happened.empty());
  machine.output_has_room();
  const std::vector<std::string> expected{"retry 1", "retry 2"};
  EXPECT_EQ(cpus.happened, expected);
  machine.output_has_room();
  EXPECT_EQ(cpus.happened, expected);
}

TEST_F(MachineTest, DebugExitEndsOnlyWhereAskedFor) {
  Machine plain(ram, {});
  plain.connect(cpus);
  plain.port_write(kBoot, 0xf4, 1, 3);
  EXPECT_FALSE(cpus.ended);
  MachineOptions options;
  options.debug_exit = true;
  Machine machine(ram, options);
  machine.connect(cpus);
  machine.port_write(kBoot, 0xf4, 1, 3);
  ASSERT_TRUE(cpus.ended);
  EXPECT_EQ(cpus.ended->exit_status(), 7);
}

TEST_F(MachineTest, DebugConsoleAnswersOnBothPorts) {
  std::string sent;
  MachineOptions options;
  options.debugcon = [&](std::span<const std::byte> bytes) { sent += static_cast<char>(bytes[0]); };
  Machine machine(ram, options);
  std::uint32_t value = 0;
  machine.port_read(kBoot, 0x402, 1, value);
  EXPECT_EQ(value, 0xe9u);
  machine.port_write(kBoot, 0x402, 1, 'x');
  machine.port_write(kBoot, 0xe9, 1, 'y');
  EXPECT_EQ(sent, "xy");
}

TEST_F(MachineTest, TestDeviceIsThereOnlyWhereAskedFor) {
  const auto kept = [&](bool asked) {
    MachineOptions options;
    options.test_device = asked;
    Machine machine(ram, options);
    machine.connect(cpus);
    machine.port_write(kBoot, 0xe0, 4, 0x12345678);
    std::uint32_t value = 0;
    machine.port_read(kBoot, 0xe8, 4, value);
    std::uint64_t memory = 0;
    const bool has_window = machine.mmio_write(kBoot, {0xff00fff8}, 8, 5) &&
                            machine.mmio_read(kBoot, {0xff00fff8}, 8, memory) && memory == 5;
    return value == 0x12345678 && has_window;
  };
  EXPECT_FALSE(kept(false));
  EXPECT_TRUE(kept(true));
}

// Also after a reset; firmware sets them up itself.
TEST_F(MachineTest, The8259sHaveTheVectorsThatABiosLeaves) {
  const auto interrupt_of = [&](Machine& machine) -> unsigned {
    machine.connect(cpus);
    machine.reset();
    machine.port_write(kBoot, 0x21, 1, 0xfb);  // the slave's line,
    machine.port_write(kBoot, 0xa1, 1, 0xf7);  // and line 11
    machine.port_write(kBoot, 0x200b, 1, 1);
    return machine.acknowledge_interrupt(kBoot).value_or(0xff);
  };
  MachineOptions options;
  options.test_device = true;
  Machine loaded(ram, options);
  EXPECT_EQ(interrupt_of(loaded), 0x73u);
  options.has_firmware = true;
  Machine with_firmware(ram, options);
  EXPECT_EQ(interrupt_of(with_firmware), 3u);
}

// What a small guest does: 8259 remapped to 0x20, PIT at 100 Hz, nothing said to the APICs.
TEST_F(MachineTest, TimerReachesTheBootProcessorThroughThe8259) {
  Machine machine(ram, {});
  machine.connect(cpus);
  const std::pair<std::uint16_t, unsigned> writes[] = {
      {0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 4},    {0xa1, 2},   {0x21, 1},
      {0xa1, 1},    {0x21, 0xfe}, {0xa1, 0xff}, {0x43, 0x34}, {0x40, 0x9c}, {0x40, 0x2e}};
  for (const auto& [port, value] : writes)
    machine.port_write(kBoot, port, 1, value);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(cpus.pins[0]);
    cpus.time = machine.next_event();
    machine.run_events(cpus.time);
    ASSERT_TRUE(cpus.pins[0]);
    EXPECT_EQ(machine.acknowledge_interrupt(kBoot), 0x20);
    machine.port_write(kBoot, 0x20, 1, 0x20);
  }
  EXPECT_NEAR(static_cast<double>(cpus.time.ns), 3e7, 1e5);
}

TEST_F(MachineTest, TimerReachesTheIoApicOnPin2) {
  Machine machine(ram, {});
  machine.connect(cpus);
  machine.mmio_write(kBoot, {0xfee000f0}, 4, 0x1ff);
  machine.mmio_write(kBoot, {0xfec00000}, 4, 0x14);
  machine.mmio_write(kBoot, {0xfec00010}, 4, 0x30);
  machine.port_write(kBoot, 0x43, 1, 0x34);
  machine.port_write(kBoot, 0x40, 2, 0);
  machine.port_write(kBoot, 0x40, 1, 0x10);
  cpus.time = machine.next_event();
  machine.run_events(cpus.time);
  EXPECT_EQ(machine.acknowledge_interrupt(kBoot), 0x30);
}

TEST_F(MachineTest, ApicIsReachedByMmioMsrAndCr8) {
  MachineOptions options;
  options.vcpus = 2;
  Machine machine(ram, options);
  machine.connect(cpus);
  const VcpuId other{1};
  std::uint64_t value = 0;
  EXPECT_TRUE(machine.is_mmio({0xfee00020}));
  EXPECT_FALSE(machine.is_mmio({0xfed80000}));
  EXPECT_FALSE(machine.mmio_read(other, {0xfed80000}, 4, value));
  ASSERT_TRUE(machine.mmio_read(other, {0xfee00020}, 4, value));
  EXPECT_EQ(value, 0x01000000u);
  machine.mmio_read(other, {0xfee00023}, 1, value);
  EXPECT_EQ(value, 1u);
  machine.set_task_priority(other, 5);
  EXPECT_EQ(machine.task_priority(other), 5);
  machine.mmio_read(other, {0xfee00080}, 4, value);
  EXPECT_EQ(value, 0x50u);
  EXPECT_FALSE(machine.apic_msr_read(other, x86::msr::kX2ApicFirst + x86::apic::kId, value));
  ASSERT_TRUE(machine.apic_msr_read(other, x86::msr::kApicBase, value));
  EXPECT_EQ(value, 0xfee00800u);
  EXPECT_TRUE(machine.apic_msr_write(other, x86::msr::kApicBase, 0xfee00c00));
  ASSERT_TRUE(machine.apic_msr_read(other, x86::msr::kX2ApicFirst + x86::apic::kId, value));
  EXPECT_EQ(value, 1u);
  EXPECT_FALSE(machine.apic_msr_read(other, 0x900, value));
  EXPECT_FALSE(machine.mmio_read(other, {0xfee00020}, 4, value));  // gone in x2APIC mode
  EXPECT_TRUE(machine.mmio_read(kBoot, {0xfee00020}, 4, value));
}

TEST_F(MachineTest, TheMapHasMemoryDevicesAndPorts) {
  MachineOptions options;
  options.vcpus = 2;
  options.disks.push_back(std::make_shared<testing::MemoryDisk>(8192));
  Machine machine(ram, options);
  machine.connect(cpus);
  const std::string map = machine.describe_memory_map();
  for (const char* line :
       {"address-space: memory\n  0000000000000000-000000000009ffff (ram)\n",
        "  00000000000c0000-0000000000ffffff (ram)\n",
        "  00000000d0000000-00000000d00001ff (i/o): virtio disk 0, 8 KiB\n",
        "  00000000fec00000-00000000fec00fff (i/o): I/O APIC\n",
        "  00000000fee00000-00000000fee00fff (i/o): local APIC of vCPU 0, 1\n",
        "address-space: I/O\n  0020-0021 (i/o): 8259 pair\n", "  03f8-03ff (i/o): COM1 (16550A)\n"})
    EXPECT_NE(map.find(line), std::string::npos) << line << map;
  machine.apic_msr_write({1}, x86::msr::kApicBase, 0xfe000800);
  EXPECT_NE(machine.describe_memory_map().find("00000000fe000fff (i/o): local APIC of vCPU 1\n"),
            std::string::npos);
}

TEST_F(MachineTest, DevicesOnThePciBusAreListedWhereTheyAnswer) {
  MachineOptions options;
  options.virtio_bus = VirtioBus::Pci;
  options.disks.push_back(std::make_shared<testing::MemoryDisk>(8192));
  Machine machine(ram, options);
  machine.connect(cpus);
  const std::string map = machine.describe_memory_map(), devices = machine.describe_devices();
  EXPECT_NE(map.find("  00000000c0000000-00000000c0003fff (i/o): virtio disk 0, 8 KiB\n"),
            std::string::npos)
      << map;
  EXPECT_NE(devices.find("  dev: virtio disk 0, 8 KiB\n    pci 00:01.0, mmio "
                         "00000000c0000000/4000, mmio 00000000c0004000/1000, irq 16\n"),
            std::string::npos)
      << devices;
  EXPECT_NE(devices.find("  dev: PCI host bridge\n    mmio 00000000e0000000/10000000, ports "
                         "0cf8-0cf8, ports 0cfc-0cff, pci 00:00.0\n"),
            std::string::npos)
      << devices;
}

TEST_F(MachineTest, TheMapHasEachAddressOnceAndDevicesWhereTheyAnswer) {
  MachineOptions options;
  options.virtio_bus = VirtioBus::Pci;
  options.disks.push_back(std::make_shared<testing::MemoryDisk>(8192));
  Machine machine(ram, options);
  machine.connect(cpus);
  const auto map_with = [&](std::uint32_t first, std::uint32_t second) {
    constexpr std::uint64_t kDisk = kPciEcamBase.value + (kVirtioFirstPciDevice << 15);
    machine.mmio_write(kBoot, {kDisk + pci::kFirstBar}, 4, first);
    machine.mmio_write(kBoot, {kDisk + pci::kFirstBar + 4}, 4, second);
    const std::string map = machine.describe_memory_map();
    return map.substr(0, map.find("address-space: I/O"));
  };
  const std::string window =
      "  0000000080000000-00000000dfffffff (i/o): PCI memory\n"
      "  00000000e0000000-00000000efffffff (i/o): PCI configuration space\n"
      "  00000000f0000000-00000000febfffff (i/o): PCI memory\n";
  // Over RAM, over other devices and outside of PCI's memory nothing of it answers.
  EXPECT_THAT(map_with(0x100000, 0xe0000000),
              AllOf(HasSubstr(window), Not(HasSubstr("virtio disk"))));
  EXPECT_THAT(map_with(0x70000000, 0xfec00000),
              AllOf(HasSubstr(window), Not(HasSubstr("virtio disk"))));
  EXPECT_THAT(map_with(0xc1000000, 0xcffff000),
              HasSubstr("  0000000080000000-00000000c0ffffff (i/o): PCI memory\n"
                        "  00000000c1000000-00000000c1003fff (i/o): virtio disk 0, 8 KiB\n"
                        "  00000000c1004000-00000000cfffefff (i/o): PCI memory\n"
                        "  00000000cffff000-00000000cfffffff (i/o): virtio disk 0, 8 KiB\n"
                        "  00000000d0000000-00000000dfffffff (i/o): PCI memory\n"
                        "  00000000e0000000-00000000efffffff (i/o): PCI configuration space\n"));
  // Both at one place: the first has it.
  EXPECT_THAT(map_with(0xc0000000, 0xc0001000),
              HasSubstr("  00000000c0000000-00000000c0003fff (i/o): virtio disk 0, 8 KiB\n"
                        "  00000000c0004000-00000000dfffffff (i/o): PCI memory\n"));
}

// Firmware gives addresses; for a kernel that is loaded here it is done already.
TEST_F(MachineTest, FirmwareFindsPciDevicesWithoutAddresses) {
  for (const bool has_firmware : {false, true}) {
    MachineOptions options;
    options.virtio_bus = VirtioBus::Pci;
    options.has_firmware = has_firmware;
    options.disks.push_back(std::make_shared<testing::MemoryDisk>(8192));
    Machine machine(ram, options);
    machine.connect(cpus);
    const auto configuration = [&](unsigned offset) {
      std::uint32_t value = 0;
      machine.port_write(kBoot, 0xcf8, 4, 0x80000800 | offset);
      machine.port_read(kBoot, 0xcfc, 4, value);
      return value;
    };
    const auto in_memory = [&](Gpa base) {
      std::uint64_t value = 0;
      return machine.mmio_read(kBoot, base + (1u << 15), 4, value) ? std::optional(value)
                                                                   : std::nullopt;
    };
    EXPECT_EQ(in_memory(kPciEcamBase), has_firmware ? std::nullopt : std::optional(0x10421af4ull));
    EXPECT_EQ(configuration(0), 0x10421af4u);
    EXPECT_EQ(configuration(4) & 0xffff, has_firmware ? 0u : 2u);
    EXPECT_EQ(configuration(0x10), has_firmware ? 0u : kPciWindowBase.value);
    EXPECT_EQ(configuration(0x3c), has_firmware ? 0x100u : 0x110u);
    machine.port_write(kBoot, 0xcfc, 4, 0xff);  // the line
    machine.port_write(kBoot, 0xcf8, 4, 0x80000060);
    machine.port_write(kBoot, 0xcfc, 4, 0xb0000001);
    EXPECT_EQ(in_memory({0xb0000000}), 0x10421af4u);
    machine.mmio_write(kBoot, Gpa{0xb0000000} + (1u << 15) + 0x10, 4, 0xcc000000);
    machine.reset();
    EXPECT_FALSE(in_memory({0xb0000000}));
    EXPECT_EQ(configuration(0x10), has_firmware ? 0u : kPciWindowBase.value);
  }
}

// Right below the firmware, where it is looked at without an effect, saved, and reset.
TEST_F(MachineTest, FirmwareHasItsVariablesInFlashMemory) {
  const std::array<std::byte, 8192> image{};
  ASSERT_TRUE(ram.add_rom({0xffffe000}, image));
  MachineOptions options;
  options.has_firmware = true;
  const auto variables = std::make_shared<testing::MemoryDisk>(12288);
  variables->content[0x2ffc] = std::byte{0x5a};
  options.firmware_vars = variables;
  Machine machine(ram, options);
  machine.connect(cpus);
  const Gpa last{0xffffdffc};
  std::uint64_t value = 0;
  EXPECT_TRUE(machine.is_mmio({0xffffb000}));
  EXPECT_FALSE(machine.is_mmio({0xffffaffc}));
  EXPECT_TRUE(machine.mmio_peek(kBoot, last, 4, value));
  EXPECT_EQ(value, 0x5au);
  machine.mmio_write(kBoot, last, 1, 0x70);
  machine.mmio_read(kBoot, last, 1, value);
  EXPECT_EQ(value, 0x80u);
  Machine other(ram, options);
  other.connect(cpus);
  EXPECT_TRUE(testing::load(other, testing::save(machine)));
  EXPECT_EQ(other.hash_devices(), machine.hash_devices());
  EXPECT_EQ(machine.hash_devices().at(16).first, "firmware variables");
  machine.reset();
  machine.mmio_read(kBoot, last, 1, value);
  EXPECT_EQ(value, 0x5au);
  EXPECT_NE(machine.hash_devices(), other.hash_devices());
  EXPECT_NE(machine.describe_memory_map().find("ffffb000-00000000ffffdfff (i/o): firmware var"),
            std::string::npos);
  const std::string devices = machine.describe_devices();
  EXPECT_NE(devices.find("  dev: PCI to ISA bridge\n    pci 00:1f.0\n"), std::string::npos);
}

TEST_F(MachineTest, EveryDeviceIsListedOnceWithItsPlacesAndLine) {
  MachineOptions options;
  options.debug_exit = true;
  Machine machine(ram, options);
  machine.connect(cpus);
  const std::string devices = machine.describe_devices();
  for (const char* device :
       {"  dev: local APICs of 1 vCPUs\n", "  dev: I/O APIC\n    mmio 00000000fec00000/1000\n",
        "  dev: 8259 pair\n    ports 0020-0021, ports 00a0-00a1, ports 04d0-04d1\n",
        "  dev: COM2 (16550A)\n    ports 02f8-02ff, irq 3\n", "  dev: debug exit\n"})
    EXPECT_NE(devices.find(device), std::string::npos) << device << devices;
  EXPECT_EQ(devices.find("-g"), std::string::npos);
}

TEST_F(MachineTest, ButtonsFromOutside) {
  MachineOptions options;
  options.vcpus = 2;
  Machine machine(ram, options);
  machine.connect(cpus);
  machine.send_nmi({1});
  EXPECT_EQ(cpus.happened, std::vector<std::string>{"nmi 1"});
  EXPECT_FALSE(machine.press_power_button());
  machine.port_write(kBoot, 0x602, 2, 0x100);
  EXPECT_TRUE(machine.press_power_button());
}

// What loses its power, where the guest goes on, and with what it does not.
struct SleepTest : MachineTest {
  Machine machine{ram, {}};
  SleepTest() { machine.connect(cpus); }
  std::uint32_t in(std::uint16_t port, unsigned width = 1) {
    std::uint32_t value = 0;
    machine.port_read(kBoot, port, width, value);
    return value;
  }
  void leave_vectors(std::uint32_t vector, std::uint64_t longer) {
    constexpr std::uint32_t kSignature = 0x53434146;  // "FACS"
    std::uint8_t* const facs = ram.host(kFacs, 64);
    std::memcpy(facs, &kSignature, sizeof kSignature);
    std::memcpy(facs + 12, &vector, sizeof vector);
    std::memcpy(facs + 24, &longer, sizeof longer);
  }
  void sleep() { machine.port_write(kBoot, 0x604, 2, 1 << 13 | 1 << 10); }
  void wake() {
    machine.press_power_button();
    cpus.time = machine.next_event();
    machine.run_events(cpus.time);
  }
};

TEST_F(SleepTest, WhatHasNoPowerIsReset) {
  leave_vectors(0x9876a, 0);
  machine.port_write(kBoot, 0x3ff, 1, 0x5a);
  machine.port_write(kBoot, 0x70, 1, 0x40);
  machine.port_write(kBoot, 0x71, 1, 0x77);
  EXPECT_EQ(machine.sleep(), Sleep::Awake);
  EXPECT_EQ(machine.check_asleep().error().text(), "the guest does not sleep");
  sleep();
  EXPECT_EQ(machine.sleep(), Sleep::Asleep);
  EXPECT_TRUE(machine.check_asleep());
  EXPECT_EQ(cpus.happened, std::vector<std::string>{"fall asleep"});
  EXPECT_EQ(in(0x3ff), 0u);
  EXPECT_EQ(in(0x71), 0x77u);
  wake();
  EXPECT_EQ(machine.sleep(), Sleep::Awake);
  EXPECT_EQ(cpus.happened, (std::vector<std::string>{"fall asleep", "wake 9876:a"}));
}

TEST_F(SleepTest, TheClockSaysThatItWillWakeIt) {
  for (const auto& [index, value] : {std::pair{0x0b, 0x26}, {0x01, 0x30}}) {
    machine.port_write(kBoot, 0x70, 1, index);
    machine.port_write(kBoot, 0x71, 1, value);
  }
  machine.port_write(kBoot, 0x602, 2, 0x400);
  sleep();
  EXPECT_EQ(machine.sleep(), Sleep::AsleepUntilAlarm);
  leave_vectors(0x8000, 0);
  for (unsigned i = 0; i < 100 && machine.sleep() != Sleep::Awake; ++i) {
    cpus.time = machine.next_event();
    machine.run_events(cpus.time);
  }
  EXPECT_EQ(cpus.time.ns / 1'000'000'000, 0x30u);
  EXPECT_EQ(cpus.happened.back(), "wake 800:0");
  EXPECT_EQ(in(0x600, 2), 0x8400u);
}

TEST_F(SleepTest, TheLongVectorIsInProtectedMode) {
  leave_vectors(0x8000, 0x123456);
  sleep();
  wake();
  EXPECT_EQ(cpus.happened.back(), "wake 10:123456");
}

TEST_F(SleepTest, WithoutAVectorItIsAReboot) {
  for (const std::uint32_t vector : {0u, 0x100000u}) {
    cpus.ended.reset();
    leave_vectors(vector, 0);
    sleep();
    wake();
    ASSERT_TRUE(cpus.ended);
    EXPECT_EQ(cpus.ended->kind, hypervisor::VmEnd::Kind::Reboot);
  }
}

TEST_F(SleepTest, FirmwareStartsWhereItAlwaysDoes) {
  MachineOptions options;
  options.has_firmware = true;
  Machine other(ram, options);
  other.connect(cpus);
  other.port_write(kBoot, 0x604, 2, 1 << 13 | 1 << 10);
  other.port_write(kBoot, 0x70, 1, 0x0f);
  std::uint32_t status = 0;
  other.port_read(kBoot, 0x71, 1, status);
  EXPECT_EQ(status, 0xfeu);
  other.press_power_button();
  cpus.time = other.next_event();
  other.run_events(cpus.time);
  EXPECT_EQ(cpus.happened.back(), "wake f000:fff0");
}

// An engine that has the 8259s itself.
TEST_F(MachineTest, PortsOfAnEnginesControllersAreShownFromTheirImages) {
  testing::FakeCpuPort engine;
  class Views final : public hypervisor::ControllerViews {
   public:
    std::optional<hypervisor::LocalApicImage> local_apic(VcpuId) override { return std::nullopt; }
    std::optional<hypervisor::IoApicImage> io_apic() override { return std::nullopt; }
    std::optional<hypervisor::PicPairImage> pics() override {
      hypervisor::PicPairImage image;
      image.master.request = 0x11;
      image.master.mask = 0xfb;
      image.slave.service = 0x22;
      image.slave.read_service = 1;
      image.slave.level_triggered = 0x0c;
      return image;
    }
  } views;
  Machine machine(ram, {});
  machine.connect(engine, &views);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x20, 1), 0x11u);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x21, 1), 0xfbu);
  EXPECT_EQ(machine.look_at_port(kBoot, 0xa0, 1), 0x22u);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x4d1, 1), 0x0cu);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x20, 2), std::nullopt);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x40, 1), std::nullopt);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x61, 1), std::nullopt);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x60, 2), std::nullopt);
  EXPECT_EQ(machine.look_at_port(kBoot, 0x3fd, 1), 0x60u);
}

}  // namespace
}  // namespace ringside::machine

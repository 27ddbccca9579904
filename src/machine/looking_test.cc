// Looking at the machine from outside changes nothing. Every device is brought into a state in
// which the guest's reads have effects: bytes wait in FIFOs, errors and interrupts are reported,
// counts are latched, a poll is due. Then everything is looked at, every address in every width,
// and the whole state must be what it was; and what a look shows must be what the guest's read then
// gives.
#include <gtest/gtest.h>

#include <set>

#include "machine/bus/platform_map.h"
#include "machine/machine.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"
#include "x86/apic_registers.h"

namespace ringside::machine {
namespace {

constexpr VcpuId kBoot{0};
constexpr Gpa kLocalApic{x86::apic::kDefaultBase}, kIoApic{x86::io_apic::kBase};
constexpr std::uint32_t kPortCount = 0x10000;

// With disks on either bus.
class Looking : public ::testing::TestWithParam<VirtioBus> {
 protected:
  Looking() {
    MachineOptions options;
    options.virtio_bus = GetParam();
    options.vcpus = 2;
    options.debug_exit = true;
    options.debugcon = [this](std::span<const std::byte>) { ++said_; };
    options.guest_gdb = true;
    options.guest_gdb_wants_client = [this] { ++said_; };
    options.input_taken = [this] { ++said_; };
    for (int i = 0; i < 2; ++i)
      options.disks.push_back(std::make_shared<testing::MemoryDisk>(4096));
    machine_.emplace(ram_, options);
    machine_->connect(cpus_);
    program_interrupt_controllers();
    program_clocks();
    send_and_receive();
    for (unsigned i = 0; i < 2; ++i)
      is_on_pci() ? program_virtio_pci(i) : program_virtio_mmio(i);
    cpus_.time.ns = 1'700'000'000;
  }

  void out(std::uint16_t port, std::uint32_t value, unsigned width = 1) {
    machine_->port_write(kBoot, port, width, value);
  }
  std::uint32_t in(std::uint16_t port, unsigned width = 1) {
    std::uint32_t value = 0;
    machine_->port_read(kBoot, port, width, value);
    return value;
  }
  void write(Gpa address, std::uint32_t value) { machine_->mmio_write(kBoot, address, 4, value); }

  void program_interrupt_controllers() {
    for (const std::uint16_t chip : {0x20, 0xa0}) {
      out(chip, 0x11);
      out(chip + 1, chip == 0x20 ? 0x20 : 0x28);
      out(chip + 1, chip == 0x20 ? 4 : 2);
      out(chip + 1, 1);
      out(chip + 1, 0);
    }
    write(kLocalApic + 0xf0, 0x1ff);
    write(kLocalApic + 0x370, 0xfe);  // errors interrupt, once there is one
    write(kLocalApic + 0x320, 0x20040);
    write(kLocalApic + 0x3e0, 0xb);
    write(kLocalApic + 0x380, 1'000'000'000);
    write(kIoApic, 0x12);
  }
  void program_clocks() {
    out(0x43, 0x34);  // channel 0 in mode 2
    out(0x40, 0x00);
    out(0x40, 0x10);
    out(0x40, 0x00);  // half of another count
    out(0x43, 0xe2);  // status of channel 0, latched
    out(0x43, 0xb6);
    out(0x42, 0x55);
    out(0x42, 0x05);
    out(0x43, 0x80);  // count of channel 2, latched
    out(0x61, 3);
    out(0x70, 0x0b);
    out(0x71, 0x72);  // periodic, alarm and update interrupts
    out(0x70, 0x0c);
    out(0x602, 1);  // the timer's status interrupts
  }
  void send_and_receive() {
    for (const std::uint16_t base : {0x3f8, 0x2f8}) {
      out(base + 2, 1);
      out(base + 1, 0xf);
      out(base + 4, 0xb);
      machine_->input(SerialInput{base == 0x3f8 ? 0u : 1u, std::vector(20, std::byte{'x'})});
    }
    out(0x2fc, 0x1b);  // loopback: modem lines change
    out(0x2fc, 0x1f);
    out(0x2fc, 0x1b);
    out(0x64, 0xaa);
    out(0x60, 0xf2);
    machine_->input(GuestGdbConnection{true});
    machine_->input(GuestGdbInput{std::vector(3, std::byte{'$'})});
    out(0x510, 0x19, 2);
    out(0xcf8, 0x80000000, 4);
    out(0x20, 0x0c);  // the next read of either 8259 is a poll
    out(0xa0, 0x0c);
  }
  static bool is_on_pci() { return GetParam() == VirtioBus::Pci; }
  // A queue that makes no sense: the device needs a reset, and interrupts.
  void program_virtio_mmio(unsigned index) {
    const Gpa base = kVirtioBase + index * kVirtioStride;
    write(base + 0x70, 3);
    write(base + 0x24, 1);
    write(base + 0x20, 1);
    write(base + 0x70, 0xb);
    write(base + 0x38, 4);
    write(base + 0x94, ~0u);
    write(base + 0x44, 1);
    write(base + 0x70, 0xf);
    write(base + 0x50, 0);
  }
  static Gpa pci_configuration(unsigned index) {
    return kPciEcamBase + (std::uint64_t{kVirtioFirstPciDevice + index} << 15);
  }
  static Gpa pci_registers(unsigned index) { return kPciWindowBase + index * 0x8000; }
  void program_virtio_pci(unsigned index) {
    write(pci_configuration(index) + 4, 6);
    const Gpa base = pci_registers(index);
    const auto set = [&](std::uint64_t offset, unsigned width, std::uint32_t value) {
      machine_->mmio_write(kBoot, base + offset, width, value);
    };
    set(0x14, 1, 3);
    set(0x08, 4, 1);
    set(0x0c, 4, 1);
    set(0x14, 1, 0xb);
    set(0x18, 2, 4);
    set(0x2c, 4, ~0u);
    set(0x1c, 2, 1);
    set(0x14, 1, 0xf);
    set(0x3000, 2, 0);
  }

  // Every page with a device's register in it, and one where nothing answers.
  static std::vector<Gpa> pages() {
    const Gpa nowhere{0xd8000000};
    if (!is_on_pci())
      return {kLocalApic, kIoApic, kVirtioBase, kVirtioBase + kVirtioStride, nowhere};
    const Gpa first = pci_registers(0);
    return {kPciEcamBase,          pci_configuration(0),  first,  first + kPageSize,
            first + 3 * kPageSize, first + 4 * kPageSize, nowhere};
  }
  template <typename Visit>
  static void each_address(Visit visit) {
    for (const Gpa page : pages()) {
      for (const unsigned width : {1u, 2u, 4u, 8u}) {
        for (std::uint64_t at = 0; at < kPageSize; ++at) {
          if (at % 8 + width <= 8) visit(page + at, width);
        }
      }
    }
  }
  template <typename Visit>
  static void each_port(Visit visit) {
    for (const unsigned width : {1u, 2u, 4u}) {
      for (std::uint32_t port = 0; port < kPortCount; ++port)
        visit(static_cast<std::uint16_t>(port), width);
    }
  }

  // What devices hold, and all that they have done to anybody.
  struct Everything {
    std::vector<std::byte> state;
    std::vector<std::string> happened;
    std::vector<bool> pins;
    std::size_t written;
    unsigned deadline_moves, said;
    bool ended;
    friend bool operator==(const Everything&, const Everything&) = default;
  };
  Everything everything() {
    return {testing::save(*machine_), cpus_.happened,       cpus_.pins,
            cpus_.written.size(),     cpus_.deadline_moves, said_,
            cpus_.ended.has_value()};
  }

  hypervisor::GuestRam ram_ = *hypervisor::GuestRam::create(16 << 20);
  testing::FakeCpuPort cpus_;
  unsigned said_ = 0;
  std::optional<Machine> machine_;
};

TEST_P(Looking, AtMemoryChangesNothing) {
  const Everything before = everything();
  each_address([&](Gpa address, unsigned width) {
    for (const VcpuId vcpu : {VcpuId{0}, VcpuId{1}}) {
      std::uint64_t value = 0;
      EXPECT_EQ(machine_->mmio_peek(vcpu, address, width, value), machine_->is_mmio(address));
    }
    if (everything() == before) return;
    FAIL() << std::hex << address.value << " with width " << width;
  });
}

TEST_P(Looking, AtPortsChangesNothing) {
  const Everything before = everything();
  each_port([&](std::uint16_t port, unsigned width) {
    machine_->port_peek(kBoot, port, width);
    // Where nobody answers there is nothing to ask.
    const std::uint32_t nobody = width == 4 ? ~0u : (1u << 8 * width) - 1;
    if (machine_->port_peek(kBoot, port, width) == nobody) return;
    ASSERT_TRUE(everything() == before) << std::hex << port << " with width " << width;
  });
  EXPECT_TRUE(everything() == before);
}

TEST_P(Looking, ShowsWhatTheGuestWouldRead) {
  each_address([&](Gpa address, unsigned width) {
    std::uint64_t seen = 0, read = 0;
    const bool there = machine_->mmio_peek(kBoot, address, width, seen);
    EXPECT_EQ(machine_->mmio_read(kBoot, address, width, read), there);
    ASSERT_EQ(seen, read) << std::hex << address.value << " with width " << width;
  });
  each_port([&](std::uint16_t port, unsigned width) {
    const std::uint32_t seen = machine_->port_peek(kBoot, port, width);
    ASSERT_EQ(seen, in(port, width)) << std::hex << port << " with width " << width;
  });
}

// What makes the two tests above worth something: in this state the guest's own reads of each of
// these change the machine, so a look that went the guest's way would be seen.
TEST_P(Looking, IsNotWhatTheGuestDoes) {
  const std::pair<std::uint16_t, unsigned> kPorts[] = {
      {0x20, 1},  {0xa0, 1}, {0x40, 1}, {0x42, 1},  {0x3f8, 1}, {0x3fd, 1},
      {0x2fe, 1}, {0x60, 1}, {0x71, 1}, {0x511, 1}, {0x224, 4},
  };
  for (const auto& [port, width] : kPorts) {
    const std::vector<std::byte> before = testing::save(*machine_);
    in(port, width);
    EXPECT_NE(testing::save(*machine_), before) << std::hex << port;
  }
  const std::vector<std::byte> before = testing::save(*machine_);
  std::uint64_t value = 0;
  machine_->mmio_read(kBoot, kLocalApic + 0x40, 4, value);
  EXPECT_NE(testing::save(*machine_), before) << "a reserved register of the local APIC";
  if (!is_on_pci()) return;
  const std::vector<std::byte> with_interrupt = testing::save(*machine_);
  machine_->mmio_read(kBoot, pci_registers(0) + kPageSize, 1, value);
  EXPECT_EQ(value, 2u);
  EXPECT_NE(testing::save(*machine_), with_interrupt) << "the interrupt status of a virtio device";
}

// A client that is not there is waited for by the guest, not by who looks.
TEST_P(Looking, NeverWaits) {
  machine_->input(GuestGdbConnection{false});
  in(0x224, 4), in(0x224, 4), in(0x224, 4);
  const Everything before = everything();
  EXPECT_EQ(machine_->port_peek(kBoot, 0x224, 4), ~0u);
  EXPECT_TRUE(everything() == before);
  std::uint32_t value = 0;
  EXPECT_EQ(machine_->port_read(kBoot, 0x224, 4, value), hypervisor::Access::Wait);
}

std::string name_of(const ::testing::TestParamInfo<VirtioBus>& bus) {
  return bus.param == VirtioBus::Pci ? "Pci" : "Mmio";
}

INSTANTIATE_TEST_SUITE_P(DisksOn, Looking, ::testing::Values(VirtioBus::Mmio, VirtioBus::Pci),
                         name_of);

}  // namespace
}  // namespace ringside::machine

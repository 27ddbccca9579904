// No sequence of accesses may crash the machine or keep it busy for ever. Fixed seeds; it is meant
// to run under the sanitizers.
#include <gtest/gtest.h>

#include <random>

#include "machine/machine.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"
#include "x86/msr_numbers.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kFlash = 8192;
// Local and I/O APIC, virtio on either bus, PCI's configuration, HPET, test device, flash memory.
constexpr std::uint64_t kMmioPages[] = {
    0xfee00000,
    0xfec00000,
    0xd0000000,
    0xd0000200,
    kPciWindowBase.value,
    kPciWindowBase.value + 0x3000,
    kPciEcamBase.value,
    kPciEcamBase.value + 0x8000,
    kHpet.value,
    0xff000000,
    (1ull << 32) - kFlash,
};

class RandomGuest {
 public:
  RandomGuest(std::uint32_t seed, hypervisor::GuestRam& ram)
      : random_(seed), machine_(ram, options(seed)) {
    machine_.connect(cpus_);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      if (below(4) == 0) pass_time();
    }
  }
  std::vector<std::byte> state() { return testing::save(machine_); }
  Machine& machine() { return machine_; }
  VirtualTime time() const { return cpus_.time; }
  void set_time(VirtualTime time) { cpus_.time = time; }

 private:
  // Of each of four seeds another machine: as firmware finds it or as it leaves it, with its disk
  // on either bus.
  static MachineOptions options(std::uint32_t seed) {
    MachineOptions options;
    options.has_firmware = (seed & 1) != 0;
    if (options.has_firmware) options.firmware_vars = std::make_shared<testing::MemoryDisk>(kFlash);
    options.virtio_bus = (seed & 2) != 0 ? VirtioBus::Pci : VirtioBus::Mmio;
    options.test_device = true;
    options.vcpus = 3;
    options.debug_exit = true;
    options.guest_gdb = true;
    options.disks.push_back(std::make_shared<testing::MemoryDisk>(4096));
    options.debugcon = [](std::span<const std::byte>) {};
    return options;
  }
  std::uint32_t below(std::uint32_t bound) { return random_() % bound; }
  VcpuId vcpu() { return {below(3)}; }

  std::uint16_t port() {
    static constexpr std::uint16_t kPorts[] = {0x20,  0xa0,  0x40,  0x60,  0x61,  0x70,  0x92,
                                               0xe9,  0xf4,  0x224, 0x2f8, 0x3f8, 0x402, 0x4d0,
                                               0x510, 0x514, 0x600, 0xcf8, 0xcfc, 0xe0,  0x2000};
    if (below(8) == 0) return static_cast<std::uint16_t>(random_());
    return static_cast<std::uint16_t>(kPorts[below(std::size(kPorts))] + below(8));
  }
  std::uint64_t value() {
    switch (below(4)) {
      case 0:
        return below(256);
      case 1:
        return std::uint64_t{1} << below(64);
      case 2:
        return ~std::uint64_t{0};
      default:
        return std::uint64_t{random_()} << 32 | random_();
    }
  }
  Gpa address(unsigned width) {
    const std::uint64_t offset = below(2) ? below(0x100) * 4 : below(0x1000);
    const Gpa address{kMmioPages[below(std::size(kMmioPages))] + offset % 0x1000};
    return {address.value & ~std::uint64_t{width - 1}};
  }

  void step() {
    std::uint32_t narrow = 0;
    std::uint64_t wide = 0;
    const unsigned width = 1u << below(3), mmio_width = 1u << below(4);
    switch (below(12)) {
      case 0:
      case 1:
        machine_.port_read(vcpu(), port(), width, narrow);
        EXPECT_LE(narrow, all_ones(width));
        break;
      case 2:
      case 3:
      case 4:
        machine_.port_write(vcpu(), port(), width,
                            static_cast<std::uint32_t>(value() & all_ones(width)));
        break;
      case 5:
        machine_.mmio_read(vcpu(), address(mmio_width), mmio_width, wide);
        break;
      case 6:
      case 7:
        machine_.mmio_write(vcpu(), address(mmio_width), mmio_width, value());
        break;
      case 8:
        machine_.apic_msr_read(vcpu(), msr(), wide);
        break;
      case 9:
        machine_.apic_msr_write(vcpu(), msr(), value());
        break;
      case 10:
        machine_.acknowledge_interrupt(vcpu());
        machine_.set_task_priority(vcpu(), static_cast<std::uint8_t>(below(16)));
        break;
      default:
        input();
        break;
    }
  }
  std::uint32_t msr() {
    static constexpr std::uint32_t kOthers[] = {x86::msr::kApicBase, x86::msr::kTscDeadline};
    return below(2) ? kOthers[below(2)] : x86::msr::kX2ApicFirst + below(0x100);
  }
  void input() {
    switch (below(3)) {
      case 0:
        machine_.input(SerialInput{below(2), std::vector<std::byte>(below(40))});
        break;
      case 1:
        machine_.input(GuestGdbInput{std::vector<std::byte>(below(3))});
        break;
      default:
        machine_.input(GuestGdbConnection{below(2) == 0});
        break;
    }
  }
  void pass_time() {
    const VirtualTime next = machine_.next_event();
    if (below(2) == 0 && next != kNever && next.ns < ~std::uint64_t{0} >> 2) {
      cpus_.time = std::max(cpus_.time, next);
    } else {
      cpus_.time = cpus_.time + below(1'000'000);
    }
    machine_.run_events(cpus_.time);
    ASSERT_GT(machine_.next_event(), cpus_.time);
  }
  static constexpr std::uint64_t all_ones(unsigned width) {
    return ~std::uint64_t{0} >> (64 - 8 * width);
  }

  std::mt19937 random_;
  testing::FakeCpuPort cpus_;
  Machine machine_;
};

class Robustness : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(Robustness, AnyAccessInAnyOrderIsSurvivedAndDeterministic) {
  auto ram = *hypervisor::GuestRam::create(2 << 20);
  RandomGuest one(GetParam(), ram), two(GetParam(), ram);
  one.run(20'000);
  two.run(20'000);
  EXPECT_EQ(one.state(), two.state());
  // And all of the state can be saved and loaded at any time.
  RandomGuest three(GetParam(), ram);
  EXPECT_TRUE(testing::load(three.machine(), one.state()));
  EXPECT_EQ(three.state(), one.state());
}

TEST_P(Robustness, ResetLeavesNothingBehind) {
  auto ram = *hypervisor::GuestRam::create(2 << 20);
  RandomGuest guest(GetParam(), ram), fresh(GetParam(), ram);
  guest.run(20'000);
  guest.machine().input(GuestGdbConnection{false});
  fresh.set_time(guest.time());
  guest.machine().reset();
  fresh.machine().reset();
  EXPECT_EQ(guest.state(), fresh.state());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Robustness, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace ringside::machine

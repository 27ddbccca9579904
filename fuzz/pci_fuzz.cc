// A driver of the PCI bus that does anything: it moves base addresses, onto each other too,
// switches decoding, bus mastering and interrupts, programs MSI-X and queues, in any order and
// width. Behind it are disks, an entropy device and a console, whose numbers, keys and reader come
// when they come. What a look shows is what a read gives, a look changes nothing, a machine that
// takes over is the same, and messages go to interrupt controllers alone.
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "choices.h"
#include "machine/bus/platform_map.h"
#include "machine/machine.h"
#include "machine/random/virtio_random.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;

constexpr std::uint64_t kMemory = 1u << 20;
constexpr std::size_t kDisk = 4096;
constexpr unsigned kDisks = 2, kDevices = kDisks + 2;
constexpr std::size_t kMostSaid = 64u << 10;  // at once

hypervisor::GuestRam& ram() {
  static hypervisor::GuestRam memory = hypervisor::GuestRam::create(kMemory).value();
  return memory;
}

class Cpus final : public machine::testing::FakeCpuPort {
 public:
  bool interrupt_message(std::uint64_t address, std::uint32_t) override {
    check(address >> 20 == 0xfee);
    return false;
  }
};

// Of the console.
bool reader_pauses = false;

machine::MachineOptions options() {
  machine::MachineOptions options;
  options.virtio_bus = machine::VirtioBus::Pci;
  for (unsigned i = 0; i < kDisks; ++i)
    options.disks.push_back(std::make_shared<machine::testing::MemoryDisk>(kDisk));
  options.random.emplace();
  options.console = machine::ConsoleDevice{machine::ByteSink(
      [](std::span<const std::byte> said) { check(said.size() <= kMostSaid && !reader_pauses); },
      [] { return reader_pauses; })};
  return options;
}

class Scene {
 public:
  explicit Scene(Choices& choices) : choices_(choices) {
    for (const hypervisor::RamSlot& slot : ram().slots())
      std::memset(slot.host, 0, slot.size);
    machine_.connect(cpus_);
    reader_pauses = false;
  }

  void play() {
    for (unsigned moves = 0; moves < 200 && !choices_.is_over(); ++moves)
      move();
    take_over();
  }

 private:
  unsigned width() { return 1u << choices_.below(4); }

  std::uint64_t offset(std::uint64_t near, unsigned width) {
    const std::uint64_t any = choices_.mostly(near);
    return any & 0xfff & ~std::uint64_t{width - 1};
  }

  void access(Gpa address, unsigned width) {
    const bool writes = choices_.below(2) == 0;
    if (writes) {
      machine_.mmio_write({}, address, width, choices_.odd<std::uint64_t>(0xf));
      return;
    }
    const std::vector<std::byte> before = machine::testing::save(machine_);
    std::uint64_t seen = 0, read = 0;
    const bool is_there = machine_.mmio_peek({}, address, width, seen);
    check(machine::testing::save(machine_) == before);
    check(machine_.mmio_read({}, address, width, read) == is_there && seen == read);
  }

  void configuration_in_memory() {
    const unsigned bytes = width();
    const std::uint64_t device = choices_.below(kDevices + 2);
    constexpr std::uint8_t kPlaces[] = {0x04, 0x10, 0x14, 0x3c, 0x42, 0x98, 0x9c, 0xa0, 0xa4, 0xa8};
    const std::uint64_t place = choices_.one_of(kPlaces);
    access(kPci + (device << 15) + offset(place, bytes), bytes);
  }
  void configuration_by_ports() {
    const unsigned bytes = 1u << choices_.below(3);
    const std::uint32_t device = choices_.below(kDevices + 2);
    const std::uint32_t place = choices_.number<std::uint8_t>();
    const auto port = static_cast<std::uint16_t>(0xcfc + (place & 3));
    machine_.port_write({}, 0xcf8, 4, choices_.mostly(0x80000000u | device << 11 | place));
    const std::uint32_t seen = machine_.port_peek({}, port, bytes);
    std::uint32_t read = 0;
    machine_.port_read({}, port, bytes, read);
    check(seen == read);
    if (choices_.below(2) == 0)
      machine_.port_write({}, port, bytes, choices_.odd<std::uint32_t>(6));
  }
  // Where the registers are unless they have been moved.
  void registers() {
    constexpr std::uint64_t kPlaces[] = {0x0000, 0x0008, 0x000c, 0x0014, 0x0016, 0x0018,
                                         0x001a, 0x001c, 0x0020, 0x0028, 0x0030, 0x1000,
                                         0x2000, 0x3000, 0x4000, 0x4008, 0x400c, 0x4800};
    const unsigned device = choices_.below(kDevices);
    const std::uint64_t place = choices_.one_of(kPlaces);
    const unsigned bytes = width();
    const Gpa page = machine::kPciWindowBase + device * 0x8000 + (place & 0x7000);
    access(page + offset(place & 0xfff, bytes), bytes);
  }
  void anywhere() {
    const unsigned bytes = width();
    const std::uint64_t place = choices_.number<std::uint32_t>() % machine::kPciWindowSize;
    access(machine::kPciWindowBase + (place & ~std::uint64_t{bytes - 1}), bytes);
  }
  // As a right driver does it.
  void start() {
    const unsigned device = choices_.below(kDevices);
    const Gpa base = machine::kPciWindowBase + device * 0x8000;
    const auto set = [&](std::uint64_t place, unsigned bytes, std::uint64_t value) {
      machine_.mmio_write({}, base + place, bytes, choices_.mostly(value));
    };
    machine_.mmio_write({}, kPci + ((1 + device) << 15) + 4, 2, 6);
    set(0x14, 1, 0);
    set(0x14, 1, 3);
    set(0x08, 4, 1);
    set(0x0c, 4, 1);
    set(0x14, 1, 0xb);
    set(0x16, 2, choices_.below(2));
    set(0x18, 2, 8);
    set(0x20, 8, 0x1000);
    set(0x28, 8, 0x2000);
    set(0x30, 8, 0x3000);
    set(0x1c, 2, 1);
    set(0x14, 1, 0xf);
  }
  void poke() {
    const std::uint64_t place = 0x1000u * (1 + choices_.below(3)) + choices_.number<std::uint8_t>();
    const auto value = choices_.odd<std::uint32_t>(0x1000);
    std::memcpy(ram().host({place}, sizeof value), &value, sizeof value);
  }
  void work() {
    for (unsigned parts = 0; parts < 8 && machine_.has_work(); ++parts)
      machine_.work();
  }
  // More than there is room for, now and then, and numbers that nobody wants.
  void come() {
    const std::vector<std::byte> bytes(choices_.mostly(8u) % 0x3000, std::byte{'x'});
    switch (choices_.below(4)) {
      case 0:
        machine_.input(machine::RandomInput{bytes});
        break;
      case 1:
        check(machine_.random_wanted() <= machine::VirtioRandom::kMaxBytes);
        machine_.input(
            machine::RandomInput{std::vector<std::byte>(machine_.random_wanted(), std::byte{1})});
        check(machine_.random_wanted() == 0);
        break;
      case 2:
        machine_.input(machine::ConsoleInput{bytes});
        break;
      default:
        reader_pauses = !reader_pauses;
        machine_.output_has_room();
        break;
    }
  }
  void take_over() {
    const std::vector<std::byte> saved = machine::testing::save(machine_);
    machine::Machine other(ram(), options());
    check(machine::testing::load(other, saved));
    check(machine::testing::save(other) == saved);
  }

  void move() {
    switch (choices_.below(11)) {
      case 0:
      case 1:
        return configuration_in_memory();
      case 2:
        return configuration_by_ports();
      case 3:
      case 4:
      case 5:
        return registers();
      case 6:
        return choices_.once_in(8) ? take_over() : anywhere();
      case 7:
        return poke();
      case 8:
        return start();
      case 9:
        return come();
      default:
        return work();
    }
  }

  static constexpr Gpa kPci = machine::kPciEcamBase;
  Choices& choices_;
  Cpus cpus_;
  machine::Machine machine_{ram(), options()};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  Scene(choices).play();
  return 0;
}

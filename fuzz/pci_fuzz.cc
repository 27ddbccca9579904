// A driver of the PCI bus that does anything: it moves base addresses, onto each other too,
// switches decoding, bus mastering and interrupts, programs MSI-X and queues, in any order and
// width. Behind it is a device of each kind, and their other ends: frames, answers, packets,
// numbers, keys and readers come when they come. Beside it is what firmware drives: flash memory,
// its configuration with DMA, the HPET, and the test device, with time that passes. What a look
// shows is what a read gives, a look changes nothing, a machine that takes over is the same,
// messages go to interrupt controllers alone, and what waits is bounded.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "choices.h"
#include "machine/bus/platform_map.h"
#include "machine/machine.h"
#include "machine/network/frame.h"
#include "machine/random/virtio_random.h"
#include "machine/share/virtio_share.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"
#include "machine/vsock/packet.h"
#include "machine/vsock/virtio_vsock.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;

constexpr std::uint64_t kMemory = 1u << 20;
constexpr std::size_t kDisk = 4096;
constexpr unsigned kDisks = 2, kDevices = kDisks + 5, kQueues = 3;
constexpr std::size_t kMostSaid = 64u << 10;  // at once
constexpr std::size_t kMostState = 4u << 20;  // of a machine in which much waits
constexpr std::uint64_t kFlash = 8192;
constexpr Gpa kFlashBase{(std::uint64_t{1} << 32) - kFlash};
constexpr std::uint32_t kGuestCid = 3;

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

// Of the console and of the sockets.
bool reader_pauses = false;

// The machine as firmware finds it, where no function has an address, or as it leaves it.
enum class Found : std::uint8_t { ByFirmware, ByKernel };

machine::MachineOptions options(Found found) {
  machine::MachineOptions options;
  options.virtio_bus = machine::VirtioBus::Pci;
  if (found == Found::ByFirmware) {
    options.has_firmware = options.test_device = true;
    options.firmware_vars = std::make_shared<machine::testing::MemoryDisk>(kFlash);
  }
  options.network = machine::NetworkCard{{2, 0, 0, 0, 0, 1},
                                         machine::ByteSink([](std::span<const std::byte> frame) {
                                           check(frame.size() <= machine::kMaxFrame);
                                         })};
  options.shares.push_back({"s", machine::ByteSink([](std::span<const std::byte> request) {
                              check(request.size() <= machine::VirtioShare::kMaxMessage);
                            })});
  options.vsock = machine::VsockDevice{
      kGuestCid, machine::ByteSink(
                     [](std::span<const std::byte> packet) {
                       check(packet.size() <= machine::VirtioVsock::kMaxPacket);
                     },
                     [] { return reader_pauses; })};
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
  explicit Scene(Choices& choices)
      : choices_(choices),
        found_(choices.below(2) == 0 ? Found::ByKernel : Found::ByFirmware),
        machine_(ram(), options(found_)) {
    for (const hypervisor::RamSlot& slot : ram().slots())
      std::memset(slot.host, 0, slot.size);
    machine_.connect(cpus_);
    reader_pauses = false;
    if (found_ == Found::ByFirmware) place();
  }

  void play() {
    for (unsigned moves = 0; moves < 200 && !choices_.is_over(); ++moves)
      move();
    take_over();
  }

 private:
  // As firmware does it, to the places that a kernel would have found.
  void place() {
    const auto set = [this](unsigned device, unsigned place, std::uint64_t value) {
      machine_.port_write({}, 0xcf8, 4, 0x80000000u | device << 11 | place);
      machine_.port_write({}, 0xcfc, 4, static_cast<std::uint32_t>(value));
    };
    for (unsigned device = 0; device < kDevices; ++device)
      set(1 + device, 0x10, machine::kPciWindowBase.value + device * 0x8000);
    set(0, 0x64, kPci.value >> 32);
    set(0, 0x60, kPci.value | 1);
  }

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
    // Merged buffers, too, now and then, which the network card has.
    set(0x08, 4, 0);
    set(0x0c, 4, choices_.below(2) << 15);
    set(0x08, 4, 1);
    set(0x0c, 4, 1);
    set(0x14, 1, 0xb);
    for (unsigned queue = 0; queue < kQueues; ++queue) {
      const std::uint64_t ring = ring_of(queue);
      set(0x16, 2, queue);
      set(0x18, 2, kRing);
      set(0x20, 8, ring);
      set(0x28, 8, ring + 0x1000);
      set(0x30, 8, ring + 0x2000);
      set(0x1c, 2, 1);
    }
    set(0x14, 1, 0xf);
  }
  // All devices have the same rings, so that what is for one is found by others, too.
  static std::uint64_t ring_of(unsigned queue) { return 0x1000 + 0x4000 * queue; }
  template <typename T>
  void put(std::uint64_t place, T value) {
    std::memcpy(ram().host({place}, sizeof value), &value, sizeof value);
  }
  // Buffers or a request, mostly as they should be, and the notification.
  void publish() {
    const unsigned device = choices_.below(kDevices), queue = choices_.below(kQueues);
    const std::uint64_t ring = ring_of(queue);
    const unsigned parts = 1 + choices_.below(3), readable = choices_.below(parts + 1);
    for (unsigned part = 0; part < parts; ++part) {
      const std::uint64_t entry = ring + std::uint64_t{16} * part;
      put(entry, choices_.mostly<std::uint64_t>(0x20000 + 0x8000 * part));
      constexpr std::uint32_t kSizes[] = {1, 12, 16, 44, 45, 512, 4096, 0x1000c, 0x20030};
      put(entry + 8, choices_.mostly(choices_.one_of(kSizes)));
      const unsigned flags = (part + 1 < parts ? 1u : 0u) | (part < readable ? 0u : 2u);
      put(entry + 12, choices_.mostly(static_cast<std::uint16_t>(flags)));
      put(entry + 14, static_cast<std::uint16_t>(part + 1));
    }
    std::uint16_t index = 0;
    std::memcpy(&index, ram().host({ring + 0x1002}, sizeof index), sizeof index);
    const unsigned more = 1 + choices_.below(3);
    for (unsigned i = 0; i < more; ++i)
      put<std::uint16_t>(ring + 0x1004 + std::uint64_t{2} * ((index + i) % kRing), 0);
    put(ring + 0x1002, choices_.mostly(static_cast<std::uint16_t>(index + more)));
    const Gpa base = machine::kPciWindowBase + device * 0x8000;
    machine_.mmio_write({}, base + 0x3000 + std::uint64_t{4} * queue, 2, queue);
  }
  // In a ring, or in what a buffer has.
  void poke() {
    const std::uint64_t ring = ring_of(choices_.below(kQueues));
    const std::uint64_t place =
        choices_.below(4) == 0 ? 0x20000 : ring + 0x1000 * choices_.below(3);
    put(place + choices_.number<std::uint8_t>(), choices_.odd<std::uint32_t>(0x1000));
  }
  void work() {
    for (unsigned parts = 0; parts < 8 && machine_.has_work(); ++parts)
      machine_.work();
  }
  // More than there is room for, now and then, and numbers that nobody wants.
  void come() {
    const std::vector<std::byte> bytes(choices_.mostly(8u) % 0x3000, std::byte{'x'});
    switch (choices_.below(8)) {
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
      case 3:
        for (unsigned frames = choices_.below(4) == 0 ? 300 : 1; frames != 0; --frames)
          machine_.input(machine::NetworkInput{bytes});
        break;
      case 4:
        machine_.input(machine::NetworkInput{std::vector<std::byte>(
            choices_.mostly<std::size_t>(machine::kMaxFrame) % (2 * machine::kMaxFrame))});
        break;
      case 5:
        machine_.input(machine::ShareInput{choices_.below(2), bytes});
        break;
      case 6:
        packet();
        break;
      default:
        reader_pauses = !reader_pauses;
        machine_.output_has_room();
        break;
    }
  }
  // For the guest's sockets, or nothing.
  void packet() {
    constexpr std::size_t kSizes[] = {0, 1, 100, 4096, machine::kVsockRoom};
    const std::size_t size = choices_.one_of(kSizes);
    machine::VsockHeader header{.source_cid = machine::kHostCid, .destination_cid = kGuestCid};
    header.length = choices_.mostly(static_cast<std::uint32_t>(size));
    std::vector<std::byte> bytes(sizeof header + size);
    std::memcpy(bytes.data(), &header, sizeof header);
    if (choices_.once_in(8)) bytes.resize(choices_.below(sizeof header + 2));
    for (unsigned packets = choices_.below(4) == 0 ? 300 : 1; packets != 0; --packets)
      machine_.input(machine::VsockInput{bytes});
  }
  void port(std::uint16_t port, unsigned width) {
    if (choices_.below(2) == 0) {
      machine_.port_write({}, port, width, choices_.odd<std::uint32_t>(0x19) & mask_of(width));
      return;
    }
    const std::vector<std::byte> before = machine::testing::save(machine_);
    const std::uint32_t seen = machine_.port_peek({}, port, width);
    check(machine::testing::save(machine_) == before);
    std::uint32_t read = 0;
    machine_.port_read({}, port, width, read);
    check(seen == read);
  }
  static std::uint32_t mask_of(unsigned width) { return ~std::uint32_t{0} >> (32 - 8 * width); }
  // A request of the firmware's configuration: control, length and address, each with its most
  // significant byte first.
  void fetch_configuration() {
    constexpr std::uint64_t kRequest = 0x30000;
    constexpr std::uint16_t kKeys[] = {0, 1, 3, 5, 0x19, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25};
    const std::uint32_t does = 1u << choices_.below(5);
    const std::uint32_t key = choices_.mostly(choices_.one_of(kKeys));
    put(kRequest, __builtin_bswap32(key << 16 | 8 | does));
    put(kRequest + 4, __builtin_bswap32(choices_.mostly<std::uint32_t>(0x1000)));
    put(kRequest + 8, __builtin_bswap64(choices_.mostly<std::uint64_t>(0x40000)));
    if (choices_.once_in(4)) machine_.port_write({}, 0x514, 4, choices_.number<std::uint8_t>());
    machine_.port_write({}, 0x518, 4, __builtin_bswap32(choices_.mostly<std::uint32_t>(kRequest)));
  }
  // What is at fixed places.
  void beside() {
    const unsigned bytes = width();
    switch (choices_.below(6)) {
      case 0:
        return fetch_configuration();
      case 1: {
        constexpr std::uint16_t kPorts[] = {0x510, 0x511, 0x514,  0x518, 0xe0,
                                            0xe4,  0xe8,  0x2000, 0x2010};
        return port(choices_.one_of(kPorts), 1u << choices_.below(3));
      }
      case 2: {
        constexpr std::uint64_t kPlaces[] = {0,     0x10,  0x20,  0xf0,  0x100, 0x108,
                                             0x120, 0x128, 0x140, 0x148, 0x3f8};
        return access(machine::kHpet + (choices_.one_of(kPlaces) & ~std::uint64_t{bytes - 1}),
                      bytes);
      }
      case 3: {
        constexpr std::uint8_t kCommands[] = {0x10, 0x20, 0x40, 0x50, 0x70, 0x90, 0x98, 0xd0, 0xff};
        const Gpa place = kFlashBase + offset(choices_.below(0x40), bytes);
        if (choices_.below(2) == 0) return access(place, bytes);
        machine_.mmio_write({}, place, bytes, choices_.one_of(kCommands));
        return;
      }
      case 4:
        return access(Gpa{0xff000000} + offset(0, bytes), bytes);
      default:
        return pass_time();
    }
  }
  void pass_time() {
    const VirtualTime next = machine_.next_event();
    constexpr std::uint64_t kFar = ~std::uint64_t{0} >> 2;
    cpus_.time = choices_.below(2) == 0 && next.ns < kFar
                     ? std::max(cpus_.time, next)
                     : cpus_.time + choices_.number<std::uint16_t>();
    machine_.run_events(cpus_.time);
    check(machine_.next_event() > cpus_.time);
  }
  void take_over() {
    const std::vector<std::byte> saved = machine::testing::save(machine_);
    check(saved.size() < kMostState);
    machine::Machine other(ram(), options(found_));
    check(machine::testing::load(other, saved));
    check(machine::testing::save(other) == saved);
  }

  void move() {
    switch (choices_.below(14)) {
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
      case 10:
      case 11:
        return publish();
      case 12:
        return beside();
      default:
        return work();
    }
  }

  static constexpr Gpa kPci = machine::kPciEcamBase;
  static constexpr unsigned kRing = 8;  // entries of each queue
  Choices& choices_;
  const Found found_;
  Cpus cpus_;
  machine::Machine machine_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  Scene(choices).play();
  return 0;
}

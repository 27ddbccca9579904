// A virtio block device with a driver that is nearly right: chains that loop, are indirect, are
// empty, end beyond memory or in ROM, rings that lie anywhere, indices that run away, resets at any
// time. What the device makes of memory and disk is what another, plain one makes of it; CPUs are
// told of every byte that it writes; a notification and a part of its work are bounded.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "choices.h"
#include "machine/storage/virtio_block.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"
#include "machine/virtio/virtio_mmio.h"
#include "plain_disk.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using machine::Allowance;

constexpr std::uint64_t kMemory = 1u << 20, kRom = 4u << 20;
constexpr std::size_t kDisk = 5u * (256u << 10);  // more than one part of the work moves
constexpr std::uint64_t kDescriptors = 0x1000, kAvailable = 0x2000, kUsed = 0x3000,
                        kHeaders = 0x4000, kStatuses = 0x5000, kTable = 0x6000, kData = 0x10000;
constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

hypervisor::GuestRam make_ram() {
  hypervisor::GuestRam ram = hypervisor::GuestRam::create(kMemory).value();
  const std::vector<std::byte> rom(kPageSize, std::byte{0x11});
  check(ram.add_rom({kRom}, rom).has_value());
  return ram;
}

hypervisor::GuestRam& ram() {
  static hypervisor::GuestRam memory = make_ram();
  return memory;
}

// All of this is made once, because it is large.
fuzz::PlainMemory& plain_memory() {
  static fuzz::PlainMemory memory(ram());
  return memory;
}
fuzz::PlainMemory& told_memory() {
  static fuzz::PlainMemory memory(ram());
  return memory;
}

std::shared_ptr<machine::testing::MemoryDisk> disk() {
  static const auto all = std::make_shared<machine::testing::MemoryDisk>(kDisk);
  return all;
}
fuzz::PlainDisk& plain_disk() {
  static fuzz::PlainDisk all(plain_memory(), kDisk);
  return all;
}

// Before changes it is told that there will be some, after them which.
class Cpus final : public machine::testing::FakeCpuPort {
 public:
  void ram_about_to_change(Gpa address, std::uint64_t size) override {
    if (std::exchange(is_told_, false)) announced_.clear();
    announced_.emplace_back(address, size);
  }
  void ram_written(Gpa address, std::uint64_t size) override {
    is_told_ = true;
    check(std::ranges::any_of(announced_, [&](const auto& one) {
      return address >= one.first && address.value + size <= one.first.value + one.second;
    }));
    told_memory().take_over(address, size);
  }

 private:
  std::vector<std::pair<Gpa, std::uint64_t>> announced_;
  bool is_told_ = false;  // since the last of them
};

class Scene {
 public:
  explicit Scene(Choices& choices) : choices_(choices) {
    for (const hypervisor::RamSlot& slot : ram().slots()) {
      if (!slot.read_only) std::memset(slot.host, 0, slot.size);
    }
    std::memset(disk_->content.data(), 0, kDisk);
    for (std::size_t i = 0; i < kDisk; i += 512)
      disk_->content[i] = static_cast<std::byte>(1 + (i >> 9));
    disk_->broken = disk_->is_read_only = false;
    disk_->waits = 0;
    disk_->remote = false;
    plain_.is_broken = plain_.is_read_only = plain_.is_remote = false;
    synchronise();
  }

  void play() {
    start();
    for (unsigned moves = 0; moves < 100 && !choices_.is_over(); ++moves)
      move();
    notify();
    compare();
  }

 private:
  std::uint32_t read(std::uint64_t offset) {
    return static_cast<std::uint32_t>(transport_.read_mmio({{}, offset, 4}));
  }
  void write(std::uint64_t offset, std::uint32_t value) {
    transport_.write_mmio({{}, offset, 4}, value);
    write_queue(offset, value);
  }
  // What the device should know of the queue, for the plain one.
  void write_queue(std::uint64_t offset, std::uint32_t value) {
    const auto half = [value](std::uint64_t& address, bool high) {
      address = high ? (address & 0xffffffff) | std::uint64_t{value} << 32
                     : (address & ~std::uint64_t{0xffffffff}) | value;
    };
    if (offset == 0x030) selected_ = value;
    if (offset == 0x070 && value == 0) {
      queue_ = {};
      selected_ = 0;
    }
    if (selected_ != 0) return;
    if (offset == 0x044) {
      queue_.ready = value & 1;
      if (queue_.ready == 0) queue_.next_available = queue_.next_used = 0;
    }
    if (queue_.ready != 0) return;
    const bool is_size = value != 0 && (value & (value - 1)) == 0 && value <= 256;
    if (offset == 0x038 && is_size) queue_.size = static_cast<std::uint16_t>(value);
    if (offset == 0x080 || offset == 0x084) half(queue_.descriptors, offset == 0x084);
    if (offset == 0x090 || offset == 0x094) half(queue_.available, offset == 0x094);
    if (offset == 0x0a0 || offset == 0x0a4) half(queue_.used, offset == 0x0a4);
  }
  // As the guest's processor does it.
  template <typename T>
  void poke(std::uint64_t address, T value) {
    const hypervisor::RamSlot* slot = ram().find({address}, sizeof value);
    if (slot == nullptr || slot->read_only) return;
    std::memcpy(slot->host + (address - slot->base.value), &value, sizeof value);
    plain_memory().put(address, value);
    told_memory().put(address, value);
  }
  void synchronise() {
    plain_memory().take_over();
    told_memory().take_over();
    std::memcpy(plain_.content.data(), disk_->content.data(), kDisk);
  }

  void start() {
    write(0x070, 0);
    write(0x070, 3);
    write(0x024, 1);
    write(0x020, 1);  // VERSION_1
    write(0x070, 0xb);
    check(read(0x070) == 0xb);
    write(0x038, 8);
    write(0x080, kDescriptors);
    write(0x090, kAvailable);
    write(0x0a0, kUsed);
    write(0x044, 1);
    write(0x070, 0xf);
    published_ = 0;
    poke(kAvailable + 2, published_);
  }

  std::uint64_t place() {
    constexpr std::uint64_t kPlaces[] = {
        kData,         kData + 1,   kHeaders, kStatuses,  kTable,       kDescriptors,
        kAvailable,    kUsed,       0,        0x9fe00,    0x9ffff,      0xa0000,
        kMemory - 512, kMemory - 1, kMemory,  kRom,       kRom + 0xe00, 0xfee00000,
        0xd0000000,    ~0ull - 511, ~0ull,    1ull << 63, 0xc0000};
    return choices_.below(4) != 3 ? kData + 512u * choices_.below(64) : choices_.one_of(kPlaces);
  }
  std::uint32_t length() {
    constexpr std::uint32_t kLengths[] = {512, 1024,  4096, 256 * 1024, 1,          0,
                                          511, 65536, 16,   0xffffffff, 0xfffffe00, 0x80000000};
    return choices_.one_of(kLengths);
  }
  void descriptor(std::uint64_t table, unsigned index, std::uint64_t address, std::uint32_t size,
                  unsigned flags, std::uint16_t next) {
    const std::uint64_t at = table + 16 * index;
    poke(at, address);
    poke(at + 8, size);
    poke(at + 12, static_cast<std::uint16_t>(flags));
    poke(at + 14, next);
  }
  void publish(std::uint16_t head, std::uint16_t count) {
    poke(queue_.available + 4 + 2u * (published_ % queue_.size), head);
    published_ = static_cast<std::uint16_t>(published_ + count);
    poke(queue_.available + 2, published_);
  }

  // A right one: header, data in up to 8 pieces, status; in the queue's table or an indirect one.
  void request() {
    constexpr std::uint32_t kTypes[] = {0, 1, 4, 8, 0, 1, 2, 0xffffffff};
    const std::uint32_t type = choices_.one_of(kTypes);
    const std::uint64_t header = kHeaders + 16u * choices_.below(8);
    poke(header, type);
    poke(header + 8,
         choices_.once_in(4) ? choices_.odd<std::uint64_t>(kDisk / 512) : choices_.below(32));
    const bool is_indirect = choices_.once_in(4);
    const std::uint64_t table = is_indirect ? kTable : kDescriptors;
    const unsigned first = is_indirect ? 0 : choices_.below(4);
    const unsigned pieces = type == 4 ? 0 : choices_.below(is_indirect ? 9 : 4);
    unsigned at = first;
    descriptor(table, at, header, 16, kNext, static_cast<std::uint16_t>(at + 1));
    for (unsigned i = 0; i < pieces; ++i) {
      ++at;
      const std::uint64_t address = place();
      descriptor(table, at, address, length(), kNext | (type == 1 ? 0 : kWrite),
                 static_cast<std::uint16_t>(at + 1));
    }
    ++at;
    descriptor(table, at, kStatuses + choices_.below(8), 1, kWrite, 0);
    if (is_indirect)
      descriptor(kDescriptors, 7, table, choices_.mostly<std::uint32_t>(16 * (at + 1)), kIndirect,
                 0);
    publish(static_cast<std::uint16_t>(is_indirect ? 7 : first), 1);
  }

  void any_descriptor() {
    constexpr std::uint16_t kFlags[] = {
        0, kNext, kWrite, kNext | kWrite, kIndirect, kNext, kIndirect | kNext, 8};
    const std::uint64_t table = choices_.once_in(3) ? kTable : kDescriptors;
    const unsigned index = choices_.below(9);
    const std::uint64_t address = place();
    const std::uint32_t size = length();
    const std::uint16_t flags = choices_.one_of(kFlags);
    descriptor(table, index, address, size, flags,
               choices_.mostly(static_cast<std::uint16_t>(choices_.below(9))));
  }

  void publish_some() {
    const auto head = static_cast<std::uint16_t>(choices_.below(9));
    publish(head, choices_.mostly<std::uint16_t>(1));
  }
  void poke_somewhere() {
    const std::uint64_t address = place();
    poke(address, choices_.number<std::uint32_t>());
  }

  void queue_register() {
    constexpr std::uint64_t kRegisters[] = {0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4,
                                            0x038, 0x030, 0x044, 0x064, 0x014, 0x020};
    const std::uint64_t which = choices_.one_of(kRegisters);
    const auto value = choices_.below(2) == 0 ? static_cast<std::uint32_t>(place())
                                              : choices_.odd<std::uint32_t>(8);
    // Mostly they are only taken while the queue is not in use.
    const bool stops = choices_.below(4) != 0;
    if (stops) write(0x044, 0);
    write(which, value);
    if (stops) write(0x044, 1);
    published_ = 0;
  }

  void disk_changes() {
    switch (choices_.below(4)) {
      case 0:
        disk_->broken = !disk_->broken;
        break;
      case 1:
        disk_->is_read_only = !disk_->is_read_only;
        break;
      default: {
        const unsigned choice = choices_.below(8);
        disk_->waits = choice % 4;
        disk_->remote = choice >= 4;
        break;
      }
    }
    plain_.is_broken = disk_->broken;
    plain_.is_remote = disk_->remote;
    plain_.is_read_only = disk_->is_read_only;
  }

  void move() {
    switch (choices_.below(12)) {
      case 0:
      case 1:
      case 2:
        request();
        break;
      case 3:
        any_descriptor();
        break;
      case 4:
        publish_some();
        break;
      case 5:
        queue_register();
        break;
      case 6:
        poke_somewhere();
        break;
      case 7:
        disk_changes();
        break;
      case 8:
        write(0x070, choices_.below(2) == 0 ? 0xf : choices_.odd<std::uint32_t>(0xf));
        break;
      case 9:
        start();
        break;
      default:
        notify();
        break;
    }
  }

  // A part of the work, with its bounds.
  template <typename Function>
  void bounded(const Function& part) {
    disk_->moved = 0;
    part();
    check(disk_->moved <= Allowance::kBytes);
    check(!transport_.has_work() || (read(0x070) & 0x40) == 0);
  }
  // Work that cannot be done yet has no effect.
  void work() {
    const auto before = machine::testing::save(transport_);
    hypervisor::WorkPart done{};
    bounded([&] { done = transport_.work(); });
    if (done == hypervisor::WorkPart::Waits) {
      check(machine::testing::save(transport_) == before);
      check(disk_->moved == 0);
    }
  }

  // A device that takes over in the middle of its work is the same.
  void save_and_load() {
    const auto saved = machine::testing::save(transport_);
    machine::VirtioBlock block(disk_, memory_, 0);
    machine::VirtioMmio other(block, memory_, {lines_, 17}, cpus_);
    check(machine::testing::load(other, saved));
    check(machine::testing::save(other) == saved);
  }

  void notify() {
    const bool can_serve = (read(0x070) & 0x44) == 4 && queue_.ready != 0;
    const bool disturbs = choices_.once_in(6);
    auto end = fuzz::PlainDisk::End::Empty;
    if (disturbs) compare();
    if (can_serve && !disturbs) end = plain_.serve(queue_);
    bounded([&] { write(0x050, 0); });
    check(can_serve || !transport_.has_work());
    constexpr unsigned kMostParts = 5000;
    for (unsigned parts = 0; transport_.has_work() && parts < kMostParts; ++parts) {
      if (disturbs && parts == 0) disturb();
      if (parts % 8 == 1) save_and_load();
      if (transport_.has_work()) work();
    }
    const bool is_endless = end == fuzz::PlainDisk::End::GivenUp;
    check(!transport_.has_work() || disturbs || is_endless);
    if (can_serve && !disturbs && !is_endless)
      check(((read(0x070) & 0x40) != 0) == (end == fuzz::PlainDisk::End::NeedsReset));
    if (transport_.has_work()) start();
    if (disturbs || is_endless) {
      check(told_memory().is_same());
      synchronise();
    }
    follow_queue();
  }
  // What differs once differs until then.
  void compare() {
    check(told_memory().is_same());
    check(plain_memory().is_same() &&
          std::memcmp(plain_.content.data(), disk_->content.data(), kDisk) == 0);
  }
  // What the guest does while requests are under way.
  void disturb() {
    if (choices_.below(3) == 0) {
      write(0x070, 0);
      check(!transport_.has_work());
      start();
    }
    for (unsigned left = choices_.below(4); left > 0; --left) {
      poke_somewhere();
      any_descriptor();
    }
    if (choices_.below(3) == 0) {
      write(0x044, 0);
      check(selected_ != 0 || !transport_.has_work());
    }
  }
  // The indices that the device has reached, from its saved state.
  void follow_queue() {
    const auto saved = machine::testing::save(transport_);
    // The queue's state comes behind the transport's and that of the device's other facilities.
    constexpr std::size_t kTransport = 4 + 32;
    check(saved.size() >= kTransport + sizeof queue_);
    machine::VirtioQueue::State now;
    std::memcpy(&now, &saved[kTransport], sizeof now);
    check(now.descriptors == queue_.descriptors && now.available == queue_.available &&
          now.used == queue_.used && now.size == queue_.size && now.ready == queue_.ready);
    queue_ = now;
  }

  Choices& choices_;
  Cpus cpus_;
  machine::testing::FakeLines lines_;
  machine::DmaMemory memory_{ram(), cpus_};
  const std::shared_ptr<machine::testing::MemoryDisk> disk_ = disk();
  machine::VirtioBlock block_{disk_, memory_, 0};
  machine::VirtioMmio transport_{block_, memory_, {lines_, 16}, cpus_};
  fuzz::PlainDisk& plain_ = plain_disk();
  machine::VirtioQueue::State queue_;
  std::uint32_t selected_ = 0;
  std::uint16_t published_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  Scene(choices).play();
  return 0;
}

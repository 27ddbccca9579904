// Devices that wait for room in their sinks: which of them works next, and how often, does not
// depend on who reads them and when.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "machine/bus/platform_map.h"
#include "machine/machine.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/guest_memory.h"
#include "machine/vsock/packet.h"

namespace ringside::machine {
namespace {

constexpr VcpuId kBoot{0};
constexpr unsigned kTransmit = 1;  // of both devices
constexpr std::uint64_t kQueues = 0x1000, kPerDevice = 0x4000, kPiece = 0x20000;

class Guest : testing::GuestMemory {
 public:
  // A reader who does not always take something, as the seed has it; 0: one who does.
  explicit Guest(unsigned reader) : reads_(reader), pauses_(reader != 0) {
    MachineOptions options;
    options.virtio_bus = VirtioBus::Mmio;
    options.vsock = VsockDevice{3, sink("packet")};
    options.console = ConsoleDevice{sink("words")};
    machine_ = std::make_unique<Machine>(ram, std::move(options));
    machine_->connect(cpus_);
    start(0, 3);
    start(1, 2);
  }

  // What the devices did, in their order.
  std::vector<std::string> run() {
    for (unsigned round = 0; round < 200; ++round) {
      for (unsigned device = 0; device < 2; ++device)
        if (choices_() % 2 == 0) send(device);
      const unsigned parts = choices_() % 4;
      for (unsigned i = 0; i < parts && machine_->has_work(); ++i)
        work();
    }
    while (machine_->has_work())
      work();
    return done_;
  }

 private:
  ByteSink sink(const char* name) {
    return {[this, name](std::span<const std::byte>) { done_.emplace_back(name); },
            [this] { return is_full_; }};
  }
  void write(unsigned device, std::uint64_t offset, std::uint64_t value) {
    machine_->mmio_write(kBoot, {kVirtioBase.value + device * kVirtioStride + offset}, 4, value);
  }
  static std::uint64_t queue(unsigned device) { return kQueues + device * kPerDevice; }

  void start(unsigned device, unsigned queues) {
    for (const auto& [offset, value] : {std::pair{0x070, 3}, {0x024, 1}, {0x020, 1}, {0x070, 11}})
      write(device, static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(value));
    ASSERT_LT(kTransmit, queues);
    write(device, 0x030, kTransmit);
    write(device, 0x038, 8);
    write(device, 0x080, queue(device));
    write(device, 0x090, queue(device) + 0x1000);
    write(device, 0x0a0, queue(device) + 0x2000);
    write(device, 0x044, 1);
    write(device, 0x070, 15);
    poke<std::uint64_t>(queue(device), kPiece);
    poke<std::uint32_t>(queue(device) + 8, sizeof(VsockHeader));
  }
  // The guest stands while a device waits, and goes on whenever the reader has taken enough.
  void settle() {
    for (is_full_ = pauses(); machine_->awaits_input(); is_full_ = pauses())
      EXPECT_TRUE(machine_->awaits_room());
  }
  bool pauses() { return pauses_ && reads_() % 2 == 0; }
  // Where there is a place in its queue.
  void send(unsigned device) {
    settle();
    const auto used = peek<std::uint16_t>(queue(device) + 0x2002);
    std::uint16_t& published = published_[device];
    if (static_cast<std::uint16_t>(published - used) == 8) return;
    poke<std::uint16_t>(queue(device) + 0x1002, ++published);
    write(device, 0x050, kTransmit);
  }
  void work() {
    settle();
    machine_->work();
    done_.emplace_back("part");
  }

  std::minstd_rand choices_{1}, reads_;
  const bool pauses_;
  bool is_full_ = false;
  testing::FakeCpuPort cpus_;
  std::unique_ptr<Machine> machine_;
  std::uint16_t published_[2] = {};
  std::vector<std::string> done_;
};

TEST(WaitingDevices, WorkInAnOrderThatNoReaderChanges) {
  const std::vector<std::string> expected = Guest(0).run();
  EXPECT_GT(expected.size(), 200u);
  for (unsigned reader = 1; reader < 50; ++reader)
    ASSERT_EQ(Guest(reader).run(), expected) << reader;
}

}  // namespace
}  // namespace ringside::machine

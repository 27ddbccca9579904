#include "platform/ram_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>

namespace ringside::hypervisor {
namespace {

constexpr Gpa kDevice{0xd0000000}, kRom{0xfffff000}, kNowhere{0xe0000000};
constexpr std::uint64_t kMegabyte = 1 << 20;

// One device of 4 KiB that shows what was written last.
class OneDevice final : public Platform {
 public:
  std::uint64_t last = 0x11223344;
  Access port_read(VcpuId, std::uint16_t, unsigned, std::uint32_t&) override {
    return Access::Done;
  }
  Access port_write(VcpuId, std::uint16_t, unsigned, std::uint32_t) override {
    return Access::Done;
  }
  bool mmio_read(VcpuId, Gpa, unsigned, std::uint64_t&) override {
    ADD_FAILURE() << "a look is no access";
    return false;
  }
  bool mmio_peek(VcpuId, Gpa address, unsigned, std::uint64_t& value) const override {
    value = last;
    return is_mmio(address);
  }
  bool mmio_write(VcpuId, Gpa address, unsigned, std::uint64_t value) override {
    if (is_mmio(address)) last = value;
    return is_mmio(address);
  }
  bool is_mmio(Gpa address) const override { return address.value - kDevice.value < kPageSize; }
  std::optional<std::uint8_t> acknowledge_interrupt(VcpuId) override { return std::nullopt; }
  std::uint8_t task_priority(VcpuId) override { return 0; }
  void set_task_priority(VcpuId, std::uint8_t) override {}
  bool apic_msr_read(VcpuId, std::uint32_t, std::uint64_t&) override { return false; }
  bool apic_msr_write(VcpuId, std::uint32_t, std::uint64_t) override { return false; }
  VirtualTime next_event() const override { return kNever; }
  void run_events(VirtualTime) override {}
};

class WatchedMemory final : public RamMemory {
 public:
  using RamMemory::RamMemory;
  std::vector<std::pair<Gpa, std::uint64_t>> written;

 private:
  void ram_written(Gpa address, std::uint64_t size) override {
    written.emplace_back(address, size);
  }
};

struct RamMemoryTest : ::testing::Test {
  GuestRam ram = *GuestRam::create(kMegabyte);
  OneDevice platform;
  WatchedMemory memory{ram, platform};

  RamMemoryTest() {
    const std::array<std::byte, 3> image{std::byte{0xea}, std::byte{1}, std::byte{2}};
    EXPECT_TRUE(ram.add_rom(kRom, image));
  }
  std::array<std::byte, 3> bytes_at(Gpa address) {
    std::array<std::byte, 3> bytes{};
    EXPECT_TRUE(memory.read_ram(address, bytes));
    return bytes;
  }
};

TEST_F(RamMemoryTest, Tells_what_lies_at_an_address) {
  EXPECT_EQ(memory.kind({0x1000}), MemoryKind::Ram);
  EXPECT_EQ(memory.kind(kRom), MemoryKind::Rom);
  EXPECT_EQ(memory.kind(kDevice), MemoryKind::Mmio);
  EXPECT_EQ(memory.kind(kNowhere), MemoryKind::Nothing);
}

TEST_F(RamMemoryTest, Lists_its_regions_in_ascending_order) {
  const std::vector<MemoryRegion> regions = memory.regions();
  ASSERT_EQ(regions.size(), 3u);
  EXPECT_EQ(regions[0].base, Gpa{0});
  EXPECT_EQ(regions[1].base, Gpa{768 << 10});
  EXPECT_EQ(regions[2].base, kRom);
  EXPECT_EQ(regions[2].size, kPageSize);
  EXPECT_EQ(regions[2].kind, MemoryKind::Rom);
}

TEST_F(RamMemoryTest, A_write_reaches_rom_too_and_is_told_once) {
  const std::array<std::byte, 3> data{std::byte{7}, std::byte{8}, std::byte{9}};
  for (const Gpa address : {Gpa{0x1ffd}, kRom}) {
    memory.written.clear();
    ASSERT_TRUE(memory.write_ram(address, data));
    EXPECT_EQ(bytes_at(address), data);
    ASSERT_EQ(memory.written.size(), 1u);
    EXPECT_EQ(memory.written[0].first, address);
    EXPECT_EQ(memory.written[0].second, data.size());
  }
}

TEST_F(RamMemoryTest, Where_there_is_no_memory_nothing_is_written_or_told) {
  const std::array<std::byte, 3> data{};
  for (const Gpa address : {kDevice, kNowhere, Gpa{(640 << 10) - 1}}) {
    EXPECT_EQ(memory.write_ram(address, data).error().code(), ErrorCode::BadAddress);
    std::array<std::byte, 3> out{};
    EXPECT_EQ(memory.read_ram(address, out).error().code(), ErrorCode::BadAddress);
  }
  EXPECT_TRUE(memory.written.empty());
}

TEST_F(RamMemoryTest, A_device_is_looked_at_and_written) {
  EXPECT_EQ(memory.read_mmio({0}, kDevice, 4).value(), 0x11223344u);
  EXPECT_TRUE(memory.write_mmio({0}, kDevice, 4, 5));
  EXPECT_EQ(platform.last, 5u);
  EXPECT_EQ(memory.read_mmio({0}, kNowhere, 4).error().code(), ErrorCode::BadAddress);
  EXPECT_EQ(memory.write_mmio({0}, kNowhere, 4, 0).error().code(), ErrorCode::BadAddress);
}

}  // namespace
}  // namespace ringside::hypervisor

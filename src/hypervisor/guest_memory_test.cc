#include <gtest/gtest.h>

#include "hypervisor/guest_memory.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::hypervisor {
namespace {

using testing::FakeVm;
using testing::MmioAccess;

constexpr VcpuId kCpu{0};
constexpr std::uint64_t kPresent = 1, kLarge = 0x80;

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values)
    result.push_back(static_cast<std::byte>(value));
  return result;
}

// 4-level paging on vCPU 0 with the tables at 0x1000..0x4fff: read-only supervisor pages, accessed
// and dirty clear, of which each test maps what it wants at 0..2 MiB.
class GuestMemory : public ::testing::Test {
 protected:
  GuestMemory() : vm(2) {
    vm.memory().add_ram({0}, 0x20000);
    vm.memory().add_device({0xfe000000}, 0x1000);
    for (const VcpuId id : {VcpuId{0}, VcpuId{1}}) {
      x86::CpuState& cpu = vm.vcpu(id).cpu;
      cpu.cr0 = x86::cr0::PE | x86::cr0::PG | x86::cr0::WP;
      cpu.cr4 = x86::cr4::PAE;
      cpu.efer = x86::efer::LME | x86::efer::LMA;
      cpu.cr3 = 0x1000;
    }
    vm.memory().poke<std::uint64_t>({0x1000}, 0x2000 | kPresent);
    vm.memory().poke<std::uint64_t>({0x2000}, 0x3000 | kPresent);
    vm.memory().poke<std::uint64_t>({0x3000}, 0x4000 | kPresent);
  }
  void map(std::uint64_t gva, std::uint64_t gpa) {
    vm.memory().poke<std::uint64_t>({0x4000 + (gva >> 12) * 8}, gpa | kPresent);
  }

  FakeVm vm;
};

TEST_F(GuestMemory, TranslatesWithTheVcpusOwnTables) {
  map(0x5000, 0x10000);
  EXPECT_EQ(translate(vm, kCpu, {0x5678}).value().value, 0x10678u);
  vm.vcpu({1}).cpu.cr3 = 0x8000;
  vm.memory().poke<std::uint64_t>({0x8000}, 0x9000 | kPresent);
  vm.memory().poke<std::uint64_t>({0x9000}, 0 | kLarge | kPresent);
  EXPECT_EQ(translate(vm, {1}, {0x5678}).value().value, 0x5678u);
  EXPECT_EQ(translate(vm, kCpu, {0x6000}).error().code(), ErrorCode::BadAddress);
}

TEST_F(GuestMemory, ReadsAcrossPagesThatLieApart) {
  map(0x5000, 0x10000);
  map(0x6000, 0x8000);
  map(0x7000, 0x12000);
  vm.memory().poke<std::uint16_t>({0x10ffe}, 0x2211);
  vm.memory().poke<std::uint16_t>({0x12000}, 0x4433);
  std::vector<std::byte> expected = bytes({0x11, 0x22});
  expected.resize(2 + 0x1000);
  for (const std::byte b : bytes({0x33, 0x44}))
    expected.push_back(b);
  EXPECT_EQ(read_virtual(vm, kCpu, {0x5ffe}, 0x1004).value(), expected);
}

TEST_F(GuestMemory, AReadGivesTheReadablePrefix) {
  map(0x5000, 0x10000);
  EXPECT_EQ(read_virtual(vm, kCpu, {0x5ff0}, 0x100).value().size(), 0x10u);
  EXPECT_EQ(read_virtual(vm, kCpu, {0x6000}, 0x100).error().code(), ErrorCode::BadAddress);
  map(0x6000, 0xd0000000);  // mapped, but to nothing
  EXPECT_EQ(read_virtual(vm, kCpu, {0x5ff0}, 0x100).value().size(), 0x10u);
  EXPECT_EQ(read_virtual(vm, kCpu, {0x6000}, 1).error().code(), ErrorCode::BadAddress);
}

TEST_F(GuestMemory, NothingIsReadForNoBytes) {
  EXPECT_EQ(read_virtual(vm, kCpu, {0x6000}, 0).value().size(), 0u);
  EXPECT_TRUE(write_virtual(vm, kCpu, {0x6000}, {}));
}

TEST_F(GuestMemory, WritesPassReadOnlySupervisorPages) {
  map(0x5000, 0x10000);
  map(0x6000, 0x8000);
  ASSERT_TRUE(write_virtual(vm, kCpu, {0x5fff}, bytes({1, 2})));
  EXPECT_EQ(vm.memory().peek<std::uint8_t>({0x10fff}), 1);
  EXPECT_EQ(vm.memory().peek<std::uint8_t>({0x8000}), 2);
}

TEST_F(GuestMemory, LooksWithoutAccessedAndDirtyBits) {
  map(0x5000, 0x10000);
  ASSERT_TRUE(read_virtual(vm, kCpu, {0x5000}, 4));
  ASSERT_TRUE(write_virtual(vm, kCpu, {0x5000}, bytes({1})));
  EXPECT_EQ(vm.memory().peek<std::uint64_t>({0x4000 + 5 * 8}), 0x10000 | kPresent);
  EXPECT_EQ(vm.memory().peek<std::uint64_t>({0x1000}), 0x2000 | kPresent);
}

TEST_F(GuestMemory, AWriteThatFailsChangesNothing) {
  map(0x5000, 0x10000);
  map(0x6000, 0xd0000000);
  EXPECT_EQ(write_virtual(vm, kCpu, {0x5fff}, bytes({1, 2})).error().code(), ErrorCode::BadAddress);
  EXPECT_EQ(vm.memory().peek<std::uint8_t>({0x10fff}), 0);
  EXPECT_EQ(write_virtual(vm, kCpu, {0x6fff}, bytes({1, 2})).error().code(), ErrorCode::BadAddress);
}

TEST_F(GuestMemory, RomIsWritable) {
  vm.memory().add_ram({0xf0000}, 0x1000, MemoryKind::Rom);
  ASSERT_TRUE(write_physical(vm, kCpu, {0xf0010}, bytes({9})));
  EXPECT_EQ(read_physical(vm, kCpu, {0xf0010}, 1).value(), bytes({9}));
}

struct WidthCase {
  std::uint64_t offset;
  unsigned size;
  std::vector<unsigned> widths;
};

TEST_F(GuestMemory, DevicesSeeAlignedAccessesOfOneTwoAndFourBytes) {
  map(0x5000, 0xfe000000);
  const WidthCase cases[] = {
      {0, 1, {1}},    {0, 2, {2}},          {0, 3, {2, 1}},    {0, 4, {4}}, {0, 5, {4, 1}},
      {0, 6, {4, 2}}, {0, 7, {4, 2, 1}},    {0, 8, {4, 4}},    {1, 1, {1}}, {1, 2, {1, 1}},
      {1, 3, {1, 2}}, {1, 4, {1, 2, 1}},    {1, 7, {1, 2, 4}}, {2, 1, {1}}, {2, 2, {2}},
      {2, 3, {2, 1}}, {2, 4, {2, 2}},       {2, 6, {2, 4}},    {3, 1, {1}}, {3, 2, {1, 1}},
      {3, 5, {1, 4}}, {3, 8, {1, 4, 2, 1}},
  };
  for (const WidthCase& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.size << " bytes at " << c.offset);
    std::vector<std::byte> data;
    for (unsigned i = 0; i < c.size; ++i)
      data.push_back(static_cast<std::byte>(0x10 + i));

    vm.memory().mmio_log.clear();
    ASSERT_TRUE(write_virtual(vm, {1}, {0x5000 + c.offset}, data));
    std::vector<unsigned> widths;
    for (const MmioAccess& access : vm.memory().mmio_log) {
      EXPECT_TRUE(access.write);
      EXPECT_EQ(access.vcpu, VcpuId{1});
      EXPECT_EQ(access.address.value % access.width, 0u);
      widths.push_back(access.width);
    }
    EXPECT_EQ(widths, c.widths);

    vm.memory().mmio_log.clear();
    EXPECT_EQ(read_virtual(vm, {1}, {0x5000 + c.offset}, c.size).value(), data);
    widths.clear();
    for (const MmioAccess& access : vm.memory().mmio_log)
      widths.push_back(access.width);
    EXPECT_EQ(widths, c.widths);
  }
}

TEST_F(GuestMemory, ReadsGoFromMemoryIntoADevice) {
  map(0x5000, 0x10000);
  map(0x6000, 0xfe000000);
  EXPECT_EQ(read_virtual(vm, kCpu, {0x5ffe}, 8).value().size(), 8u);
  ASSERT_EQ(vm.memory().mmio_log.size(), 2u);
  EXPECT_EQ(vm.memory().mmio_log[0], (MmioAccess{kCpu, {0xfe000000}, 4, false, 0}));
  EXPECT_EQ(vm.memory().mmio_log[1], (MmioAccess{kCpu, {0xfe000004}, 2, false, 0}));
}

TEST_F(GuestMemory, HugeLengthsAreBounded) {
  // 512 GiB of virtual addresses, all on the same 1 GiB of RAM: there is always more to read.
  vm.memory().poke<std::uint64_t>({0x2000}, 0 | kLarge | kPresent);
  vm.memory().add_ram({0}, 0x2000000);
  vm.memory().poke<std::uint64_t>({0x1000}, 0x2000 | kPresent);
  vm.memory().poke<std::uint64_t>({0x2000}, 0 | kLarge | kPresent);
  EXPECT_EQ(read_virtual(vm, kCpu, {0}, ~std::uint64_t{0}).value().size(), 16u << 20);
  EXPECT_EQ(read_physical(vm, kCpu, {0x1fff000}, ~std::uint64_t{0}).value().size(), 0x1000u);
}

TEST_F(GuestMemory, ARangeDoesNotWrapToAddressZero) {
  map(0, 0x10000);
  vm.memory().poke<std::uint64_t>({0x1ff8}, 0x2000 | kPresent);
  vm.memory().poke<std::uint64_t>({0x2ff8}, 0x3000 | kPresent);
  vm.memory().poke<std::uint64_t>({0x3ff8}, 0x5000 | kPresent);
  vm.memory().poke<std::uint64_t>({0x5ff8}, 0x11000 | kPresent);
  const Gva last{~std::uint64_t{0} - 1};
  EXPECT_EQ(translate(vm, kCpu, last).value().value, 0x11ffeu);
  EXPECT_EQ(read_virtual(vm, kCpu, last, 4).value().size(), 2u);
  EXPECT_TRUE(write_virtual(vm, kCpu, last, bytes({1, 2})));
  EXPECT_EQ(write_virtual(vm, kCpu, last, bytes({3, 4, 5})).error().code(), ErrorCode::BadAddress);
  EXPECT_EQ(vm.memory().peek<std::uint16_t>({0x11ffe}), 0x201);
  EXPECT_EQ(read_physical(vm, kCpu, {~std::uint64_t{0}}, 4).error().code(), ErrorCode::BadAddress);
}

TEST_F(GuestMemory, FlatWhenPagingIsOff) {
  vm.vcpu(kCpu).cpu = x86::reset_state();
  vm.memory().poke<std::uint32_t>({0x10000}, 0x11223344);
  EXPECT_EQ(read_virtual(vm, kCpu, {0x10000}, 4).value(), bytes({0x44, 0x33, 0x22, 0x11}));
}

TEST(FakeVm, GivesOneEventPerResume) {
  FakeVm vm(2);
  vm.resume({0});
  vm.resume({1});  // not active
  EXPECT_FALSE(vm.vcpu({1}).in_guest());
  EXPECT_TRUE(vm.happen({0}, exit::Breakpoint{1}));
  vm.suspend({0});
  ASSERT_TRUE(std::holds_alternative<exit::Breakpoint>(vm.take_event()->exit));
  EXPECT_FALSE(vm.take_event());
  vm.resume({0});
  vm.suspend({0});
  ASSERT_TRUE(std::holds_alternative<exit::Parked>(vm.take_event()->exit));
}

}  // namespace
}  // namespace ringside::hypervisor

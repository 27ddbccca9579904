#include "time/record/machine_hash.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/soft/soft_vm.h"
#include "platform/untouched_pages.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::time {
namespace {

constexpr std::uint64_t kMemory = 64u << 20;

// A machine at power-on, with the software CPU.
struct Rig {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(kMemory);
  machine::Machine machine{ram, {}};
  std::unique_ptr<soft::SoftEngine> engine =
      soft::create(ram, machine, x86::CpuState{}, soft::Options{1, 0});

  Rig() { machine.connect(*engine); }
  std::uint64_t hash() { return hash_machine(*engine, machine, ram); }
  std::uint8_t* at(std::uint64_t address) { return ram.host(Gpa{address}, 1); }
};

// Where blocks and slots begin and end, and in between.
constexpr std::uint64_t kPlaces[] = {0,        0x9ffff,   0xc0000,     0xc0001,
                                     0xfffff,  0x100000,  0x1234567,   0x2000000,
                                     0x203fff, 0x3fffff8, kMemory - 1, 0x2040000 - 1};

TEST(MachineHash, EveryByteOfMemoryCounts) {
  Rig rig;
  const std::uint64_t untouched = rig.hash();
  for (const std::uint64_t place : kPlaces) {
    *rig.at(place) ^= 1;
    EXPECT_NE(rig.hash(), untouched) << std::hex << place;
    *rig.at(place) ^= 1;
    EXPECT_EQ(rig.hash(), untouched) << std::hex << place;
  }
}

// It depends on what is there, and not on what has been touched.
TEST(MachineHash, ZerosAreZeros) {
  Rig first, second;
  std::memset(second.at(0x200000), 0, 8u << 20);
  std::memset(second.at(0x1000000), 0, 0x1000);
  EXPECT_EQ(first.hash(), second.hash());
  *first.at(0x212345) = 7;
  *second.at(0x212345) = 7;
  EXPECT_EQ(first.hash(), second.hash());
}

TEST(MachineHash, TouchesNoMemory) {
  Rig rig;
  const std::span<const std::byte> memory(reinterpret_cast<std::byte*>(rig.at(0x1000000)),
                                          hypervisor::UntouchedPages::kMost);
  const hypervisor::UntouchedPages pages;
  if (pages.prefix(memory) != memory.size()) GTEST_SKIP() << "this host does not tell";
  rig.hash();
  EXPECT_EQ(pages.prefix(memory), memory.size());
}

TEST(MachineHash, ComesInSlices) {
  Rig rig;
  std::memset(rig.at(0x1000000), 1, 32u << 20);
  MachineHash hash(*rig.engine, rig.machine, rig.ram);
  unsigned slices = 0;
  std::uint64_t before = 0;
  for (bool over = false; !over; ++slices) {
    over = hash.advance();
    EXPECT_GT(hash.done(), before);
    before = hash.done();
  }
  EXPECT_GE(slices, 8u);
  EXPECT_EQ(hash.done(), hash.total());
  EXPECT_EQ(hash.value(), rig.hash());
}

TEST(MachineHash, DevicesAndProcessorsCount) {
  Rig rig;
  const std::uint64_t at_power_on = rig.hash();
  rig.machine.port_write({0}, 0x3ff, 1, 7);
  const std::uint64_t scratch = rig.hash();
  EXPECT_NE(scratch, at_power_on);
  ASSERT_TRUE(
      rig.engine->vcpu({0}).write_register(x86::Register::Rbx, x86::RegisterValue::from_u64(1)));
  EXPECT_NE(rig.hash(), scratch);
}

}  // namespace
}  // namespace ringside::time

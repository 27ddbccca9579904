#include "guests/core/core_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "guests/core/testing/core_file.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::guests {
namespace {

using hypervisor::testing::FakeVm;
using testing::CoreFile;

class CoreStreamTest : public ::testing::Test {
 protected:
  CoreStreamTest() {
    vm.memory().add_ram({0}, 0x80000);
    vm.memory().add_ram({0x100000}, 0x40000);
    vm.memory().add_ram({0xfffff000}, 0x1000, hypervisor::MemoryKind::Rom);
    for (std::uint32_t i = 0; i < 2; ++i)
      vm.vcpu({i}).cpu.rip = 0x1000 + i;
    vm.memory().poke<std::uint64_t>({0x2ff8}, 0x1122334455667788);
    vm.memory().poke<std::uint8_t>({0x13ffff}, 0x5a);
  }
  ~CoreStreamTest() override { std::filesystem::remove(path_); }

  Result<CoreFile> dump(std::optional<PhysicalRange> range = {},
                        std::function<void(Gpa, std::span<std::byte>)> hide = {}) {
    const auto stream = TRY(CoreStream::begin({vm, {0}, std::move(hide)}, range));
    std::vector<std::byte> bytes;
    while (!TRY(stream->advance(bytes)))
      continue;
    EXPECT_EQ(stream->done(), stream->total());
    total = stream->total();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return CoreFile(path_);
  }

  FakeVm vm{2};
  std::uint64_t total = 0;
  const std::string path_ = ::testing::TempDir() + "ringside-stream-" + std::to_string(::getpid());
};

TEST_F(CoreStreamTest, HasAllOfPhysicalMemoryAndEachVcpu) {
  for (const bool views : {true, false}) {
    vm.memory().views = views;
    const CoreFile core = dump().value();
    EXPECT_EQ(total, 0xc1000u);
    ASSERT_EQ(core.loads.size(), 3u);
    EXPECT_EQ(core.loads[0].p_vaddr, 0u);
    ASSERT_EQ(core.registers.size(), 2u);
    EXPECT_EQ(core.registers[1].rip, 0x1001u);
    EXPECT_EQ(CoreFile::rip(core.qemu.at(1)), 0x1001u);
    EXPECT_EQ(core.physical(0x2ff8, 8), "\x88\x77\x66\x55\x44\x33\x22\x11");
    EXPECT_EQ(core.physical(0x13ffff, 1), "\x5a");
    EXPECT_FALSE(core.physical(0x80000, 1));
  }
}

TEST_F(CoreStreamTest, HasAPartOfIt) {
  const CoreFile byte = dump(PhysicalRange{Gpa{0x13ffff}, 1}).value();
  ASSERT_EQ(byte.loads.size(), 1u);
  EXPECT_EQ(byte.loads[0].p_memsz, 1u);
  EXPECT_EQ(byte.physical(0x13ffff, 1), "\x5a");
  // Over a hole, and to where numbers end.
  const CoreFile over = dump(PhysicalRange{Gpa{0x7ffff}, 0x80002}).value();
  ASSERT_EQ(over.loads.size(), 2u);
  EXPECT_EQ(over.loads[0].p_memsz, 1u);
  EXPECT_EQ(over.loads[1].p_memsz, 1u);
  EXPECT_EQ(dump(PhysicalRange{Gpa{0x100001}, ~std::uint64_t{0}})->loads.size(), 2u);
}

TEST_F(CoreStreamTest, WhereThereIsNoMemoryThereIsNoCore) {
  const auto core = dump(PhysicalRange{Gpa{0x90000}, 0x1000});
  ASSERT_FALSE(core);
  EXPECT_EQ(core.error().text(), "dump: no guest memory to dump");
}

TEST_F(CoreStreamTest, HidesWhatADebuggerHasPutThere) {
  const CoreFile core = dump({}, [](Gpa where, std::span<std::byte> copy) {
                          const std::uint64_t at = 0x2ff8 - where.value;
                          if (at < copy.size()) copy[at] = std::byte{0xcc};
                        }).value();
  EXPECT_EQ(core.physical(0x2ff8, 2), "\xcc\x77");
}

}  // namespace
}  // namespace ringside::guests

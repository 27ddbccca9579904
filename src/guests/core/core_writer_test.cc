#include "guests/core/core_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/testing/temporary_folder.h"
#include "guests/core/testing/core_file.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::guests {
namespace {

using hypervisor::testing::FakeVm;
using testing::CoreFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kPresent = 1, kTable = 3;

class CoreWriterTest : public ::testing::Test {
 protected:
  CoreWriterTest() {
    vm.memory().add_ram({0}, 0x80000);
    vm.memory().add_ram({0x100000}, 0x40000);
    vm.memory().add_ram({0xfffff000}, 0x1000, hypervisor::MemoryKind::Rom);
    for (std::uint32_t i = 0; i < 2; ++i) {
      x86::CpuState& cpu = vm.vcpu({i}).cpu;
      cpu.rip = 0x1000 + i;
      cpu.reg(x86::Gpr::Rbx) = 0xb0 + i;
      cpu.reg(x86::Gpr::R15) = 0xf0 + i;
      cpu.seg(x86::SegmentName::Gs).base = 0xffff888000000000 + i;
    }
  }

  // 4-level tables at 0x1000..0x4fff, for addresses below 2 MiB.
  void begin_paging(VcpuId id, std::uint64_t table = 0x1000) {
    x86::CpuState& cpu = vm.vcpu(id).cpu;
    cpu.cr0 = x86::cr0::PE | x86::cr0::PG;
    cpu.cr4 = x86::cr4::PAE;
    cpu.efer = x86::efer::LME | x86::efer::LMA;
    cpu.cr3 = table;
    for (const unsigned level : {0, 1, 2})
      vm.memory().poke<std::uint64_t>({table + level * 0x1000},
                                      (table + level * 0x1000 + 0x1000) | kTable);
  }
  void map(std::uint64_t gva, std::uint64_t gpa, std::uint64_t table = 0x1000) {
    vm.memory().poke<std::uint64_t>({table + 0x3000 + (gva >> 12) * 8}, gpa | kPresent);
  }
  CoreFile dump(CoreSubject subject) {
    auto file = WholeFile::create(*opened_, "core", FileKind::Core);
    auto writer = CoreWriter::begin(std::move(subject), *std::move(file));
    EXPECT_TRUE(writer.has_value());
    for (;;) {
      const Result<bool> over = (*writer)->advance();
      EXPECT_TRUE(over.has_value());
      if (!over || *over) break;
    }
    words = (*writer)->words();
    written = (*writer)->written();
    return CoreFile(folder_ + "/core");
  }
  CoreFile dump() { return dump({vm}); }

  FakeVm vm{2};
  std::string words;
  std::uint64_t written = 0;
  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  const std::unique_ptr<OpenFolder> opened_ = OpenFolder::open(folder_).value();
};

TEST_F(CoreWriterTest, HasMemoryByPhysicalAddressWithoutZeros) {
  vm.memory().poke<std::uint64_t>({0x2ff8}, 0x1122334455667788);
  vm.memory().poke<std::uint8_t>({0x13ffff}, 0x5a);
  vm.memory().poke<std::uint8_t>({0xfffff010}, 0xea);
  const CoreFile core = dump();
  EXPECT_EQ(core.mode, 0600u);
  EXPECT_EQ(core.physical(0x2ff8, 8), "\x88\x77\x66\x55\x44\x33\x22\x11");
  EXPECT_EQ(core.physical(0x13ffff, 1), "\x5a");
  EXPECT_EQ(core.physical(0xfffff010, 1), "\xea");
  EXPECT_EQ(core.physical(0x3000, 4), std::string(4, '\0'));
  EXPECT_EQ(core.linear(kPhysicalInCore.value + 0x13ffff, 1), "\x5a");
  EXPECT_FALSE(core.physical(0x80000, 1));
  EXPECT_FALSE(core.physical(0x7fff0, 0x20)) << "over the end of memory";
  EXPECT_EQ(written, 3 * kPageSize);
  EXPECT_LT(core.stored, core.size() / 4);
  EXPECT_FALSE(core.vmcoreinfo);
  EXPECT_THAT(words, HasSubstr("no Linux kernel was found"));
}

TEST_F(CoreWriterTest, HasTheRegistersOfEachVcpu) {
  vm.vcpu({1}).cpu.cr3 = 0x7000;
  vm.vcpu({1}).cpu.seg(x86::SegmentName::Cs).base = 0xf0000;
  const CoreFile core = dump();
  EXPECT_THAT(core.threads, ElementsAre(kFirstThread, kFirstThread + 1));
  ASSERT_EQ(core.registers.size(), 2u);
  EXPECT_EQ(core.registers[0].rbx, 0xb0u);
  EXPECT_EQ(core.registers[1].rbx, 0xb1u);
  EXPECT_EQ(core.registers[1].r15, 0xf1u);
  EXPECT_EQ(core.registers[1].gs_base, 0xffff888000000001u);
  EXPECT_EQ(core.registers[1].rip, 0xf1001u) << "linear";
  ASSERT_EQ(core.qemu.size(), 2u);
  EXPECT_EQ(core.qemu[1].size(), 440u);
  EXPECT_EQ(CoreFile::rip(core.qemu[1]), 0x1001u) << "as it is in the register";
  EXPECT_EQ(CoreFile::cr3(core.qemu[1]), 0x7000u);
}

TEST_F(CoreWriterTest, HasTheExtendedStateOfEachVcpu) {
  x86::CpuState& cpu = vm.vcpu({1}).cpu;
  cpu.fpu.vector[2][3] = 0x23;
  cpu.fpu.vector[15][31] = 0xff;
  cpu.fpu.st[1][9] = 0x40;
  cpu.fpu.tag = 0x3fff;
  cpu.fpu.mxcsr = 0x1fa0;
  cpu.fpu.instruction_selector = 0x10;
  cpu.pkru = 0x55555554;
  const CoreFile core = dump();
  ASSERT_EQ(core.xstate.size(), 2u);
  const std::string& area = core.xstate[1];
  ASSERT_EQ(area.size(), 2696u);
  const auto word = [&](std::size_t at) {
    std::uint32_t value;
    std::memcpy(&value, area.data() + at, sizeof value);
    return value;
  };
  EXPECT_EQ(word(464), 0x207u) << "components, for GDB";
  EXPECT_EQ(word(512), 0x207u) << "XSTATE_BV";
  EXPECT_EQ(word(520), 0u) << "the standard form";
  EXPECT_EQ(word(4) & 0xff, 0x80u) << "physical register 7 alone";
  EXPECT_EQ(word(12), 0x10u);
  EXPECT_EQ(word(24), 0x1fa0u);
  EXPECT_EQ(area[32 + 16 + 9], 0x40);
  EXPECT_EQ(area[160 + 16 * 2 + 3], 0x23);
  EXPECT_EQ(area[576 + 16 * 15 + 15], '\xff');
  EXPECT_EQ(word(2688), 0x55555554u);
}

TEST_F(CoreWriterTest, WithoutPagingLinearAddressesArePhysicalOnes) {
  vm.memory().poke<std::uint8_t>({0x110000}, 0x77);
  EXPECT_EQ(dump().linear(0x110000, 1), "\x77");
}

TEST_F(CoreWriterTest, HasMemoryByLinearAddress) {
  begin_paging({0});
  map(0x10000, 0x120000);
  map(0x11000, 0x121000);
  map(0x12000, 0x7f000);
  map(0x13000, 0xa0000);  // no memory
  vm.memory().poke<std::uint8_t>({0x120fff}, 0x20);
  vm.memory().poke<std::uint8_t>({0x121000}, 0x21);
  vm.memory().poke<std::uint8_t>({0x7f000}, 0x7f);
  const CoreFile core = dump();
  EXPECT_EQ(core.linear(0x10fff, 2), "\x20\x21") << "what lies together is one segment";
  EXPECT_EQ(core.linear(0x12000, 1), "\x7f");
  EXPECT_FALSE(core.linear(0x13000, 1));
  EXPECT_FALSE(core.linear(0x120000, 1)) << "a physical address";
  EXPECT_EQ(core.physical(0x7f000, 1), "\x7f");
}

// What each of them alone maps is there, and where they differ the first has it.
TEST_F(CoreWriterTest, TakesTheAddressesOfAllVcpus) {
  vm.make_active({1});
  begin_paging({0});
  begin_paging({1}, 0x8000);
  map(0x20000, 0x100000);
  map(0x22000, 0x101000);
  map(0x20000, 0x102000, 0x8000);
  map(0x21000, 0x103000, 0x8000);
  for (const unsigned page : {0u, 1u, 2u, 3u})
    vm.memory().poke<std::uint8_t>({0x100000 + page * kPageSize}, 0x30 + page);
  const CoreFile first = dump({vm, {0}});
  EXPECT_EQ(first.linear(0x20000, 1), "0");
  EXPECT_EQ(first.linear(0x21000, 1), "3");
  EXPECT_EQ(first.linear(0x22000, 1), "1");
  const CoreFile second = dump({vm, {1}});
  EXPECT_EQ(second.linear(0x20000, 1), "2");
  EXPECT_EQ(second.linear(0x22000, 1), "1");
}

TEST_F(CoreWriterTest, HidesWhatADebuggerHasPutThere) {
  vm.memory().poke<std::uint8_t>({0x5000}, 0xcc);
  CoreSubject subject{vm};
  subject.hide = [](Gpa where, std::span<std::byte> copy) {
    if (where.value <= 0x5000 && where.value + copy.size() > 0x5000)
      copy[0x5000 - where.value] = std::byte{0x90};
  };
  EXPECT_EQ(dump(std::move(subject)).physical(0x5000, 1), "\x90");
  EXPECT_EQ(vm.memory().peek<std::uint8_t>({0x5000}), 0xcc);
}

TEST_F(CoreWriterTest, ReadsMemoryThatCannotBeShown) {
  vm.memory().views = false;
  vm.memory().poke<std::uint8_t>({0x13ffff}, 0x5a);
  EXPECT_EQ(dump().physical(0x13ffff, 1), "\x5a");
}

// A table that is its own entry everywhere maps all addresses to itself.
TEST_F(CoreWriterTest, TablesWithoutAnEndAreBounded) {
  begin_paging({0});
  for (unsigned i = 0; i < 512; ++i)
    vm.memory().poke<std::uint64_t>({0x1000 + i * 8}, 0x1000 | kTable);
  const CoreFile core = dump();
  EXPECT_LT(core.loads.size(), 100u);
  EXPECT_THAT(words, HasSubstr("; some linear addresses are left out"));
}

}  // namespace
}  // namespace ringside::guests

// Selectors and control registers as a client writes them: P and G.
#include "debug/packets/register_writes.h"

#include <fmt/core.h>

#include "base/hex.h"
#include "debug/server/server.h"
#include "debug/testing/fixture.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using x86::Register;
using x86::SegmentName;

constexpr std::uint64_t kGdt = 0x800;

class RegisterWrites : public ::testing::Test {
 protected:
  RegisterWrites() {
    bench.attach();
    bench.ask("qSupported:error-message+");
    bench.ask("qXfer:features:read:target.xml:0,100");
    cpu.gdtr = {kGdt, 0x2f};
    entry(0x08, 0x00cf9b000000ffff);
    entry(0x10, 0x00cf93000000ffff);
    entry(0x18, 0x00cffb000000ffff);
    entry(0x20, 0x12cff3345678ffff);
    cpu.seg(SegmentName::Cs) = {8, x86::kAttributesCode32, 0xffffffff, 0};
    cpu.seg(SegmentName::Ss) = {16, x86::kAttributesData32, 0xffffffff, 0};
  }
  void entry(std::uint16_t selector, std::uint64_t value) {
    bench.guest.vm.memory().poke(Gpa{kGdt + selector}, value);
  }
  std::string value(std::uint64_t number, std::size_t size) {
    return to_hex(std::string_view(reinterpret_cast<const char*>(&number), size));
  }
  std::string write(Register r, std::uint64_t number) {
    return bench.ask(
        fmt::format("P{:x}={}", static_cast<unsigned>(r), value(number, x86::info(r).size())));
  }
  // The whole table with these changed.
  std::string write_all(std::initializer_list<std::pair<Register, std::uint64_t>> changes) {
    std::string all = bench.ask("g");
    for (const auto& [r, number] : changes) {
      std::size_t at = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(r); ++i)
        at += 2 * x86::kRegisters[i].size();
      const std::string text = value(number, x86::info(r).size());
      all.replace(at, text.size(), text);
    }
    return bench.ask("G" + all);
  }
  void enter_real_mode() { cpu.cr0 &= ~x86::cr0::PE; }

  Bench bench;
  x86::CpuState& cpu = bench.guest.vm.vcpu({0}).cpu;
};

TEST_F(RegisterWrites, ASelectorLoadsItsDescriptor) {
  EXPECT_EQ(write(Register::Ds, 0x23), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Ds).base, 0x12345678u);
  EXPECT_EQ(cpu.seg(SegmentName::Ds).attributes, 0xc0f3);
  EXPECT_EQ(write(Register::Ds, 0x88), "E.ds 0x88: it lies beyond its table, whose limit is 0x2f");
  EXPECT_EQ(write(Register::Ds, 0x10023), "E.ds 0x10023: a selector has 16 bits");
  EXPECT_EQ(write(Register::Ldtr, 0x10), "E.ldtr 0x10: its descriptor is no system segment");
  EXPECT_EQ(write(Register::Tr, 0x10), "E.tr 0x10: its descriptor is no system segment");
  EXPECT_EQ(cpu.seg(SegmentName::Ds).selector, 0x23);
}

TEST_F(RegisterWrites, InRealModeASelectorIsAParagraph) {
  enter_real_mode();
  EXPECT_EQ(write(Register::Ds, 0x1234), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Ds).base, 0x12340u);
  EXPECT_EQ(write(Register::Cs, 0x100), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Cs).base, 0x1000u);
  EXPECT_EQ(write(Register::Tr, 0x28), "E.tr 0x28: there is no task register in this mode");
}

TEST_F(RegisterWrites, AnUnchangedSelectorIsNotLoaded) {
  enter_real_mode();
  cpu.seg(SegmentName::Ds) = {0x55, x86::kAttributesData32, 0xffffffff, 0};  // unreal mode
  cpu.seg(SegmentName::Fs) = {0x66, x86::kAttributesData32, 0xffffffff, 0x100000};
  EXPECT_EQ(write(Register::Ds, 0x55), "OK");
  EXPECT_EQ(bench.ask("G" + bench.ask("g")), "OK");
  EXPECT_EQ(write_all({{Register::Rax, 7}, {Register::Es, 0x77}}), "OK");
  EXPECT_EQ(cpu.reg(x86::Gpr::Rax), 7u);
  EXPECT_EQ(cpu.seg(SegmentName::Es).base, 0x770u);
  EXPECT_EQ(cpu.seg(SegmentName::Ds).base, 0u);
  EXPECT_EQ(cpu.seg(SegmentName::Ds).limit, 0xffffffffu);
  EXPECT_EQ(cpu.seg(SegmentName::Fs).base, 0x100000u);
  EXPECT_EQ(write(Register::Ds, 0x56), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Ds).base, 0x560u);
}

TEST_F(RegisterWrites, BasesAreWrittenAsTheyAre) {
  EXPECT_EQ(write(Register::FsBase, 0x123456), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Fs).base, 0x123456u);
  // Beside its selector the base that is written counts, and one that is not does not.
  EXPECT_EQ(write_all({{Register::Fs, 0x23}, {Register::FsBase, 0x7000}}), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Fs).base, 0x7000u);
  EXPECT_EQ(cpu.seg(SegmentName::Fs).attributes, 0xc0f3);
  EXPECT_EQ(write_all({{Register::Gs, 0x23}}), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Gs).base, 0x12345678u);
}

TEST_F(RegisterWrites, ThePrivilegeLevelChangesWithCsAndSsTogether) {
  EXPECT_EQ(write(Register::Cs, 0x1b),
            "E.cs 0x1b: it is for privilege level 3, and ss is at 0; written together (G) they may "
            "change it");
  EXPECT_EQ(write(Register::Ss, 0x23),
            "E.ss 0x23: it asks for privilege level 3, the processor is at 0");
  EXPECT_EQ(write_all({{Register::Cs, 0x1b}, {Register::Ss, 0x23}}), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Cs).dpl(), 3u);
  EXPECT_EQ(cpu.seg(SegmentName::Ss).base, 0x12345678u);
}

TEST_F(RegisterWrites, TheTablesAndTheModeOfTheSamePacketCount) {
  enter_real_mode();
  bench.guest.vm.memory().poke(Gpa{0x910}, std::uint64_t{0x00409b001000ffff});
  EXPECT_EQ(write_all({{Register::Cr0, x86::cr0::PE | x86::cr0::ET},
                       {Register::GdtrBase, 0x900},
                       {Register::Cs, 0x10}}),
            "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Cs).base, 0x1000u);
  EXPECT_TRUE(cpu.seg(SegmentName::Cs).big());
}

TEST_F(RegisterWrites, LongModeFollowsFromItsTwoSwitches) {
  cpu.cr4 = x86::cr4::PAE;
  cpu.cr3 = 0x9000;
  EXPECT_EQ(write(Register::Efer, x86::efer::LME | x86::efer::LMA), "OK");
  EXPECT_EQ(cpu.efer, x86::efer::LME);
  EXPECT_EQ(write(Register::Cr0, cpu.cr0 | x86::cr0::PG), "OK");
  EXPECT_EQ(cpu.efer, x86::efer::LME | x86::efer::LMA);
  EXPECT_EQ(write(Register::Cr4, 0), "E.long mode (efer.LME with cr0.PG) needs cr4.PAE");
  EXPECT_EQ(write(Register::Cr0, 1ull << 31), "E.cr0.PG needs cr0.PE");
  EXPECT_EQ(cpu.cr4, x86::cr4::PAE);
  cpu.seg(SegmentName::Cs).attributes = x86::kAttributesCode64;
  EXPECT_EQ(write(Register::Cr0, cpu.cr0 & ~x86::cr0::PG),
            "E.64-bit code cannot leave long mode: cs has L set");
  EXPECT_EQ(write(Register::Efer, 0), "E.64-bit code cannot leave long mode: cs has L set");
  EXPECT_EQ(write(Register::Eflags, 0x20002), "E.eflags.VM needs cr0.PE, and no long mode");
}

TEST_F(RegisterWrites, Virtual8086ModeMakesParagraphs) {
  cpu.seg(SegmentName::Ds).selector = 0x40;
  EXPECT_EQ(write(Register::Eflags, 0x20002), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Ds).base, 0x400u);
  EXPECT_EQ(cpu.seg(SegmentName::Cs).attributes, x86::kAttributes8086);
  EXPECT_EQ(write(Register::Es, 0xb800), "OK");
  EXPECT_EQ(cpu.seg(SegmentName::Es).base, 0xb8000u);
  EXPECT_EQ(write(Register::EsBase, 0x123),
            "E.in virtual-8086 mode every base is its selector times 16");
  EXPECT_EQ(write(Register::Eflags, 2), "E.cs would hold no code segment");
}

}  // namespace
}  // namespace ringside::debug

// Control and debug registers, MSRs, CPUID, descriptor tables, port I/O, and the CPU's state as a
// value.
#include <gtest/gtest.h>

#include "engine/soft/cpuid.h"
#include "engine/soft/msr.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
using x86::SegmentName;
namespace at = testing::at;
namespace sel = testing::sel;
namespace msr = x86::msr;
using Mode = TestCpu::Mode;

constexpr std::uint64_t kNonCanonical = 0x0000800000000000;

// ---- Control registers

int arrival_of_cr0(std::uint64_t value, Mode mode = Mode::Protected32) {
  TestCpu cpu(mode);
  cpu.rax() = value;
  cpu.run("0f 22 c0");
  return cpu.arrived();
}
int arrival_of_cr4(std::uint64_t value, Mode mode) {
  TestCpu cpu(mode);
  cpu.rax() = value;
  cpu.run("0f 22 e0");
  return cpu.arrived();
}

TEST(Control, Cr0RefusesWhatCannotBe) {
  using namespace x86::cr0;
  EXPECT_EQ(arrival_of_cr0(PE), -1);
  EXPECT_EQ(arrival_of_cr0(PG), 13);       // PG without PE
  EXPECT_EQ(arrival_of_cr0(PE | NW), 13);  // NW without CD
  EXPECT_EQ(arrival_of_cr0(PE | CD | NW), -1);
  EXPECT_EQ(arrival_of_cr0(PE | PG | 1ull << 32, Mode::Long64), 13);
  EXPECT_EQ(arrival_of_cr0(PE, Mode::Long64), 13);  // paging off in 64-bit code
}

TEST(Control, Cr4RefusesWhatIsNotAnnounced) {
  using namespace x86::cr4;
  EXPECT_EQ(arrival_of_cr4(PAE | PGE | OSFXSR | SMEP | SMAP | UMIP | FSGSBASE, Mode::Long64), -1);
  EXPECT_EQ(arrival_of_cr4(PAE | VME, Mode::Long64), 13);
  EXPECT_EQ(arrival_of_cr4(PAE | OSXSAVE, Mode::Long64), 13);
  EXPECT_EQ(arrival_of_cr4(PAE | PKE, Mode::Long64), 13);
  EXPECT_EQ(arrival_of_cr4(0, Mode::Long64), 13);           // PAE is needed in IA-32e mode
  EXPECT_EQ(arrival_of_cr4(PAE | LA57, Mode::Long64), 13);  // cannot change there
  EXPECT_EQ(arrival_of_cr4(PAE | PCIDE, Mode::Long64), -1);
  EXPECT_EQ(arrival_of_cr4(PCIDE, Mode::Protected32), 13);
}

TEST(Control, TheWayIntoLongMode) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint64_t>(at::kPml4, at::kPdpt | 7);
  cpu.put<std::uint64_t>(at::kPdpt, at::kPd | 7);
  cpu.put<std::uint64_t>(at::kPd, 0x87);
  cpu.descriptor(sel::kFree, TestCpu::make_descriptor(0, 0xfffff, 0xa09b));
  cpu->cr4 = x86::cr4::PAE;
  cpu->cr3 = at::kPml4;
  ASSERT_TRUE(write_msr(*cpu, msr::kEfer, x86::efer::LME));
  EXPECT_FALSE(cpu->long_mode());
  cpu.rax() = cpu->cr0 | x86::cr0::PG;
  // mov cr0, eax; jmp kFree:kHandlers + 0x500
  cpu.run("0f 22 c0 ea 00 05 02 00 80 00", 2);
  EXPECT_EQ(cpu.arrived(), 0x50);
  EXPECT_TRUE(cpu->long_mode());
  EXPECT_TRUE(cpu->code64());
  EXPECT_FALSE(write_msr(*cpu, msr::kEfer, 0));  // LME may not change under paging
}

TEST(Control, PagingInIa32eNeedsPae) {
  TestCpu cpu(Mode::Protected32);
  ASSERT_TRUE(write_msr(*cpu, msr::kEfer, x86::efer::LME));
  cpu.rax() = cpu->cr0 | x86::cr0::PG;
  cpu.run("0f 22 c0");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu->cr0 & x86::cr0::PG, 0u);
}

TEST(Control, PdptesWithReservedBitsRefuseCr3) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint64_t>(at::kPdpt, at::kPd | 1);
  cpu.put<std::uint64_t>(at::kPd, 0x83);
  cpu->cr4 = x86::cr4::PAE;
  cpu->cr3 = at::kPdpt;
  cpu.rax() = cpu->cr0 | x86::cr0::PG;
  cpu.run("0f 22 c0");
  EXPECT_EQ(cpu.arrived(), -1);
  cpu.put<std::uint64_t>(at::kPml4, at::kPd | 3);  // R/W is reserved in a PDPTE
  cpu.rax() = at::kPml4;
  cpu.run("0f 22 d8");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu->cr3, at::kPdpt);
}

TEST(Control, Cr3TakesPhysicalAddressesOnly) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = std::uint64_t{1} << kPhysicalAddressBits;
  cpu.run("0f 22 d8");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(Control, Cr8IsTheTaskPriority) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 9;
  cpu.run("44 0f 22 c0 44 0f 20 c1", 2);  // mov cr8, rax; mov rcx, cr8
  EXPECT_EQ(cpu.platform.priority, 9);
  EXPECT_EQ(cpu.rcx(), 9u);
  cpu.rax() = 16;
  cpu.run("44 0f 22 c0");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(Control, Ring3MayNot) {
  for (const char* bytes : {"0f 20 c0", "0f 22 c0", "0f 21 c0", "0f 06", "f4", "0f 01 38", "0f 09",
                            "0f 30", "0f 32", "0f 01 10", "0f 01 18", "0f 00 d0", "0f 00 d8",
                            "0f 01 f0", "0f 01 f8", "66 0f 38 82 00", "0f 33"}) {
    TestCpu cpu(Mode::Long64);
    cpu.enter_user();
    cpu.rax() = at::kData;
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), 13) << bytes;
    EXPECT_EQ(cpu.stack<std::uint64_t>(0), 0u) << bytes;
  }
}

TEST(Control, UmipHidesTheTables) {
  for (const char* bytes : {"0f 01 00", "0f 01 08", "0f 00 c0", "0f 00 c8", "0f 01 e0"}) {
    TestCpu cpu(Mode::Long64);
    cpu.enter_user();
    cpu.rax() = at::kData;
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), -1) << bytes;
    cpu->cr4 |= x86::cr4::UMIP;
    cpu.rax() = at::kData;
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), 13) << bytes;
  }
}

TEST(Control, LmswSetsPeButDoesNotClearIt) {
  TestCpu cpu(Mode::Real);
  cpu.rax() = x86::cr0::PE | x86::cr0::TS;
  cpu.run("0f 01 f0");
  EXPECT_TRUE(cpu->protected_mode());
  cpu.rax() = 0;
  cpu.run("0f 01 f0");
  EXPECT_TRUE(cpu->protected_mode());
  EXPECT_EQ(cpu->cr0 & x86::cr0::TS, 0u);
}

TEST(Control, SmapStopsTheSupervisorUnlessAcIsSet) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  for (const std::uint64_t page : {at::kGdt, at::kIdt, at::kTss, at::kCode, at::kStack - 0x1000}) {
    cpu.put<std::uint64_t>(at::kPt + 8 * (page >> 12), page | 3);
  }
  cpu->cr4 |= x86::cr4::SMAP;
  cpu->flush_tlb();
  cpu.rax() = at::kData;
  cpu.run("0f 01 cb 8a 08 0f 01 ca 8a 08", 3);  // stac; mov cl, [rax]; clac; mov cl, [rax]
  EXPECT_EQ(cpu->rip(), at::kCode + 8);
  cpu.step();
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 1u);
}

TEST(Control, AlignmentIsCheckedInRing3WithAmAndAc) {
  const auto arrival = [](bool am, bool ac, bool user, std::uint64_t address, const char* bytes) {
    TestCpu cpu(Mode::Long64);
    if (am) cpu->cr0 |= x86::cr0::AM;
    if (user) cpu.enter_user();
    cpu->flags.set_system(x86::rflags::AC, ac);
    cpu->update_mode();
    cpu.rax() = address;
    cpu.run(bytes);
    return cpu.arrived();
  };
  const char* const load = "8b 08";
  const char* const store = "48 89 08";
  const char* const modify = "66 01 08";
  EXPECT_EQ(arrival(true, true, true, at::kData + 2, load), 17);
  EXPECT_EQ(arrival(true, true, true, at::kData + 4, store), 17);
  EXPECT_EQ(arrival(true, true, true, at::kData + 1, modify), 17);
  EXPECT_EQ(arrival(true, true, true, at::kData + 4, load), -1);
  EXPECT_EQ(arrival(true, true, true, at::kData + 1, "8a 08"), -1);  // a byte
  EXPECT_EQ(arrival(false, true, true, at::kData + 2, load), -1);
  EXPECT_EQ(arrival(true, false, true, at::kData + 2, load), -1);
  EXPECT_EQ(arrival(true, true, false, at::kData + 2, load), -1);
}

// ---- Debug registers

TEST(DebugRegisters, ReservedBitsReadAsFixed) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 0xffffffff;
  cpu.run("0f 23 f8 0f 23 f0", 2);  // mov dr7, rax; mov dr6, rax
  // GD was set by the first, so the second trapped.
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_NE(cpu->dr6 & x86::dr6::BD, 0u);
  EXPECT_EQ(cpu->dr7, 0xffff27ffu & ~x86::dr7::GD);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 3);
}

TEST(DebugRegisters, Dr4IsDr6UnlessDe) {
  TestCpu cpu(Mode::Long64);
  cpu.run("0f 21 e0");  // mov rax, dr4
  EXPECT_EQ(cpu.rax(), cpu->dr6);
  cpu->cr4 |= x86::cr4::DE;
  cpu.run("0f 21 e0");
  EXPECT_EQ(cpu.arrived(), 6);
}

// DR0 enabled with a condition and a length (SDM 3B figure 17-1).
void arm(TestCpu& cpu, std::uint64_t address, unsigned condition, unsigned length) {
  cpu->dr[0] = address;
  cpu->dr7 = x86::dr7::kReset | 1 | condition << 16 | length << 18;
  cpu->flush_tlb();
}

TEST(DebugRegisters, DataBreakpointsTrapAfterTheAccess) {
  struct Case {
    const char* bytes;
    unsigned condition;
    bool hit;
  };
  for (const Case& c : {Case{"8a 08", 3, true},
                        {"8a 08", 1, false},
                        {"88 08", 1, true},
                        {"88 08", 3, true},
                        {"48 89 48 f9", 1, true},
                        {"48 89 48 f8", 1, false}}) {
    TestCpu cpu(Mode::Long64);
    arm(cpu, at::kData, c.condition, 0);
    cpu.rax() = at::kData;
    cpu.code(c.bytes);
    run(*cpu, cpu->icount + 1);
    SCOPED_TRACE(c.bytes);
    EXPECT_EQ(cpu.arrived(), c.hit ? 1 : -1);
    EXPECT_EQ(cpu->dr6 & 15, c.hit ? 1u : 0u);
    if (c.hit) {
      EXPECT_GT(cpu.stack<std::uint64_t>(0), at::kCode);
    }
  }
}

TEST(DebugRegisters, InstructionBreakpointsFaultBeforeAndRfHoldsThemOff) {
  TestCpu cpu(Mode::Long64);
  arm(cpu, at::kCode + 1, 0, 0);
  cpu.code("48 cf", TestCpu::handler(1));  // iretq
  cpu.code("90 40 ff c0 90");              // nop; inc eax; nop
  run(*cpu, cpu->icount + 2);
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 1);
  EXPECT_EQ(cpu.rax(), 0u);
  EXPECT_EQ(cpu->dr6 & 15, 1u);
  // The handler sets RF in the frame and returns.
  cpu.put<std::uint64_t>(cpu.rsp() + 16, cpu.stack<std::uint64_t>(2) | x86::rflags::RF);
  run(*cpu, cpu->icount + 3);
  EXPECT_EQ(cpu->rip(), at::kCode + 5);
  EXPECT_EQ(cpu.rax(), 1u);
  EXPECT_FALSE(cpu->flags.rf());
}

TEST(DebugRegisters, PortBreakpointsNeedDe) {
  for (const bool de : {false, true}) {
    TestCpu cpu(Mode::Long64);
    if (de) cpu->cr4 |= x86::cr4::DE;
    arm(cpu, 0x60, 2, 0);
    cpu.code("e4 60");
    run(*cpu, cpu->icount + 1);
    EXPECT_EQ(cpu.arrived(), de ? 1 : -1);
  }
}

TEST(DebugRegisters, UpperHalvesAreReserved) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 1ull << 32;
  cpu.run("0f 23 f8");
  EXPECT_EQ(cpu.arrived(), 13);
}

// ---- MSRs, time, CPUID

TEST(Msr, UnknownOnesFault) {
  TestCpu cpu(Mode::Long64);
  cpu.rcx() = 0x12345;
  cpu.run("0f 32");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 0u);
}

TEST(Msr, BasesMustBeCanonical) {
  TestCpu cpu(Mode::Long64);
  for (const std::uint32_t number :
       {msr::kFsBase, msr::kGsBase, msr::kKernelGsBase, msr::kLstar, msr::kSysenterEip}) {
    EXPECT_FALSE(write_msr(*cpu, number, kNonCanonical));
    EXPECT_TRUE(write_msr(*cpu, number, 0xffff800000001234));
    EXPECT_EQ(read_msr(*cpu, number), 0xffff800000001234);
  }
}

TEST(Msr, TheTscFollowsItsAdjustment) {
  TestCpu cpu(Mode::Long64);
  cpu.system().time_base = 1000;
  EXPECT_EQ(read_msr(*cpu, msr::kTsc), 1000u);
  EXPECT_TRUE(write_msr(*cpu, msr::kTscDeadline, 5000));
  EXPECT_TRUE(write_msr(*cpu, msr::kTsc, 3000));
  EXPECT_EQ(read_msr(*cpu, msr::kTscAdjust), 2000u);
  EXPECT_EQ(read_msr(*cpu, msr::kTscDeadline), 5000u);
  EXPECT_EQ(cpu.platform.msrs[msr::kTscDeadline], 3000u);  // in virtual time
  cpu->tsc_aux = 7;
  cpu.run("0f 01 f9");
  EXPECT_EQ(cpu.rax(), 3000u);
  EXPECT_EQ(cpu.rcx(), 7u);
}

TEST(Msr, EferRefusesUnknownBits) {
  TestCpu cpu(Mode::Long64);
  EXPECT_FALSE(write_msr(*cpu, msr::kEfer, cpu->efer | 1u << 12));
  EXPECT_FALSE(write_msr(*cpu, msr::kPat, 2));
  EXPECT_FALSE(write_msr(*cpu, msr::kMtrrDefType, 0x402));
  EXPECT_TRUE(write_msr(*cpu, msr::kMtrrDefType, 0xc06));
}

TEST(Msr, RdtscObeysTsd) {
  TestCpu cpu(Mode::Long64);
  cpu->cr4 |= x86::cr4::TSD;
  cpu.run("0f 31");
  EXPECT_EQ(cpu.arrived(), -1);
  cpu.enter_user();
  cpu.run("0f 31");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(Msr, FsgsbaseNeedsItsBit) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 0x123456789;
  cpu.run("f3 48 0f ae d0");  // wrfsbase rax
  EXPECT_EQ(cpu.arrived(), 6);
  cpu->cr4 |= x86::cr4::FSGSBASE;
  cpu.rax() = 0x123456789;
  cpu.run("f3 48 0f ae d0 f3 48 0f ae c1", 2);
  EXPECT_EQ(cpu.rcx(), 0x123456789u);
}

TEST(Msr, SwapgsSwaps) {
  TestCpu cpu(Mode::Long64);
  cpu->seg(SegmentName::Gs).base = 1;
  cpu->kernel_gs_base = 2;
  cpu.run("0f 01 f8");
  EXPECT_EQ(cpu->seg(SegmentName::Gs).base, 2u);
  EXPECT_EQ(cpu->kernel_gs_base, 1u);
}

TEST(Cpuid, AnnouncesWhatCr4Accepts) {
  TestCpu cpu(Mode::Long64);
  const CpuidLeaf leaf1 = cpuid(*cpu, 1, 0);
  const CpuidLeaf leaf7 = cpuid(*cpu, 7, 0);
  const std::uint64_t pae = x86::cr4::PAE;
  EXPECT_EQ((leaf7.ebx >> 20 & 1) != 0, arrival_of_cr4(pae | x86::cr4::SMAP, Mode::Long64) == -1);
  EXPECT_EQ((leaf7.ebx >> 0 & 1) != 0,
            arrival_of_cr4(pae | x86::cr4::FSGSBASE, Mode::Long64) == -1);
  EXPECT_EQ((leaf7.ecx >> 3 & 1) != 0, arrival_of_cr4(pae | x86::cr4::PKE, Mode::Long64) == -1);
  EXPECT_EQ((leaf1.ecx >> 26 & 1) != 0,
            arrival_of_cr4(pae | x86::cr4::OSXSAVE, Mode::Long64) == -1);
  EXPECT_EQ((leaf1.edx >> 1 & 1) != 0, arrival_of_cr4(pae | x86::cr4::VME, Mode::Long64) == -1);
}

TEST(Cpuid, SaysWhoAndHowFast) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 0;
  cpu.run("0f a2");
  EXPECT_EQ(cpu->reg(x86::Gpr::Rbx), 0x756e6547u);  // "Genu"
  const CpuidLeaf crystal = cpuid(*cpu, 0x15, 0);
  EXPECT_EQ(std::uint64_t{crystal.ecx} * crystal.ebx / crystal.eax, kTscHz);
  EXPECT_EQ(cpuid(*cpu, 0x80000008, 0).eax & 0xff, kPhysicalAddressBits);
  EXPECT_EQ(cpuid(*cpu, 0x12345678, 0).ebx, cpuid(*cpu, 0x16, 0).ebx);  // beyond: the last leaf
}

TEST(Cpuid, TheTopologyHoldsAllVcpus) {
  TestCpu cpu(Mode::Long64);
  std::vector<std::unique_ptr<Cpu>> others;
  for (std::uint32_t i = 1; i < 5; ++i) {
    others.push_back(std::make_unique<Cpu>(VcpuId{i}, cpu.system()));
    cpu.system().cpus.push_back(others.back().get());
  }
  const CpuidLeaf cores = cpuid(*others[2], 0xb, 1);
  EXPECT_EQ(cores.eax, 3u);  // 5 ids need 3 bits
  EXPECT_EQ(cores.ebx, 5u);
  EXPECT_EQ(cores.edx, 3u);
  EXPECT_EQ(cpuid(*others[2], 1, 0).ebx >> 24, 3u);
}

// ---- Descriptor tables

TEST(Tables, LtrMarksTheTaskBusy) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = sel::kTss2;
  cpu.run("0f 00 d8 0f 00 c9", 2);  // ltr ax; str ecx
  EXPECT_EQ(cpu->tr.base, at::kTss2);
  EXPECT_EQ(cpu.rcx(), sel::kTss2);
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kGdt + sel::kTss2 + 5), 0x8b);
  cpu.rax() = sel::kTss2;
  cpu.run("0f 00 d8");  // busy now
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), sel::kTss2);
}

TEST(Tables, LgdtTakes24BitsOfABaseWithA16BitOperand) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint16_t>(at::kData, 0x1234);
  cpu.put<std::uint32_t>(at::kData + 2, 0x89abcdef);
  cpu.run("66 0f 01 15 00 80 01 00");
  EXPECT_EQ(cpu->gdtr.base, 0xabcdefu);
  EXPECT_EQ(cpu->gdtr.limit, 0x1234);
  cpu.run("0f 01 15 00 80 01 00 0f 01 05 10 80 01 00", 2);  // lgdt; sgdt
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 0x12), 0x89abcdefu);
}

TEST(Tables, LarAndLslSeeWhatPrivilegeLetsThem) {
  const auto asked = [](std::uint16_t selector, bool user, const char* bytes) {
    TestCpu cpu(Mode::Long64);
    if (user) cpu.enter_user();
    cpu.rax() = selector;
    cpu.rcx() = 0x5555;
    cpu.run(bytes);
    return std::pair<bool, std::uint64_t>(cpu->flags.zf(), cpu.rcx());
  };
  using Answer = std::pair<bool, std::uint64_t>;
  const char* const lar = "0f 02 c8";
  const char* const lsl = "0f 03 c8";
  EXPECT_EQ(asked(sel::kData3, true, lar), Answer(true, 0xc0f300));
  EXPECT_EQ(asked(sel::kData0, true, lar), Answer(false, 0x5555));
  EXPECT_EQ(asked(sel::kConforming, true, lar), Answer(true, 0xa09f00));
  EXPECT_EQ(asked(sel::kTss, false, lsl), Answer(true, 0x3ff));
  EXPECT_EQ(asked(sel::kData0, false, lsl), Answer(true, 0xffffffff));
  EXPECT_EQ(asked(0, false, lsl), Answer(false, 0x5555));
  EXPECT_EQ(asked(0xff8, false, lsl), Answer(false, 0x5555));
}

TEST(Tables, VerrAndVerw) {
  const auto zf = [](std::uint16_t selector, const char* bytes) {
    TestCpu cpu(Mode::Long64);
    cpu.enter_user();
    cpu.rax() = selector;
    cpu.run(bytes);
    return cpu->flags.zf();
  };
  EXPECT_TRUE(zf(sel::kData3, "0f 00 e0"));
  EXPECT_TRUE(zf(sel::kData3, "0f 00 e8"));
  EXPECT_TRUE(zf(sel::kCode3, "0f 00 e0"));
  EXPECT_FALSE(zf(sel::kCode3, "0f 00 e8"));
  EXPECT_FALSE(zf(sel::kData0, "0f 00 e0"));
}

TEST(Tables, ArplRaisesTheRequestedPrivilege) {
  TestCpu cpu(Mode::Protected32);
  cpu.rax() = 0x10;
  cpu.rcx() = 0x23;
  cpu.run("63 c8");
  EXPECT_EQ(cpu.rax(), 0x13u);
  EXPECT_TRUE(cpu->flags.zf());
  cpu.run("63 c8");
  EXPECT_FALSE(cpu->flags.zf());
}

TEST(Tables, SelectorsDoNotExistInRealMode) {
  for (const char* bytes : {"0f 00 d0", "0f 00 d8", "0f 00 c0", "0f 02 c8", "0f 00 e0", "63 c8"}) {
    TestCpu cpu(Mode::Real);
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), 6) << bytes;
  }
}

// ---- Ports

TEST(Ports, WidthsAndRegisters) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = ~std::uint64_t{0};
  cpu.rdx() = 0x1f0;
  cpu.run("e4 60 66 ed ed e6 80", 4);  // in al, 0x60; in ax, dx; in eax, dx; out 0x80, al
  ASSERT_EQ(cpu.platform.ports.size(), 4u);
  EXPECT_EQ(cpu.platform.ports[0].port, 0x60);
  EXPECT_EQ(cpu.platform.ports[1].width, 2u);
  EXPECT_EQ(cpu.platform.ports[2].port, 0x1f0);
  EXPECT_EQ(cpu.platform.ports[3].written, 0x78u);
  EXPECT_EQ(cpu.rax(), 0x12345678u);
}

TEST(Ports, ADeviceThatWaitsUndoesTheInstruction) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.ports_wait = true;
  const std::uint64_t before = cpu->icount;
  cpu.run("e4 60");
  EXPECT_EQ(cpu->activity, Activity::Waiting);
  EXPECT_EQ(cpu->rip(), at::kCode);
  EXPECT_EQ(cpu->icount, before);
}

TEST(Ports, AFullOutputHoldsTheInstructionAsIfNothingHadBeen) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.output_full = true;
  const std::uint64_t before = cpu->icount;
  cpu.run("e4 60 e6 80 90", 3);  // in al, 0x60; out 0x80, al; nop
  EXPECT_TRUE(cpu->system().held);
  EXPECT_EQ(cpu->activity, Activity::Running);
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  EXPECT_EQ(cpu->icount, before + 1);
  cpu->system().held = false;
  EXPECT_FALSE(step(*cpu));
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  cpu.platform.output_full = cpu->system().held = false;
  EXPECT_TRUE(step(*cpu));
  EXPECT_EQ(cpu->icount, before + 2);
  ASSERT_EQ(cpu.platform.ports.size(), 2u);
  EXPECT_EQ(cpu.platform.ports[1].port, 0x80);
}

TEST(Ports, TheBitmapDecidesBelowIopl) {
  const auto arrival = [](unsigned iopl, std::uint8_t bits, std::uint16_t port, const char* bytes) {
    TestCpu cpu(Mode::Long64);
    cpu.put<std::uint8_t>(at::kTss + 0x68 + 0x60 / 8, bits);
    cpu.put<std::uint8_t>(at::kTss + 0x68 + 0x68 / 8, 1);
    cpu.enter_user();
    cpu->flags.set_value(2 | iopl << 12);
    cpu.rdx() = port;
    cpu.run(bytes);
    return cpu.arrived();
  };
  EXPECT_EQ(arrival(3, 0xff, 0x60, "ec"), -1);
  EXPECT_EQ(arrival(0, 0xff, 0x60, "ec"), 13);
  EXPECT_EQ(arrival(0, 0xfe, 0x60, "ec"), -1);
  EXPECT_EQ(arrival(0, 0xfe, 0x60, "ed"), 13);     // all four ports count
  EXPECT_EQ(arrival(0, 0x7f, 0x67, "66 ed"), 13);  // and they may lie in the next byte
  EXPECT_EQ(arrival(0, 0, 0x5000, "ec"), 13);      // beyond the TSS
}

TEST(Ports, NoBitmapInVirtual8086ModeEvenWithIopl3) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint8_t>(at::kTss + 0x68 + 0x60 / 8, 1);
  cpu.enter_8086(3);
  cpu.run("e4 60");
  EXPECT_EQ(cpu.arrived(), 13);
}

// ---- State

TEST(State, AppliedToAnotherCpuIsTheSame) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  x86::CpuState s = cpu->state();
  s.fpu.status = 3 << 11;
  s.fpu.tag = 0x3fff;                                     // physical register 7 is valid
  s.fpu.st[4] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f};  // 1.0 in physical 7
  s.cr8 = 5;
  s.dr[2] = 0x1234;
  TestCpu other(Mode::Real);
  other->set_state(s);
  const x86::CpuState copy = other->state();
  EXPECT_EQ(copy.gpr, s.gpr);
  EXPECT_EQ(copy.rflags, s.rflags);
  EXPECT_EQ(copy.fpu.tag, s.fpu.tag);
  EXPECT_EQ(copy.fpu.st, s.fpu.st);
  EXPECT_EQ(copy.cr8, 5u);
  EXPECT_EQ(copy.dr, s.dr);
  EXPECT_EQ(other->cpl(), 3u);
  EXPECT_TRUE(other->code64());
}

class Bytes final : public StateVisitor {
 public:
  explicit Bytes(bool loading) : loading_(loading) {}
  bool loading() const override { return loading_; }
  void bytes(std::span<std::byte> bytes) override {
    if (!loading_) {
      data.insert(data.end(), bytes.begin(), bytes.end());
      return;
    }
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at_), bytes.size(), bytes.begin());
    at_ += bytes.size();
  }
  std::vector<std::byte> data;

 private:
  bool loading_;
  std::size_t at_ = 0;
};

TEST(State, SavedAndLoadedItIsTheSame) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  cpu->injected = x86::Exception{x86::Vector::PageFault, 5, 0x1234};
  cpu->interrupt_shadow_until = 99;
  cpu->mtrrs.variable[3] = 0x800;
  Bytes saved(false);
  cpu->visit_state(saved);

  TestCpu other(Mode::Real);
  Bytes load(true);
  load.data = saved.data;
  other->visit_state(load);
  EXPECT_EQ(other->cpl(), 3u);
  EXPECT_EQ(other->code_width(), Width::Bits64);
  EXPECT_EQ(other->privilege(), Privilege::User);
  ASSERT_TRUE(other->injected);
  EXPECT_EQ(other->injected->error_code, 5u);
  Bytes again(false);
  other->visit_state(again);
  EXPECT_EQ(again.data, saved.data);
}

TEST(State, InitKeepsWhatItMust) {
  TestCpu cpu(Mode::Long64);
  cpu->fpu.mxcsr = 0x1fa0;
  cpu->pat = 0x0606060606060606;
  cpu->tsc_offset = 77;
  cpu->nmi_blocked = true;
  cpu->reset(Cpu::ResetKind::Init);
  EXPECT_EQ(cpu->fpu.mxcsr, 0x1fa0u);
  EXPECT_EQ(cpu->pat, 0x0606060606060606u);
  EXPECT_EQ(cpu->tsc_offset, 77u);
  EXPECT_FALSE(cpu->protected_mode());
  EXPECT_FALSE(cpu->long_mode());
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu->rip(), 0xfff0u);
  EXPECT_EQ(cpu.rdx(), kProcessorSignature);
  cpu->reset();
  EXPECT_EQ(cpu->pat, 0x0007040600070406u);
}

}  // namespace
}  // namespace ringside::soft

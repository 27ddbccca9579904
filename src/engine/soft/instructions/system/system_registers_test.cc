// Control registers, and what they switch on for ordinary accesses.
#include <gtest/gtest.h>

#include <string>

#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/cpu/msr.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
namespace sel = testing::sel;
namespace msr = x86::msr;
using Mode = TestCpu::Mode;

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

// SDM 3A 4.10.4.1: also where the old page's next instruction is decoded already, in one block.
TEST(Control, TheNextInstructionIsFetchedAnewWhereTranslationsGo) {
  constexpr std::uint64_t kOther = 0x50000;
  const auto next = [](const std::string& bytes, std::uint64_t type = 0) {
    TestCpu cpu(Mode::Long64);
    cpu.small_pages();
    cpu.code("90" + bytes + "81c600010000", kOther);  // nop; …; add esi, 0x100
    cpu.code("90" + bytes + "ffc6");                  // nop; …; inc esi
    cpu.put<std::uint64_t>(at::kData, 0);             // INVPCID's descriptor
    cpu.put<std::uint64_t>(at::kData + 8, at::kCode);
    cpu.rax() = at::kData;
    cpu.rcx() = type;
    cpu.rdx() = at::kPml4;
    cpu->reg(x86::Gpr::Rbx) = at::kCode;
    cpu->reg(x86::Gpr::Rsi) = 0;
    run(*cpu, cpu->icount + 1);
    cpu.put<std::uint64_t>(at::kPt + 8 * (at::kCode >> 12), kOther | 7);
    run(*cpu, cpu->icount + 2);
    return cpu->reg(x86::Gpr::Rsi);
  };
  EXPECT_EQ(next("6690"), 1u);        // the old page: nothing says that the table is another
  EXPECT_EQ(next("0f013b"), 0x100u);  // invlpg [rbx]
  EXPECT_EQ(next("0f22da"), 0x100u);  // mov cr3, rdx
  for (std::uint64_t type = 0; type < 4; ++type)
    EXPECT_EQ(next("660f388208", type), 0x100u) << type;  // invpcid rcx, [rax]
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

}  // namespace
}  // namespace ringside::soft

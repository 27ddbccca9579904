// CPUID says exactly what is implemented: each announced feature bit is used, and what is not
// announced does not exist. A bit that nobody uses here fails the test. The guest "features"
// executes each one as a kernel does.
#include "engine/soft/cpu/cpuid.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using namespace testing;
using Mode = TestCpu::Mode;

// Which word of CPUID a bit is in.
struct Word {
  std::uint32_t leaf;
  std::uint32_t CpuidLeaf::*part;
  const char* name;
};
constexpr Word k1Ecx{1, &CpuidLeaf::ecx, "1.ecx"}, k1Edx{1, &CpuidLeaf::edx, "1.edx"},
    k7Ebx{7, &CpuidLeaf::ebx, "7.ebx"}, k7Ecx{7, &CpuidLeaf::ecx, "7.ecx"},
    k7Edx{7, &CpuidLeaf::edx, "7.edx"}, k81Ecx{0x80000001, &CpuidLeaf::ecx, "80000001.ecx"},
    k81Edx{0x80000001, &CpuidLeaf::edx, "80000001.edx"},
    k87Edx{0x80000007, &CpuidLeaf::edx, "80000007.edx"};

bool announced(TestCpu& cpu, const Word& word, unsigned bit) {
  return (cpuid(*cpu, word.leaf, 0).*word.part >> bit & 1) != 0;
}

// 64-bit mode, ring 0, with everything switched on that CR0 and CR4 can.
void prepare(TestCpu& cpu, Processor processor) {
  cpu.board().processor = processor;
  x86::CpuState s = cpu->state();
  using namespace x86::cr4;
  s.cr4 |= OSFXSR | OSXMMEXCPT | FSGSBASE;
  if (processor == Processor::V3) {
    s.cr4 |= OSXSAVE | PKE;
    s.xcr0 = xstate::kAll;
  }
  s.gpr.fill(at::kData);
  s.reg(x86::Gpr::Rsp) = at::kStack;
  s.reg(x86::Gpr::Rcx) = 0;
  cpu->set_state(s);
}

// The code runs to its end without an exception.
bool works(std::string_view code, Processor processor = Processor::V2) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, processor);
  cpu.run(code);
  return cpu.arrived() == -1 && cpu.death.empty();
}
// The first instruction is undefined.
bool undefined(std::string_view code, Processor processor) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, processor);
  cpu.run(code);
  return cpu.arrived() == 6;
}
// CR4 takes the bit (PCIDE, LA57: see their conditions).
bool cr4_takes(std::uint64_t bits, Mode mode = Mode::Long64, Processor processor = Processor::V2) {
  TestCpu cpu(mode);
  cpu.board().processor = processor;
  cpu->reg(x86::Gpr::Rax) = cpu->cr4 | bits;
  cpu.run("0f 22 e0");
  return (cpu->cr4 & bits) == bits;
}
bool has_msr(std::uint32_t number) {
  TestCpu cpu(Mode::Long64);
  cpu->reg(x86::Gpr::Rcx) = number;
  cpu.run("0f 32");
  return cpu.arrived() == -1;
}

// Needs a machine, or another paging mode: tests/guests/features_system.c.
constexpr bool kByGuest = true;

struct Announced {
  Word word;
  unsigned bit;
  const char* name;
  bool used;
};

std::vector<Announced> all_announced() {
  namespace cr4 = x86::cr4;
  return {
      {k1Ecx, 0, "SSE3", works("f2 0f 7c c1")},  // haddps
      {k1Ecx, 1, "PCLMULQDQ", works("66 0f 3a 44 c1 00")},
      {k1Ecx, 9, "SSSE3", works("66 0f 38 00 c1")},  // pshufb
      {k1Ecx, 13, "CMPXCHG16B", works("48 0f c7 0f")},
      {k1Ecx, 17, "PCID", cr4_takes(cr4::PCIDE)},
      {k1Ecx, 19, "SSE4.1", works("66 0f 38 17 c1")},  // ptest
      {k1Ecx, 20, "SSE4.2", works("66 0f 38 37 c1") && works("f2 48 0f 38 f1 c1")},
      {k1Ecx, 21, "x2APIC", kByGuest},
      {k1Ecx, 22, "MOVBE", works("0f 38 f0 07") && works("48 0f 38 f1 07")},
      {k1Ecx, 23, "POPCNT", works("f3 0f b8 c1")},
      {k1Ecx, 24, "TSC deadline", has_msr(x86::msr::kTscDeadline)},
      {k1Ecx, 25, "AES", works("66 0f 38 dc c1") && works("66 0f 3a df c1 01")},
      {k1Ecx, 30, "RDRAND", works("0f c7 f0") && works("48 0f c7 f0") && works("66 0f c7 f0")},
      {k1Ecx, 31, "hypervisor", kByGuest},
      {k1Edx, 0, "x87", works("d9 e8")},
      {k1Edx, 2, "DE", cr4_takes(cr4::DE)},
      {k1Edx, 3, "PSE", cr4_takes(cr4::PSE)},
      {k1Edx, 4, "TSC", works("0f 31") && has_msr(x86::msr::kTsc)},
      {k1Edx, 5, "MSR", has_msr(x86::msr::kApicBase)},
      {k1Edx, 6, "PAE", cr4_takes(cr4::PAE, Mode::Protected32)},
      {k1Edx, 7, "MCE", cr4_takes(cr4::MCE)},
      {k1Edx, 8, "CMPXCHG8B", works("0f c7 0f")},
      {k1Edx, 9, "APIC", has_msr(x86::msr::kApicBase)},
      {k1Edx, 11, "SYSENTER",
       has_msr(x86::msr::kSysenterCs) && has_msr(x86::msr::kSysenterEsp) &&
           has_msr(x86::msr::kSysenterEip)},
      {k1Edx, 12, "MTRR", has_msr(x86::msr::kMtrrCap) && has_msr(x86::msr::kMtrrDefType)},
      {k1Edx, 13, "PGE", cr4_takes(cr4::PGE)},
      {k1Edx, 14, "MCA", has_msr(x86::msr::kMcgCap) && has_msr(x86::msr::kMcgStatus)},
      {k1Edx, 15, "CMOV", works("0f 44 c1") && works("db c9")},  // and fcmov
      {k1Edx, 16, "PAT", has_msr(x86::msr::kPat)},
      {k1Edx, 17, "PSE-36", kByGuest},
      {k1Edx, 19, "CLFLUSH", works("0f ae 3f")},
      {k1Edx, 23, "MMX", works("0f fc c1")},
      {k1Edx, 24, "FXSR", works("0f ae 07") && cr4_takes(cr4::OSFXSR)},
      {k1Edx, 25, "SSE", works("0f 58 c1")},
      {k1Edx, 26, "SSE2", works("66 0f 58 c1")},
      {k7Ebx, 0, "FSGSBASE", works("f3 48 0f ae c0") && cr4_takes(cr4::FSGSBASE)},
      {k7Ebx, 1, "TSC_ADJUST", has_msr(x86::msr::kTscAdjust)},
      {k7Ebx, 7, "SMEP", cr4_takes(cr4::SMEP)},
      {k7Ebx, 9, "ERMS", works("f3 a4")},
      {k7Ebx, 10, "INVPCID", works("66 0f 38 82 0f")},  // type in ECX, descriptor at RDI
      {k7Ebx, 20, "SMAP", cr4_takes(cr4::SMAP) && works("0f 01 cb")},
      {k7Ebx, 29, "SHA", works("0f 38 cc c1") && works("0f 38 c9 c1")},
      {k7Ecx, 2, "UMIP", cr4_takes(cr4::UMIP)},
      {k7Ecx, 16, "LA57", kByGuest},
      {k7Ecx, 22, "RDPID", works("f3 0f c7 f8")},
      {k7Edx, 4, "FSRM", works("f3 a4")},
      {k81Ecx, 0, "LAHF", works("9f") && works("9e")},
      {k81Ecx, 8, "PREFETCHW", works("0f 0d 0f")},
      {k81Edx, 11, "SYSCALL", works("0f 05")},
      {k81Edx, 20, "NX", has_msr(x86::msr::kEfer)},
      {k81Edx, 26, "1 GiB pages", kByGuest},
      {k81Edx, 27, "RDTSCP", works("0f 01 f9") && has_msr(x86::msr::kTscAux)},
      {k81Edx, 29, "long mode", works("48 89 c0")},
      {k87Edx, 8, "invariant TSC", works("0f 31")},
  };
}

// What x86-64-v3 has beyond that.
std::vector<Announced> announced_by_v3() {
  const auto runs = [](std::string_view code) { return works(code, Processor::V3); };
  return {
      {k1Ecx, 12, "FMA", runs("c4 e2 71 98 c1") && runs("c4 e2 f5 bc c1")},
      {k1Ecx, 26, "XSAVE",
       runs("0f ae 27") && runs("0f 01 d0") &&
           cr4_takes(x86::cr4::OSXSAVE, Mode::Long64, Processor::V3)},
      {k1Ecx, 28, "AVX", runs("c5 f0 58 c1") && runs("c5 f4 58 c1")},
      {k1Ecx, 29, "F16C", runs("c4 e2 79 13 c1") && runs("c4 e3 7d 1d c1 00")},
      {k7Ebx, 3, "BMI1", runs("c4 e2 70 f2 c1")},
      {k7Ebx, 5, "AVX2", runs("c5 f5 fc c1")},
      {k7Ebx, 8, "BMI2", runs("c4 e2 70 f5 c1")},
      {k7Ebx, 19, "ADX", runs("66 0f 38 f6 c1")},
      {k7Ecx, 3, "PKU", runs("0f 01 ee") && cr4_takes(x86::cr4::PKE, Mode::Long64, Processor::V3)},
      {k81Ecx, 5, "LZCNT", runs("f3 0f bd c1")},
  };
}

void expect_announced(Processor processor, const std::vector<Announced>& features) {
  TestCpu cpu(Mode::Long64);
  cpu.board().processor = processor;
  std::map<std::string, std::uint32_t> known;
  for (const Announced& feature : features) {
    EXPECT_TRUE(announced(cpu, feature.word, feature.bit)) << feature.name;
    EXPECT_TRUE(feature.used) << feature.name;
    known[feature.word.name] |= 1u << feature.bit;
  }
  for (const Word& word : {k1Ecx, k1Edx, k7Ebx, k7Ecx, k7Edx, k81Ecx, k81Edx, k87Edx}) {
    EXPECT_EQ(cpuid(*cpu, word.leaf, 0).*word.part, known[word.name]) << word.name;
  }
}

TEST(CpuidBits, EachAnnouncedFeatureCanBeUsed) {
  std::vector<Announced> features = all_announced();
  expect_announced(Processor::V2, features);
  for (const Announced& more : announced_by_v3())
    features.push_back(more);
  expect_announced(Processor::V3, features);
}

TEST(CpuidBits, OsxsaveIsWhatCr4Says) {
  TestCpu cpu(Mode::Long64);
  prepare(cpu, Processor::V3);
  EXPECT_TRUE(announced(cpu, k1Ecx, 27));
}

TEST(CpuidBits, WhatIsNotAnnouncedDoesNotExist) {
  struct Absent {
    Word word;
    unsigned bit;
    const char *name, *code;
  };
  const Absent absentees[] = {
      Absent{k1Ecx, 3, "MONITOR", "0f 01 c8"},
      Absent{k1Ecx, 3, "MWAIT", "0f 01 c9"},
      Absent{k1Ecx, 5, "VMX", "0f 01 c4"},
      Absent{k1Ecx, 6, "SMX", "0f 37"},
      Absent{k1Ecx, 12, "FMA", "c4 e2 71 98 c1"},
      Absent{k1Ecx, 26, "XSAVE", "0f ae 27"},
      Absent{k1Ecx, 26, "XRSTOR", "0f ae 2f"},
      Absent{k1Ecx, 26, "XGETBV", "0f 01 d0"},
      Absent{k1Ecx, 26, "XSETBV", "0f 01 d1"},
      Absent{k1Ecx, 28, "AVX", "c5 f0 58 c1"},
      Absent{k1Ecx, 29, "F16C", "c4 e2 79 13 c1"},
      Absent{k7Ebx, 2, "SGX", "0f 01 d7"},
      Absent{k7Ebx, 3, "BMI1", "c4 e2 70 f2 c1"},
      Absent{k7Ebx, 5, "AVX2", "c5 f5 fc c1"},
      Absent{k7Ebx, 8, "BMI2", "c4 e2 70 f5 c1"},
      Absent{k7Ebx, 11, "RTM", "0f 01 d5"},
      Absent{k7Ebx, 18, "RDSEED", "0f c7 f8"},
      Absent{k7Ebx, 19, "ADX", "66 0f 38 f6 c1"},
      Absent{k7Ebx, 23, "CLFLUSHOPT", "66 0f ae 3f"},
      Absent{k7Ebx, 24, "CLWB", "66 0f ae 37"},
      Absent{k7Ecx, 3, "PKU", "0f 01 ee"},
      Absent{k7Ecx, 5, "WAITPKG", "f2 0f ae f0"},
      Absent{k7Ecx, 8, "GFNI", "66 0f 38 cf c1"},
      Absent{k7Ecx, 27, "MOVDIRI", "0f 38 f9 07"},
      Absent{k7Ecx, 28, "MOVDIR64B", "66 0f 38 f8 07"},
      Absent{k7Edx, 14, "SERIALIZE", "0f 01 e8"},
      Absent{k81Ecx, 2, "SVM", "0f 01 d8"},
      Absent{k81Ecx, 6, "SSE4A", "66 0f 79 c1"},
      Absent{k81Edx, 31, "3DNow", "0f 0f c1 9e"},
  };
  for (const Processor processor : {Processor::V2, Processor::V3}) {
    TestCpu cpu(Mode::Long64);
    cpu.board().processor = processor;
    unsigned absent = 0;
    for (const Absent& feature : absentees) {
      if (processor == Processor::V3 && announced(cpu, feature.word, feature.bit)) continue;
      ++absent;
      EXPECT_FALSE(announced(cpu, feature.word, feature.bit)) << feature.name;
      EXPECT_TRUE(undefined(feature.code, processor)) << feature.name;
    }
    EXPECT_EQ(absent, std::size(absentees) - (processor == Processor::V3 ? 12 : 0));
  }
  // What CR4 does not take: VME, PVI, VMXE, SMXE, OSXSAVE, PKE, CET.
  for (const unsigned bit : {0u, 1u, 13u, 14u, 18u, 22u, 23u})
    EXPECT_FALSE(cr4_takes(std::uint64_t{1} << bit)) << bit;
  // Without the bits BMI1 and ABM these are BSF and BSR with a prefix that means nothing.
  EXPECT_TRUE(works("f3 0f bc c1"));
  EXPECT_TRUE(works("f3 0f bd c1"));
  // 256 bits of AES and PCLMULQDQ are bits of their own.
  EXPECT_TRUE(undefined("c4 e2 7d dc c1", Processor::V3));
  EXPECT_TRUE(undefined("c4 e3 7d 44 c1 00", Processor::V3));
}

TEST(Rdrand, IsASequenceOfTheSeedAlone) {
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : {0u, 1u}) {
    std::uint64_t first = 0;
    for (const bool again : {false, true}) {
      TestCpu cpu(Mode::Long64);
      cpu.board().entropy = seed;
      cpu->flags.set_arithmetic(x86::rflags::ZF | x86::rflags::OF);
      cpu.run("48 0f c7 f0 48 0f c7 f1 66 0f c7 f2", 3);
      EXPECT_EQ(cpu->flags.arithmetic(), x86::rflags::CF);
      if (again) {
        EXPECT_EQ(cpu.rax(), first);
        continue;
      }
      first = cpu.rax();
      EXPECT_TRUE(seen.insert(cpu.rax()).second);
      EXPECT_TRUE(seen.insert(cpu.rcx()).second);
    }
  }
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
    others.push_back(std::make_unique<Cpu>(VcpuId{i}, cpu.board()));
    cpu.board().cpus.push_back(others.back().get());
  }
  const CpuidLeaf cores = cpuid(*others[2], 0xb, 1);
  EXPECT_EQ(cores.eax, 3u);  // 5 ids need 3 bits
  EXPECT_EQ(cores.ebx, 5u);
  EXPECT_EQ(cores.edx, 3u);
  EXPECT_EQ(cpuid(*others[2], 1, 0).ebx >> 24, 3u);
}

}  // namespace
}  // namespace ringside::soft

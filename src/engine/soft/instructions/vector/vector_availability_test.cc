// When vector and x87 instructions are there at all, how exceptions arrive, and what x87 keeps for
// their handlers. Cases that a user-mode oracle cannot see.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

constexpr int kNothing = -1, kInvalidOpcode = 6, kNotAvailable = 7, kGeneralProtection = 13,
              kX87Error = 16, kSimdError = 19;

int arrival(std::uint64_t cr0_bits, std::uint64_t cr4_bits, std::string_view code) {
  TestCpu cpu(Mode::Long64);
  cpu->cr0 |= cr0_bits;
  cpu->cr4 |= cr4_bits;
  cpu.rax() = at::kData;
  cpu.run(code);
  return cpu.arrived();
}

constexpr std::uint64_t EM = x86::cr0::EM, TS = x86::cr0::TS, MP = x86::cr0::MP;
constexpr std::uint64_t OSFXSR = x86::cr4::OSFXSR, OSXMMEXCPT = x86::cr4::OSXMMEXCPT;

// SDM 3A table 13-1.
TEST(Availability, SseNeedsOsfxsr) {
  for (const char* code : {"0f 28 c1", "0f 58 c1", "66 0f ef c1", "0f ae 18", "66 0f 6e c0",
                           "f2 0f 2a c0", "66 0f 3a 63 c1 00"}) {
    EXPECT_EQ(arrival(0, OSFXSR, code), kNothing) << code;
    EXPECT_EQ(arrival(0, 0, code), kInvalidOpcode) << code;
    EXPECT_EQ(arrival(EM, OSFXSR, code), kInvalidOpcode) << code;
    EXPECT_EQ(arrival(TS, OSFXSR, code), kNotAvailable) << code;
    EXPECT_EQ(arrival(TS, 0, code), kInvalidOpcode) << code;
  }
  EXPECT_EQ(arrival(EM | TS, 0, "0f c3 00"), kNothing);  // MOVNTI has nothing to do with it
}

TEST(Availability, MmxNeedsNoOsfxsr) {
  for (const char* code : {"0f ef c1", "0f 6e c0", "0f 77"}) {
    EXPECT_EQ(arrival(0, 0, code), kNothing) << code;
    EXPECT_EQ(arrival(EM, 0, code), kInvalidOpcode) << code;
    EXPECT_EQ(arrival(TS, 0, code), kNotAvailable) << code;
  }
}

TEST(Availability, X87) {
  for (const char* code : {"d9 e8", "db e3", "df e0", "d9 38", "d8 00"}) {
    EXPECT_EQ(arrival(0, 0, code), kNothing) << code;
    EXPECT_EQ(arrival(EM, 0, code), kNotAvailable) << code;
    EXPECT_EQ(arrival(TS, 0, code), kNotAvailable) << code;
  }
  EXPECT_EQ(arrival(TS, 0, "9b"), kNothing);  // FWAIT looks at TS only where MP says so
  EXPECT_EQ(arrival(TS | MP, 0, "9b"), kNotAvailable);
  EXPECT_EQ(arrival(EM, 0, "9b"), kNothing);
  EXPECT_EQ(arrival(TS, OSFXSR, "0f ae 00"), kNotAvailable);  // FXSAVE
  EXPECT_EQ(arrival(EM, OSFXSR, "0f ae 00"), kInvalidOpcode);
}

TEST(Availability, AvxIsNotThere) {
  EXPECT_EQ(arrival(0, OSFXSR, "c5 f8 58 c1"), kInvalidOpcode);        // VADDPS
  EXPECT_EQ(arrival(0, OSFXSR, "c5 f8 77"), kInvalidOpcode);           // VZEROUPPER
  EXPECT_EQ(arrival(0, OSFXSR, "62 f1 7c 48 58 c1"), kInvalidOpcode);  // EVEX
}

// ---- Unmasked SIMD exceptions
TEST(SimdException, ArrivesWithTheFlagSetAndTheDestinationUnchanged) {
  for (const std::uint64_t enabled : {std::uint64_t{0}, OSXMMEXCPT}) {
    TestCpu cpu(Mode::Long64);
    cpu->cr4 |= OSFXSR | enabled;
    cpu->fpu.mxcsr = 0x1f80 & ~0x200u;  // divide by zero unmasked
    cpu->fpu.xmm[0].bytes[3] = 0x3f;
    cpu->fpu.xmm[0].bytes[2] = 0x80;  // 1.0 / 0.0
    const Xmm before = cpu->fpu.xmm[0];
    cpu.run("0f 5e c1");
    EXPECT_EQ(cpu.arrived(), enabled != 0 ? kSimdError : kInvalidOpcode);
    EXPECT_EQ(cpu->fpu.mxcsr & 0x3f, 5u);  // 0 / 0 in the other lanes is invalid
    EXPECT_EQ(cpu->fpu.xmm[0].bytes, before.bytes);
    EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode);  // a fault
  }
}

TEST(SimdException, TheHostsControlRegisterIsLeftAlone) {
  const auto host = [] {
    std::uint32_t value;
    asm volatile("stmxcsr %0" : "=m"(value));
    return value & ~0x3fu;
  };
  const std::uint32_t before = host();
  TestCpu cpu(Mode::Long64);
  cpu->cr4 |= OSFXSR | OSXMMEXCPT;
  for (const std::uint32_t mxcsr : {0u, 0xffc0u, 0x6000u, 0x1f80u, 0xffffffffu}) {
    cpu->fpu.mxcsr = mxcsr;
    cpu->fpu.xmm[0] = cpu->fpu.xmm[1] = {};
    cpu.run("0f 5e c1");
    EXPECT_EQ(cpu.arrived(), (mxcsr & 0x80) == 0 ? kSimdError : kNothing);
    EXPECT_EQ(host(), before);
  }
}

// ---- x87 exceptions come with the next waiting instruction
class X87Exceptions : public ::testing::Test {
 protected:
  X87Exceptions() {
    cpu->cr4 |= OSFXSR;
    cpu->fpu.control = 0x37f & ~4u;   // divide by zero unmasked
    cpu.run("d9 e8 d9 ee de f9", 3);  // 1 / 0
  }
  TestCpu cpu{Mode::Long64};
};

TEST_F(X87Exceptions, ArePending) {
  EXPECT_EQ(cpu.arrived(), kNothing);
  EXPECT_EQ(cpu->fpu.status & 0x80ff, 0x8084);
  EXPECT_EQ(cpu->fpu.instruction_pointer, at::kCode + 4);
  EXPECT_EQ(cpu->fpu.opcode, 0x6f9);
  EXPECT_EQ(cpu->fpu.instruction_selector, testing::sel::kCode0);
}
TEST_F(X87Exceptions, AreTakenByWaitingInstructions) {
  for (const char* code : {"9b", "d9 e8", "d9 28", "0f ef c1", "0f 77"}) {
    cpu.rax() = at::kData;
    cpu.run(code);
    EXPECT_EQ(cpu.arrived(), kX87Error) << code;
    EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode);
  }
}
TEST_F(X87Exceptions, AreNotTakenByOthers) {
  for (const char* code : {"df e0", "d9 38", "dd 38", "0f ae 00", "66 0f ef c1", "d9 30"}) {
    cpu.rax() = at::kData;
    cpu.run(code);
    EXPECT_EQ(cpu.arrived(), kNothing) << code;
  }
}
TEST_F(X87Exceptions, EndWithFnclex) {
  cpu.run("db e2 d9 e8", 2);
  EXPECT_EQ(cpu.arrived(), kNothing);
  EXPECT_EQ(cpu->fpu.status & 0x80ff, 0);
}
TEST_F(X87Exceptions, EndWhenTheyAreMasked) {
  cpu->cr0 &= ~x86::cr0::NE;  // without #MF the handler is elsewhere; nothing happens here
  cpu.put<std::uint16_t>(at::kData, 0x37f);
  cpu.rax() = at::kData;
  cpu.run("d9 28");
  EXPECT_EQ(cpu.arrived(), kNothing);
  EXPECT_EQ(cpu->fpu.status & 0x80ff, 4);
}

// ---- The environment's layouts (SDM 1 figures 8-9 to 8-12)
void prepare_environment(Cpu& cpu) {
  cpu.fpu.status = 0x3800 | 0x4000;
  cpu.fpu.empty = 0x7f;
  cpu.fpu.physical[7] = {0, 0};  // tagged zero
  cpu.fpu.opcode = 0x155;
  cpu.fpu.instruction_pointer = 0x12345;
  cpu.fpu.instruction_selector = 0x20;
  cpu.fpu.data_pointer = 0x23456;
  cpu.fpu.data_selector = 0x30;
}
TEST(X87Environment, Protected) {
  TestCpu cpu(Mode::Protected32);
  prepare_environment(*cpu);
  cpu.rax() = at::kData;
  cpu.run("d9 30");
  const std::uint32_t wide[] = {0xffff037f, 0xffff7800, 0xffff7fff, 0x12345,
                                0x01550020, 0x23456,    0xffff0030};
  for (unsigned i = 0; i < 7; ++i)
    EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 4 * i), wide[i]) << i;
  cpu.run("66 d9 30");
  const std::uint16_t narrow[] = {0x37f, 0x7800, 0x7fff, 0x2345, 0x20, 0x3456, 0x30};
  for (unsigned i = 0; i < 7; ++i)
    EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 2 * i), narrow[i]) << i;
  cpu->fpu = Fpu{};
  cpu.put<std::uint32_t>(at::kData + 28, 0x037f);
  cpu.run("d9 60 1c");  // FLDENV of what lies behind: a control word and zeros
  EXPECT_EQ(cpu->fpu.control, 0x37f);
  EXPECT_EQ(cpu->fpu.empty, 0);
}
TEST(X87Environment, Real) {
  TestCpu cpu(Mode::Real);
  prepare_environment(*cpu);
  cpu->reg(x86::Gpr::Rbx) = 0x8000;
  cpu.run("d9 37");
  // The linear addresses 12345h + 200h and 23456h + 300h.
  const std::uint16_t narrow[] = {0x37f, 0x7800, 0x7fff, 0x2545, 0x1155, 0x3756, 0x2000};
  for (unsigned i = 0; i < 7; ++i)
    EXPECT_EQ(cpu.get<std::uint16_t>(0x8000 + 2 * i), narrow[i]) << i;
  cpu.run("66 d9 37");
  const std::uint32_t wide[] = {0xffff037f, 0xffff7800, 0xffff7fff, 0xffff2545,
                                0x00001155, 0xffff3756, 0x00002000};
  for (unsigned i = 0; i < 7; ++i)
    EXPECT_EQ(cpu.get<std::uint32_t>(0x8000 + 4 * i), wide[i]) << i;
  cpu->fpu = Fpu{};
  cpu.run("66 d9 27");
  EXPECT_EQ(cpu->fpu.instruction_pointer, 0x12545u);
  EXPECT_EQ(cpu->fpu.data_pointer, 0x23756u);
  EXPECT_EQ(cpu->fpu.opcode, 0x155);
  EXPECT_EQ(cpu->fpu.status, 0x7800);
  EXPECT_EQ(cpu->fpu.empty, 0x7f);
}

// ---- RCP and RSQRT: an error bound and the special cases
float lane(const Xmm& value) {
  float result;
  std::memcpy(&result, value.bytes.data(), 4);
  return result;
}
TEST(Approximations, AreWithinTheBound) {
  TestCpu cpu(Mode::Long64);
  cpu->cr4 |= OSFXSR;
  cpu.code("f3 0f 53 c1 f3 0f 52 d1");
  for (float x = 1.3e-30f; x < 1e30f; x *= 1.7f) {
    std::memcpy(cpu->fpu.xmm[1].bytes.data(), &x, 4);
    cpu->rip() = at::kCode;
    cpu.step(2);
    EXPECT_LE(std::abs(lane(cpu->fpu.xmm[0]) * x - 1.0f), 1.5f / 4096);
    EXPECT_LE(std::abs(lane(cpu->fpu.xmm[2]) * std::sqrt(x) - 1.0f), 1.5f / 4096);
  }
  EXPECT_EQ(cpu->fpu.mxcsr, 0x1f80u);
}
TEST(Approximations, OfSpecialValues) {
  struct Case {
    std::uint32_t in, reciprocal, root;
  };
  for (const Case& c :
       {Case{0, 0x7f800000, 0x7f800000}, Case{0x80000000, 0xff800000, 0xff800000},
        Case{0x00000001, 0x7f800000, 0x7f800000}, Case{0x807fffff, 0xff800000, 0xff800000},
        Case{0x7f800000, 0, 0}, Case{0xff800000, 0x80000000, 0xffc00000},
        Case{0x7f800001, 0x7fc00001, 0x7fc00001}, Case{0xffc12345, 0xffc12345, 0xffc12345},
        Case{0xbf800000, 0xbf800000, 0xffc00000}, Case{0x7f7fffff, 0, 0x1f800000}}) {
    TestCpu cpu(Mode::Long64);
    cpu->cr4 |= OSFXSR;
    std::memcpy(cpu->fpu.xmm[1].bytes.data(), &c.in, 4);
    cpu.run("f3 0f 53 c1 f3 0f 52 d1", 2);
    std::uint32_t reciprocal, root;
    std::memcpy(&reciprocal, cpu->fpu.xmm[0].bytes.data(), 4);
    std::memcpy(&root, cpu->fpu.xmm[2].bytes.data(), 4);
    EXPECT_EQ(reciprocal, c.reciprocal) << std::hex << c.in;
    EXPECT_EQ(root, c.root) << std::hex << c.in;
  }
}

// ---- Stores that fault change nothing
TEST(VectorStores, AreAllOrNothing) {
  TestCpu cpu(Mode::Long64);
  cpu->cr4 |= OSFXSR;
  cpu.small_pages();
  const std::uint64_t page = at::kData + 0x1000;
  cpu.unmap(page);
  cpu->fpu.xmm[0].bytes.fill(0xff);
  cpu.rax() = page - 8;
  cpu.run("0f 11 00");  // MOVUPS across
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu.get<std::uint64_t>(page - 8), 0u);
  cpu.rax() = page - 4;
  cpu.run("d9 e8 dd 18", 2);  // FLD1; FSTP m64 across
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu.get<std::uint32_t>(page - 4), 0u);
  EXPECT_EQ(cpu->fpu.empty, 0x7f);  // not popped
  cpu.rax() = at::kData + 8;
  cpu.run("0f 29 00");  // MOVAPS misaligned
  EXPECT_EQ(cpu.arrived(), kGeneralProtection);
}

}  // namespace
}  // namespace ringside::soft

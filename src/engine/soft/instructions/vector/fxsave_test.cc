#include <gtest/gtest.h>

#include <cstring>

#include "engine/soft/instructions/vector/vector_oracle_test.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

constexpr int kGeneralProtection = 13, kPageFault = 14;

void enable_sse(TestCpu& cpu) { cpu->cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXMMEXCPT; }

Xmm pattern(unsigned i) {
  Xmm value;
  for (unsigned j = 0; j < 16; ++j)
    value.bytes[j] = static_cast<std::uint8_t>(16 * i + j + 1);
  return value;
}
// Everything that FXSAVE keeps, with values that differ from each other.
void fill(Cpu& cpu) {
  Fpu& fpu = cpu.fpu;
  fpu.control = 0x27f;
  fpu.status = 0x1a00;  // TOP = 3
  fpu.empty = 0x0f;
  fpu.opcode = 0x4c1;
  fpu.instruction_pointer = 0x1122334455667788;
  fpu.instruction_selector = 0x99aa;
  fpu.data_pointer = 0x2233445566778899;
  fpu.data_selector = 0xbbcc;
  fpu.mxcsr = 0x7f85;
  for (unsigned i = 0; i < 8; ++i)
    fpu.physical[i] = {0x8000000000000000u + i, static_cast<std::uint16_t>(0x3fff + i)};
  for (unsigned i = 0; i < 16; ++i)
    fpu.xmm[i] = pattern(i);
}

TEST(Fxsave, LayoutWithSelectors) {
  TestCpu cpu(Mode::Protected32);
  enable_sse(cpu);
  fill(*cpu);
  for (unsigned i = 0; i < 512; ++i)
    cpu.put<std::uint8_t>(at::kData + i, 0xee);
  cpu.rax() = at::kData;
  cpu.run("0f ae 00");
  ASSERT_EQ(cpu.arrived(), -1);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData), 0x27f);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 2), 0x1a00);
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kData + 4), 0xf0);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 6), 0x4c1);
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 8), 0x55667788u);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 12), 0x99aa);
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 16), 0x66778899u);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 20), 0xbbcc);
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 24), 0x7f85u);
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 28), 0xffffu);
  EXPECT_EQ(cpu.get<std::uint64_t>(at::kData + 32), 0x8000000000000003u);  // ST(0) is physical 3
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 40), 0x4002);
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kData + 160 + 7 * 16), pattern(7).bytes[0]);
  // Outside 64-bit mode XMM8 and what follows is not written.
  for (unsigned i = 288; i < 512; ++i)
    ASSERT_EQ(cpu.get<std::uint8_t>(at::kData + i), 0xee) << i;
}

TEST(Fxsave, LayoutIn64BitMode) {
  TestCpu cpu(Mode::Long64);
  enable_sse(cpu);
  fill(*cpu);
  cpu.rax() = at::kData;
  cpu.run("0f ae 00");  // without REX.W: selectors, but all XMM registers
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kData + 8), 0x55667788u);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData + 12), 0x99aa);
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kData + 160 + 15 * 16), pattern(15).bytes[0]);
  cpu.run("48 0f ae 00");
  EXPECT_EQ(cpu.get<std::uint64_t>(at::kData + 8), 0x1122334455667788u);
  EXPECT_EQ(cpu.get<std::uint64_t>(at::kData + 16), 0x2233445566778899u);
  // What lies behind the registers belongs to software.
  cpu.put<std::uint64_t>(at::kData + 464, 42);
  cpu.run("48 0f ae 00");
  EXPECT_EQ(cpu.get<std::uint64_t>(at::kData + 464), 42u);
}

TEST(Fxsave, RestoresWhatWasSaved) {
  TestCpu cpu(Mode::Long64);
  enable_sse(cpu);
  fill(*cpu);
  const Fpu before = cpu->fpu;
  cpu.rax() = at::kData;
  cpu.run("48 0f ae 00");
  cpu->fpu = Fpu{};
  cpu.run("48 0f ae 08");
  const Fpu& after = cpu->fpu;
  EXPECT_EQ(after.control, before.control);
  EXPECT_EQ(after.status, before.status);
  EXPECT_EQ(after.empty, before.empty);
  EXPECT_EQ(after.opcode, before.opcode);
  EXPECT_EQ(after.instruction_pointer, before.instruction_pointer);
  EXPECT_EQ(after.data_pointer, before.data_pointer);
  EXPECT_EQ(after.mxcsr, before.mxcsr);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(after.physical[i].significand, before.physical[i].significand);
    EXPECT_EQ(after.physical[i].sign_exponent, before.physical[i].sign_exponent);
  }
  for (unsigned i = 0; i < 16; ++i)
    EXPECT_EQ(after.xmm[i].bytes, before.xmm[i].bytes);
}

TEST(Fxsave, WithoutOsfxsrLeavesSseAlone) {
  TestCpu cpu(Mode::Protected32);
  fill(*cpu);
  for (unsigned i = 0; i < 512; ++i)
    cpu.put<std::uint8_t>(at::kData + i, 0xee);
  cpu.rax() = at::kData;
  cpu.run("0f ae 00");
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kData), 0x27f);
  EXPECT_EQ(cpu.get<std::uint64_t>(at::kData + 24), 0xeeeeeeeeeeeeeeeeu);
  EXPECT_EQ(cpu.get<std::uint64_t>(at::kData + 160), 0xeeeeeeeeeeeeeeeeu);
  cpu.run("0f ae 08");  // and its MXCSR field is not even looked at
  EXPECT_EQ(cpu.arrived(), -1);
  EXPECT_EQ(cpu->fpu.mxcsr, 0x7f85u);
}

TEST(Fxsave, FaultsBeforeAnythingChanges) {
  TestCpu cpu(Mode::Long64);
  enable_sse(cpu);
  cpu.small_pages();
  fill(*cpu);
  cpu.rax() = at::kData + 8;  // misaligned
  cpu.run("48 0f ae 00");
  EXPECT_EQ(cpu.arrived(), kGeneralProtection);
  const std::uint64_t page = at::kData + 0x1000;
  cpu.put<std::uint64_t>(page - 16, 42);
  cpu.unmap(page);
  cpu.rax() = page - 256;
  cpu.run("48 0f ae 00");
  EXPECT_EQ(cpu.arrived(), kPageFault);
  EXPECT_EQ(cpu.get<std::uint64_t>(page - 16), 42u);
  EXPECT_EQ(cpu.get<std::uint16_t>(page - 256), 0u);
  cpu.run("48 0f ae 08");
  EXPECT_EQ(cpu.arrived(), kPageFault);
  EXPECT_EQ(cpu->fpu.control, 0x27f);
  // Reserved bits of MXCSR.
  cpu.rax() = at::kData;
  cpu.run("48 0f ae 00");
  ASSERT_EQ(cpu.arrived(), -1);
  cpu.put<std::uint32_t>(at::kData + 24, 0x10000);
  cpu.put<std::uint16_t>(at::kData, 0x37f);
  cpu.run("48 0f ae 08");
  EXPECT_EQ(cpu.arrived(), kGeneralProtection);
  EXPECT_EQ(cpu->fpu.control, 0x27f);
}

// Images with every kind of content, consistent or not, restored by the host and by us.
TEST(FxsaveDifferential, RestoreMatchesTheHost) {
  using namespace oracle;
  static constexpr std::uint8_t kFxrstor64[] = {0x48, 0x0f, 0xae, 0x0b};  // [rbx]
  Values values(7);
  for (unsigned i = 0; i < 2000; ++i) {
    State state = values.state(Data::Extended);
    state.gpr[3] = kMemoryAddress + kMemoryOffset;
    State image = values.state(Data::Extended);
    image.control = static_cast<std::uint16_t>(values.bits());
    image.status = static_cast<std::uint16_t>(values.bits());
    Memory memory = values.memory(Data::Integers);
    std::memcpy(memory.data(), &image, 512);
    const Outcome native = run_native(kFxrstor64, state, memory);
    const Outcome soft = run_soft(kFxrstor64, state, memory);
    ASSERT_EQ(name(native.trap), name(soft.trap));
    ASSERT_EQ(native.state.control, soft.state.control) << std::hex << image.control;
    ASSERT_EQ(native.state.status, soft.state.status)
        << std::hex << image.status << " with control word " << image.control;
    ASSERT_EQ(native.state.valid, soft.state.valid);
    ASSERT_EQ(native.state.mxcsr, soft.state.mxcsr);
    ASSERT_EQ(native.state.st, soft.state.st);
    ASSERT_EQ(native.state.xmm, soft.state.xmm);
  }
}

}  // namespace
}  // namespace ringside::soft

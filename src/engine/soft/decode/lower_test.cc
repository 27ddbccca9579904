// Decoding: what becomes of bytes that are no instruction, and how operands are lowered.
#include "engine/soft/decode/lower.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"
#include "engine/soft/instructions/instructions.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

Insn decoded(std::initializer_list<std::uint8_t> bytes, Width width = Width::Bits64) {
  return decode({bytes.begin(), bytes.size()}, width);
}

class Lines {
 public:
  Lines() {
    log::set_sink([this](log::Level, std::string_view text) { lines.emplace_back(text); },
                  log::Level::Warning);
  }
  ~Lines() { log::set_sink(nullptr, log::Level::Off); }
  std::vector<std::string> lines;
};

TEST(Decode, AnUnknownInstructionIsUdAndIsLoggedOnce) {
  Lines log;
  TestCpu cpu(Mode::Long64);
  for (int i = 0; i < 3; ++i) {
    cpu.run("c4 e2 7d 58 c1");  // vpbroadcastd ymm0, xmm1
    EXPECT_EQ(cpu.arrived(), 6);
  }
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(log.lines[0], "vcpu 0: #UD at 0x10000: vpbroadcastd: c4 e2 7d 58 c1");
}

TEST(Decode, BytesThatAreNoInstructionAreUd) {
  Lines log;
  TestCpu cpu(Mode::Long64);
  cpu.run("0f 04 11 22");
  EXPECT_EQ(cpu.arrived(), 6);
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_NE(log.lines[0].find("not an instruction: 0f 04 11 22"), std::string::npos)
      << log.lines[0];
}

TEST(Decode, DeliberateUndefinedOpcodesAreNotLogged) {
  Lines log;
  TestCpu cpu(Mode::Long64);
  for (const char* bytes : {"0f 0b", "0f b9 c0", "0f ff c0"}) {
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), 6) << bytes;
  }
  EXPECT_TRUE(log.lines.empty());
}

TEST(Decode, MoreThanFifteenBytesAreGp) {
  TestCpu cpu(Mode::Long64);
  cpu.run("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 0u);
  cpu.run("66 66 66 66 66 66 66 66 66 66 66 66 66 66 90");  // exactly fifteen
  EXPECT_EQ(cpu->rip(), at::kCode + 15);
}

TEST(Decode, TooFewBytesAskForMore) {
  EXPECT_EQ(decoded({0x48}).length, 0);
  EXPECT_EQ(decoded({0x48, 0xb8, 1, 2, 3}).length, 0);
  EXPECT_EQ(decoded({0x48, 0x89}).length, 0);
  EXPECT_EQ(decoded({}).length, 0);
}

TEST(Decode, LockWhereItIsNotAllowedIsUd) {
  TestCpu cpu(Mode::Long64);
  for (const char* bytes : {"f0 01 d8", "f0 8b 03", "f0 3b 03", "f0 90"}) {
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), 6) << bytes;
  }
  cpu->gpr[3] = at::kData;
  cpu.run("f0 01 03");  // lock add [rbx], eax
  EXPECT_EQ(cpu->rip(), at::kCode + 3);
}

TEST(Decode, ByteRegistersAreOffsets) {
  EXPECT_EQ(decoded({0x88, 0xe0}).reg, 0 * 8 + 1);     // mov al, ah
  EXPECT_EQ(decoded({0x88, 0xf8}).reg, 3 * 8 + 1);     // mov al, bh
  EXPECT_EQ(decoded({0x40, 0x88, 0xe0}).reg, 4 * 8);   // mov al, spl
  EXPECT_EQ(decoded({0x44, 0x88, 0xf8}).reg, 15 * 8);  // mov al, r15b
}

TEST(Decode, SegmentsCountAsTheModeSays) {
  EXPECT_EQ(decoded({0x8b, 0x03}).segment, segment_use::kFlat);             // [rbx]
  EXPECT_EQ(decoded({0x8b, 0x45, 0x00}).segment, segment_use::kFlatStack);  // [rbp]
  EXPECT_EQ(decoded({0x8b, 0x04, 0x24}).segment, segment_use::kFlatStack);  // [rsp]
  EXPECT_EQ(decoded({0x2e, 0x8b, 0x03}).segment, segment_use::kFlat);       // cs: ignored
  EXPECT_EQ(decoded({0x64, 0x8b, 0x03}).segment, segment_use::kFs64);
  EXPECT_EQ(decoded({0x65, 0x8b, 0x45, 0}).segment, segment_use::kGs64);
  const auto legacy = [](std::initializer_list<std::uint8_t> bytes) {
    return static_cast<x86::SegmentName>(decoded(bytes, Width::Bits32).segment);
  };
  EXPECT_EQ(legacy({0x8b, 0x03}), x86::SegmentName::Ds);
  EXPECT_EQ(legacy({0x8b, 0x45, 0x00}), x86::SegmentName::Ss);
  EXPECT_EQ(legacy({0x2e, 0x8b, 0x03}), x86::SegmentName::Cs);
}

// SDM 2B, MOVSXD r16, r/m16. (AMD's processors read four bytes.)
TEST(Decode, MovsxdTo16BitsReadsTwoBytes) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  cpu.unmap(0x51000);
  cpu.put<std::uint16_t>(0x50ffe, 0x8765);
  cpu->gpr[3] = 0x50ffe;
  cpu.rax() = 0x1111222233334444;
  cpu.run("66 63 03");  // movsxd ax, [rbx]
  EXPECT_EQ(cpu.rax(), 0x1111222233338765u);
  EXPECT_EQ(cpu->rip(), at::kCode + 3);
  cpu.run("66 63 c3");  // movsxd ax, bx
  EXPECT_EQ(cpu.rax(), 0x1111222233330ffeu);
  cpu.run("63 03");  // movsxd eax, [rbx]
  EXPECT_EQ(cpu.arrived(), 14);
}

TEST(Decode, MemoryOperands) {
  const Insn scaled = decoded({0x4a, 0x8b, 0x44, 0xe3, 0xf0});  // mov rax, [rbx + r12 * 8 - 16]
  EXPECT_EQ(scaled.base, 3);
  EXPECT_EQ(scaled.index, 12);
  EXPECT_EQ(scaled.scale, 3);
  EXPECT_EQ(scaled.displacement, -16);
  const Insn relative = decoded({0x8b, 0x05, 4, 0, 0, 0});
  EXPECT_EQ(relative.base, Cpu::kRip);
  EXPECT_EQ(relative.displacement, 4);
  // mod 0 and a SIB base of 5: no base, under REX.B too and whatever the address size.
  for (const auto& insn : {decoded({0x47, 0x8b, 0x04, 0xbd, 4, 0, 0, 0}),
                           decoded({0x67, 0x47, 0x8b, 0x04, 0xbd, 4, 0, 0, 0})}) {
    EXPECT_EQ(insn.base, Cpu::kNoRegister);
    EXPECT_EQ(insn.index, 15);
    EXPECT_EQ(insn.displacement, 4);
  }
}

TEST(Decode, ExtensionsThatCpuidHidesDecodeAsWithoutThem) {
  EXPECT_EQ(decoded({0xf3, 0x0f, 0xbc, 0xc3}).execute, decoded({0x0f, 0xbc, 0xc3}).execute);
  EXPECT_EQ(decoded({0xf3, 0x0f, 0xbd, 0xc3}).execute, decoded({0x0f, 0xbd, 0xc3}).execute);
  EXPECT_EQ(decoded({0xf3, 0x0f, 0x1e, 0xfa}).execute, decoded({0x90}).execute);  // endbr64
}

}  // namespace
}  // namespace ringside::soft

// IN and OUT: widths, permission, devices that make the guest wait.
#include "engine/soft/cpu/port_access.h"

#include <gtest/gtest.h>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

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
  EXPECT_EQ(cpu->activity, Activity::WaitingForDevice);
  EXPECT_EQ(cpu->rip(), at::kCode);
  EXPECT_EQ(cpu->icount, before);
}

TEST(Ports, AFullOutputHoldsTheInstructionAsIfNothingHadBeen) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.output_full = true;
  const std::uint64_t before = cpu->icount;
  cpu.run("e4 60 e6 80 90", 3);  // in al, 0x60; out 0x80, al; nop
  EXPECT_TRUE(cpu->board().held);
  EXPECT_EQ(cpu->activity, Activity::Running);
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  EXPECT_EQ(cpu->icount, before + 1);
  cpu->board().held = false;
  EXPECT_FALSE(step(*cpu));
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  cpu.platform.output_full = cpu->board().held = false;
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

}  // namespace
}  // namespace ringside::soft

// The monitor commands.
#include "base/hex.h"
#include "debug/server.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using testing::ToyGuest;

ServerOptions with_extra() {
  ServerOptions options;
  options.commands.push_back(
      {"info lapic", "[N]", "Shows a local APIC.",
       [](std::string_view text) { return "lapic<" + std::string(text) + ">\n"; }});
  return options;
}

class MonitorCommands : public ::testing::Test {
 protected:
  MonitorCommands() { bench.attach(); }
  std::string monitor(std::string_view command) {
    const std::string reply = bench.ask("qRcmd," + to_hex(command));
    const auto bytes = from_hex(reply);
    if (!bytes) return reply;
    return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }
  Bench bench{2, with_extra()};
  ToyGuest& guest = bench.guest;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(MonitorCommands, Help) {
  const std::string all = monitor("help");
  for (const char* name : {"registers", "walk ADDRESS", "quit", "info lapic [N]"})
    EXPECT_TRUE(has(all, name)) << name;
  EXPECT_TRUE(has(monitor("help walk"), "page tables"));
  EXPECT_TRUE(has(monitor("help info registers"), "Also as info registers"));
  EXPECT_TRUE(has(monitor("help info lapic"), "Shows a local APIC."));
  EXPECT_TRUE(has(monitor("help nonsense"), "no such command"));
  EXPECT_TRUE(has(monitor("nonsense"), "no command \"nonsense\""));
  EXPECT_TRUE(has(monitor(""), "registers"));
}

TEST_F(MonitorCommands, TheOwnersCommands) {
  EXPECT_EQ(monitor("info  lapic  3 4"), "lapic<3 4>\n");
}

TEST_F(MonitorCommands, RegistersInQemusLayout) {
  guest.rax(1) = 0x1234;
  guest.vm.vcpu({1}).cpu.cr3 = 0x5000;
  bench.ask("Hg2");
  const std::string text = monitor("info registers");
  // In protected mode.
  EXPECT_TRUE(has(text, "\nCPU#1\nEAX=00001234 EBX="));
  EXPECT_TRUE(has(text, "CR0=00000011 CR2=00000000 CR3=00005000 CR4=00000000\n"));
  x86::CpuState& cpu = guest.vm.vcpu({1}).cpu;
  cpu.efer |= x86::efer::LMA;
  cpu.seg(x86::SegmentName::Cs).attributes |= 0x2000;
  cpu.fpu.status = 7 << 11;
  cpu.fpu.tag = 0x3fff;
  cpu.fpu.st[0] = {8, 7, 6, 5, 4, 3, 2, 1, 0x34, 0x12};
  const std::string wide = monitor("registers");
  EXPECT_TRUE(has(wide, "RAX=0000000000001234 RBX="));
  EXPECT_TRUE(has(wide, "CR0=00000011 CR2=0000000000000000 CR3=0000000000005000 CR4=00000000\n"));
  EXPECT_TRUE(has(wide, "FSW=3800 [ST=7] FTW=80 MXCSR=00001f80\n"));
  EXPECT_TRUE(has(wide, " FPR7=0102030405060708 1234\n"));
  EXPECT_EQ(monitor("info registers"), wide);
}

TEST_F(MonitorCommands, Vcpus) {
  guest.vm.set_halted({1}, true);
  const std::string text = monitor("vcpus");
  EXPECT_TRUE(has(text, "* CPU #0: thread 1, protected, rip 0x1000"));
  EXPECT_TRUE(has(text, "  CPU #1: thread 2"));
  EXPECT_TRUE(has(text, "(halted)"));
}

TEST_F(MonitorCommands, Breakpoints) {
  EXPECT_TRUE(has(monitor("breakpoints"), "No breakpoints"));
  bench.ask("Z0,1002,1");
  bench.ask("Z0,1003,1");
  bench.client.send("c");
  bench.run(3);
  bench.client.receive();
  guest.write(0x1003, {0x55});
  const std::string text = monitor("breakpoints");
  EXPECT_TRUE(has(text, "0x0000000000001002 int3 at physical 0x1002, armed, 2 hits")) << text;
  EXPECT_TRUE(has(text, "0x0000000000001003 int3 at physical 0x1003, overwritten")) << text;
}

TEST_F(MonitorCommands, WalkAndTranslate) {
  guest.vm.memory().poke<std::uint32_t>(Gpa{0x8000}, 0x9023);
  guest.vm.memory().poke<std::uint32_t>(Gpa{0x9008}, 0x5001);
  guest.vm.vcpu({0}).cpu.cr3 = 0x8000;
  guest.vm.vcpu({0}).cpu.cr0 |= x86::cr0::PG;
  guest.vm.vcpu({0}).cpu.reg(x86::Gpr::Rbx) = 0x2345;
  EXPECT_EQ(monitor("walk 0x2345"),
            "PDE   at 0x000000008000: 0x00009023 P W A\n"
            "PTE   at 0x000000009008: 0x00005001 P\n"
            "0x2345 -> 0x5345, page of 4 KiB, read-only, supervisor\n");
  EXPECT_EQ(monitor("walk $rbx $cr3"), monitor("walk 9029"));
  EXPECT_TRUE(has(monitor("walk 0x7000"), "0x7000: not present"));
  EXPECT_EQ(monitor("gva2gpa 0x2345"), "gpa: 0x5345\n");
  EXPECT_EQ(monitor("gva2gpa 0x7000"), "Unmapped\n");
  EXPECT_TRUE(has(monitor("walk"), "wrong number of arguments"));
  EXPECT_TRUE(has(monitor("walk 0xzz"), "0xzz is not a number"));
  EXPECT_TRUE(has(monitor("walk $nope"), "$nope is not a register"));
}

TEST_F(MonitorCommands, Physical) {
  guest.write(0x3000, {'h', 'i', 0});
  EXPECT_EQ(monitor("xp 0x3000 3"), "0000000000003000: 68 69 00  hi.\n");
  EXPECT_TRUE(has(monitor("physical 0x3000 99999"), "at most 4096"));
  EXPECT_TRUE(has(monitor("physical 0x99999999"), "physical: "));
}

TEST_F(MonitorCommands, Msr) {
  guest.vm.vcpu({0}).msrs[0x277] = 0x1234;
  EXPECT_EQ(monitor("msr 0x277"), "msr 0x277 = 0x0000000000001234\n");
  EXPECT_EQ(monitor("msr 0x277 0x55"), "msr 0x277 = 0x0000000000000055\n");
  EXPECT_TRUE(has(monitor("msr 1"), "no such MSR"));
}

TEST_F(MonitorCommands, Quit) {
  EXPECT_FALSE(bench.server.wants_vm_end());
  EXPECT_EQ(monitor("quit"), "The machine ends.\n");
  EXPECT_TRUE(bench.server.wants_vm_end());
}

}  // namespace
}  // namespace ringside::debug

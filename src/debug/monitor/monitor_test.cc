// The monitor commands.
#include "base/hex.h"
#include "debug/server/server.h"
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
  options.commands.push_back({"much", "", "Does much\nat once. And more.",
                              [](std::string_view) { return std::string(); }});
  options.commands.back().group = "Of its own";
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
  for (const char* name : {"  registers ", "  walk ADDRESS", "  quit ", "  info lapic [N]"})
    EXPECT_TRUE(has(all, name)) << name;
  // In groups: those that the owner has named too.
  for (const char* heading : {"vCPUs, registers and memory:\n", "\n\nAddress translation:\n  walk",
                              "\n\nStops:\n  breakpoints", "The session:\n  help",
                              "\n\nThe machine:\n  info lapic", "\n\nOf its own:\n  much"})
    EXPECT_TRUE(has(all, heading)) << heading;
  // The list has one whole sentence for each.
  EXPECT_TRUE(has(all, "Shows COUNT (64) bytes of physical memory, and as text.\n"));
  EXPECT_TRUE(has(all, "Does much at once.\n"));
  EXPECT_TRUE(has(monitor("help much"), "much\nDoes much\nat once. And more.\n"));
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
  EXPECT_TRUE(has(monitor("walk $xmm0"), "$xmm0 is wider than a number"));
  EXPECT_TRUE(has(monitor("walk -1"), "a number is missing beside + or -"));
}

TEST_F(MonitorCommands, WalkNamesTheKeyOfAUserPage) {
  for (const std::uint64_t table : {0x8000, 0x9000, 0xa000})
    guest.vm.memory().poke<std::uint64_t>(Gpa{table}, (table + 0x1000) | 7);
  guest.vm.memory().poke<std::uint64_t>(Gpa{0xb010}, 0x5007 | 3ull << 59);
  x86::CpuState& cpu = guest.vm.vcpu({0}).cpu;
  cpu.cr3 = 0x8000;
  cpu.cr0 |= x86::cr0::PG;
  cpu.cr4 |= x86::cr4::PAE;
  cpu.efer |= x86::efer::LME | x86::efer::LMA;
  const std::string user_page = "0x2345 -> 0x5345, page of 4 KiB, writable, user";
  EXPECT_TRUE(has(monitor("walk 0x2345"), user_page + "\n"));
  cpu.cr4 |= x86::cr4::PKE;
  EXPECT_TRUE(has(monitor("walk 0x2345"), user_page + ", protection key 3\n"));
  cpu.pkru = 2u << 6;
  EXPECT_TRUE(has(monitor("walk 0x2345"), user_page + ", protection key 3 (no writes)\n"));
  cpu.pkru = 3u << 6;
  EXPECT_TRUE(has(monitor("walk 0x2345"), user_page + ", protection key 3 (no access)\n"));
  guest.vm.memory().poke<std::uint64_t>(Gpa{0xb010}, 0x5003 | 3ull << 59);
  EXPECT_FALSE(has(monitor("walk 0x2345"), "key")) << "a supervisor's page has none";
}

TEST_F(MonitorCommands, Physical) {
  guest.write(0x3000, {'h', 'i', 0});
  EXPECT_EQ(monitor("physical 0x3000 3"), "0000000000003000: 68 69 00  hi.\n");
  EXPECT_TRUE(has(monitor("physical 0x3000 99999"), "at most 4096"));
  EXPECT_TRUE(has(monitor("physical 0x99999999"), "physical: "));
}

TEST_F(MonitorCommands, Msr) {
  guest.vm.vcpu({0}).msrs[0x277] = 0x1234;
  EXPECT_EQ(monitor("msr 0x277"), "msr 0x277 = 0x0000000000001234 (IA32_PAT)\n");
  EXPECT_EQ(monitor("msr 0x277 0x55"), "msr 0x277 = 0x0000000000000055 (IA32_PAT)\n");
  EXPECT_TRUE(has(monitor("msr 1"), "no such MSR"));
}

TEST_F(MonitorCommands, MsrsByName) {
  guest.vm.vcpu({0}).msrs[0x277] = 0x1234;
  guest.vm.vcpu({0}).msrs[0xc0000080] = 0x500;
  guest.vm.vcpu({0}).msrs[0x12345] = 7;
  for (const char* name : {"IA32_EFER", "efer", "MSR_EFER"})
    EXPECT_EQ(monitor(std::string("msr ") + name),
              "msr 0xc0000080 = 0x0000000000000500 (IA32_EFER)\n");
  EXPECT_EQ(monitor("msr efer 0xd01"), "msr 0xc0000080 = 0x0000000000000d01 (IA32_EFER)\n");
  EXPECT_EQ(monitor("msr 0x12345"), "msr 0x12345 = 0x0000000000000007\n");
  EXPECT_EQ(monitor("msr"),
            "msr 0x277 = 0x0000000000001234 (IA32_PAT)\n"
            "msr 0xc0000080 = 0x0000000000000d01 (IA32_EFER)\n");
  EXPECT_EQ(monitor("msr IA32_EFFER"),
            "msr: \"IA32_EFFER\" is neither a number nor an MSR; did you mean IA32_EFER?\n");
  EXPECT_EQ(monitor("msr lstra"),
            "msr: \"lstra\" is neither a number nor an MSR; did you mean LSTAR?\n");
  EXPECT_TRUE(has(monitor("msr IA32_LSTAR"), "no such MSR"));
  EXPECT_TRUE(has(monitor("msr 0x123456789"), "32 bits"));
  EXPECT_TRUE(has(monitor("msr efer 1 2"), "msr: "));
}

TEST_F(MonitorCommands, RegistersByName) {
  x86::CpuState& cpu = guest.vm.vcpu({0}).cpu;
  cpu.reg(x86::Gpr::Rbx) = 0x1234;
  cpu.fpu.vector[1] = {0x11, 0x22};
  cpu.seg(x86::SegmentName::Ds).base = 0x4321;
  EXPECT_EQ(monitor("info registers rbx"), "rbx 0x0000000000001234\n");
  EXPECT_EQ(monitor("registers $RIP"), "rip 0x0000000000001000\n");
  EXPECT_EQ(monitor("info registers rbx xmm1"),
            "rbx 0x0000000000001234\nxmm1 0x00000000000000000000000000002211\n");
  // What has a hidden part is shown with it.
  EXPECT_TRUE(has(monitor("info registers ds"), "DS =0000 00004321 "));
  EXPECT_TRUE(has(monitor("info registers gdtr"), "GDT=     "));
  EXPECT_EQ(monitor("info registers rbz"),
            "registers: \"rbz\" is not a register; did you mean rbx?\n");
  EXPECT_TRUE(has(monitor("info registers rbx nonsense"), "is not a register"));
  EXPECT_TRUE(has(monitor("info registers 1"), "\nCPU#1\n"));
  EXPECT_TRUE(has(monitor("info registers 2"), "no such vCPU"));
  const std::string all = monitor("info registers -a");
  EXPECT_TRUE(has(all, "\nCPU#0\n") && has(all, "\nCPU#1\n"));
}

TEST_F(MonitorCommands, InfoListsWhatItKnows) {
  const std::string all = monitor("info");
  for (const char* subject : {"info registers", "info cpus", "info breakpoints", "info tlb",
                              "info mem", "info status", "info lapic [N]"})
    EXPECT_TRUE(has(all, subject)) << subject;
  EXPECT_FALSE(has(all, "quit"));
  EXPECT_EQ(monitor("info regsters"),
            "info: nothing is known of \"regsters\"; did you mean registers? info alone lists what "
            "is\n");
  EXPECT_EQ(monitor("info lapci 3"),
            "info: nothing is known of \"lapci\"; did you mean lapic? info alone lists what is\n");
  EXPECT_EQ(monitor("info nonsense"),
            "info: nothing is known of \"nonsense\"; info alone lists what is\n");
}

TEST_F(MonitorCommands, AWrongWordGetsTheRightOne) {
  EXPECT_EQ(monitor("brekpoints"),
            "There is no command \"brekpoints\"; did you mean breakpoints? help lists those that "
            "there are.\n");
  EXPECT_EQ(monitor("nonsense"),
            "There is no command \"nonsense\"; help lists those that there are.\n");
  EXPECT_TRUE(has(monitor("inof registers"), "did you mean info?"));
  EXPECT_TRUE(has(monitor("help wlak"), "did you mean walk?"));
  EXPECT_TRUE(has(monitor("walk $eflgas"), "$eflgas is not a register; did you mean eflags?"));
}

TEST_F(MonitorCommands, StatusStopAndCont) {
  EXPECT_EQ(monitor("info status"), "VM status: paused (the debugger holds it)\n");
  EXPECT_EQ(monitor("stop"), "The guest is stopped already.\n");
  EXPECT_TRUE(has(monitor("cont"), "continue, or detach"));
  EXPECT_FALSE(bench.in_guest(0));
  // A client may ask while the guest runs, and it runs on.
  bench.client.send("vCont;c");
  EXPECT_EQ(monitor("info status"), "VM status: running\n");
  EXPECT_TRUE(has(monitor("stop"), "Ctrl-C"));
  EXPECT_EQ(monitor("cont"), "The guest runs already.\n");
  EXPECT_TRUE(bench.in_guest(0));
}

// QEMU's forms; tests/protocol/qemu_layout_test.cc has them beside QEMU's own.
TEST_F(MonitorCommands, ExamineMemory) {
  guest.write(0x3000, {0x78, 0x56, 0x34, 0x92, 'a', '\'', '\n', 0x80, 0xff, 0xff, 0xff, 0xff});
  EXPECT_EQ(monitor("xp 0x3000"), "0000000000003000: 0x92345678\n");
  EXPECT_EQ(monitor("xp/2xw 0x3000"), "0000000000003000: 0x92345678 0x800a2761\n");
  EXPECT_EQ(monitor("x /2xh 0x3000"), "0000000000003000: 0x5678 0x9234\n");
  EXPECT_EQ(monitor("xp /1xg 0x3000"), "0000000000003000: 0x800a276192345678\n");
  EXPECT_EQ(monitor("x/9b 0x3000"),
            "0000000000003000: 0x78 0x56 0x34 0x92 0x61 0x27 0x0a 0x80\n0000000000003008: 0xff\n");
  EXPECT_EQ(monitor("x/5c 0x3003"), "0000000000003003: '\\x92' 'a' '\\'' '\\n' '\\x80'\n");
  EXPECT_EQ(monitor("x/2dw 0x3000"), "0000000000003000: -1842063752 -2146818207\n");
  EXPECT_EQ(monitor("x/1uw 0x3008"), "0000000000003008: 4294967295\n");
  EXPECT_EQ(monitor("x/1db 0x3008"), "0000000000003008:  -1\n");
  EXPECT_EQ(monitor("x/1ob 0x3000"), "0000000000003000: 0170\n");
  guest.vm.vcpu({0}).cpu.reg(x86::Gpr::Rbx) = 0x3010;
  EXPECT_EQ(monitor("x/1xb $rbx - 0x10"), "0000000000003000: 0x78\n");
  EXPECT_EQ(monitor("x/1xb $rbx-16+1"), "0000000000003001: 0x56\n");
}

TEST_F(MonitorCommands, ExamineSaysWhatIsWrong) {
  EXPECT_TRUE(has(monitor("x"), "wants an address"));
  EXPECT_TRUE(has(monitor("x/4xg"), "wants an address"));
  EXPECT_TRUE(has(monitor("x/4xz 0x3000"), "z is neither a format"));
  EXPECT_TRUE(has(monitor("x/4i 0x3000"), "debugger's own"));
  EXPECT_TRUE(has(monitor("x/0xw 0x3000"), "between 1 and"));
  EXPECT_TRUE(has(monitor("x/99999999999999999999xg 0x3000"), "between 1 and"));
  EXPECT_TRUE(has(monitor("xp 0x3000 3"), "the count goes before the address"));
  EXPECT_TRUE(has(monitor("xp 0x99999999"), "xp: "));
  EXPECT_TRUE(has(monitor("x $nope"), "not a register"));
  EXPECT_TRUE(has(monitor("x 0x3000 +"), "a number is missing"));
}

// A look: the device is not asked in the guest's way, and our breakpoints are not seen.
TEST_F(MonitorCommands, ExamineDevicesAndCode) {
  guest.vm.memory().add_device(Gpa{0xd0000000}, 0x100);
  EXPECT_EQ(monitor("xp/2xw 0xd0000000"), "00000000d0000000: 0x00000000 0x00000000\n");
  EXPECT_TRUE(has(monitor("xp/2xw 0xd00000fc"), "Cannot access memory at 0xd0000100"));
  guest.write(0x1003, {0x55});
  const std::string before = monitor("x/1xb 0x1003");
  bench.ask("Z0,1003,1");
  EXPECT_EQ(monitor("x/1xb 0x1003"), before);
}

TEST_F(MonitorCommands, Quit) {
  EXPECT_FALSE(bench.server.wants_vm_end());
  EXPECT_EQ(monitor("quit"), "The machine ends.\n");
  EXPECT_TRUE(bench.server.wants_vm_end());
}

}  // namespace
}  // namespace ringside::debug

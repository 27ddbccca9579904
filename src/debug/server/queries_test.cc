// Registers, memory, threads, session and transfers: requests that are answered on the spot.
#include <fmt/core.h>

#include "base/hex.h"
#include "debug/packets/target_description.h"
#include "debug/server/server.h"
#include "debug/testing/fixture.h"
#include "ringside/x86/registers.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using testing::ToyGuest;

std::string hex_number(std::uint64_t value) { return fmt::format("{:x}", value); }

class Queries : public ::testing::Test {
 protected:
  Queries() { bench.attach(); }
  Bench bench{3};
  ToyGuest& guest = bench.guest;
};

TEST_F(Queries, Row14And15_ThreadsAreVcpusPlusOneInWholeBytes) {
  EXPECT_EQ(bench.ask("qfThreadInfo"), "m01,02,03");
  EXPECT_EQ(bench.ask("qsThreadInfo"), "l");
  Bench many(16);
  many.attach();
  EXPECT_EQ(many.ask("Hg10"), "OK");
  EXPECT_EQ(many.ask("qC"), "QC10");
}

TEST_F(Queries, Row16_ExtraInfoNamesTheVcpu) {
  EXPECT_EQ(bench.ask("qThreadExtraInfo,2"), "764350552031");  // "vCPU 1"
  EXPECT_EQ(bench.ask("qThreadExtraInfo,9"), "E16");
  EXPECT_EQ(bench.ask("qThreadExtraInfo"), "E16");
}

// To clients that speak of threads it says what the vCPU does, too; of one that runs what can be
// said without stopping it.
TEST_F(Queries, ExtraInfoSaysWhatTheVcpuDoes) {
  guest.vm.set_halted({1}, true);
  bench.ask("vCont?");
  EXPECT_EQ(bench.ask("qThreadExtraInfo,2"),
            to_hex("vCPU 1: halted, protected mode 16-bit, CPL 0"));
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.ask("qThreadExtraInfo,2"), to_hex("vCPU 1: halted"));
  EXPECT_EQ(bench.ask("qThreadExtraInfo,1"), to_hex("vCPU 0: running"));
  EXPECT_TRUE(bench.in_guest(0));
}

// In pieces it is one document, although a vCPU may do something else meanwhile.
TEST_F(Queries, TheThreadListStaysTheSameWhileItIsRead) {
  const std::string whole = bench.ask("qXfer:threads:read::0,1000").substr(1);
  std::string pieces;
  for (std::size_t at = 0; at < whole.size(); at += 0x40) {
    const std::string piece = bench.ask("qXfer:threads:read::" + hex_number(at) + ",40");
    pieces += piece.substr(1);
    guest.vm.set_halted({2}, true);
  }
  EXPECT_EQ(pieces, whole);
}

TEST_F(Queries, Row17_ThreadAlive) {
  EXPECT_EQ(bench.ask("T1"), "OK");
  EXPECT_EQ(bench.ask("T03"), "OK");
  EXPECT_EQ(bench.ask("T4"), "E16");
}

TEST_F(Queries, Row18_SelectThread) {
  guest.rax(1) = 0x22;
  EXPECT_EQ(bench.ask("Hc2"), "OK");
  EXPECT_EQ(bench.ask("qC"), "QC02");
  EXPECT_EQ(bench.ask("Hc-1"), "OK");
  EXPECT_EQ(bench.ask("qC"), "QC01");
  EXPECT_EQ(bench.ask("Hg2"), "OK");
  EXPECT_EQ(bench.ask("g").substr(0, 16), "2200000000000000");
  EXPECT_EQ(bench.ask("Hg0"), "OK");
  EXPECT_EQ(bench.ask("qC"), "QC01");
  EXPECT_EQ(bench.ask("Hx1"), "E16");
  EXPECT_EQ(bench.ask("Hg"), "E16");
  EXPECT_EQ(bench.ask("Hg7"), "E16");
}

// To a client that uses both, Hc chooses whom the next s steps.
TEST_F(Queries, WhoIsSteppedIsChosenApart) {
  EXPECT_EQ(bench.ask("Hg1"), "OK");
  EXPECT_EQ(bench.ask("Hc2"), "OK");
  EXPECT_EQ(bench.ask("qC"), "QC01");
  const std::uint64_t first = guest.rip(0), second = guest.rip(1);
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  EXPECT_EQ(guest.rip(0), first);
  EXPECT_EQ(guest.rip(1), second + 1);
  // The one that has stopped is both from then on.
  EXPECT_EQ(bench.ask("qC"), "QC02");
  EXPECT_EQ(bench.ask("Hg1"), "OK");
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(guest.rip(0), first + 1);
}

TEST_F(Queries, Row19_TheModelsRegistersInTheirOrder) {
  x86::CpuState& cpu = guest.vm.vcpu({0}).cpu;
  const x86::Gpr order[] = {x86::Gpr::Rax, x86::Gpr::Rbx, x86::Gpr::Rcx, x86::Gpr::Rdx,
                            x86::Gpr::Rsi, x86::Gpr::Rdi, x86::Gpr::Rbp, x86::Gpr::Rsp};
  std::uint64_t value = 0x1122334455667700;
  for (const x86::Gpr r : order)
    cpu.reg(r) = value++;
  cpu.rip = 0xabcdef;
  cpu.rflags = 0x202;
  cpu.seg(x86::SegmentName::Cs).selector = 0x10;
  const std::string g = bench.ask("g");
  EXPECT_EQ(g.size(), 328u);
  EXPECT_EQ(g.substr(0, 16), "0077665544332211");
  EXPECT_EQ(g.substr(7 * 16, 16), "0777665544332211");
  EXPECT_EQ(g.substr(16 * 16, 16), "efcdab0000000000");
  EXPECT_EQ(g.substr(17 * 16, 16), "0202000010000000");
}

TEST_F(Queries, Row20_SingleRegistersByTableNumber) {
  guest.vm.vcpu({0}).cpu.cr3 = 0x5000;
  const auto number = static_cast<unsigned>(x86::Register::Cr3);
  char packet[16];
  std::snprintf(packet, sizeof packet, "p%x", number);
  EXPECT_EQ(bench.ask(packet), "0050000000000000");
  std::snprintf(packet, sizeof packet, "p%x", static_cast<unsigned>(x86::kRegisterCount));
  EXPECT_EQ(bench.ask(packet), "E16");
  EXPECT_EQ(bench.ask("p11"), "02000000");
}

TEST_F(Queries, Row21_RegistersCanBeWritten) {
  EXPECT_EQ(bench.ask("P0=efbeadde00000000"), "OK");
  EXPECT_EQ(guest.rax(0), 0xdeadbeefu);
  EXPECT_EQ(bench.ask("P0=efbeadde"), "E16");
  EXPECT_EQ(bench.ask("Pfff=00"), "E16");
  std::string g = bench.ask("g");
  g.replace(16, 4, "3412");
  EXPECT_EQ(bench.ask("G" + g), "OK");
  EXPECT_EQ(guest.vm.vcpu({0}).cpu.reg(x86::Gpr::Rbx), 0x1234u);
  EXPECT_EQ(bench.ask("G" + g.substr(2)), "E16");
}

TEST_F(Queries, ReadingTheDescriptionMakesGTheWholeTable) {
  EXPECT_EQ(bench.ask("g").size(), 328u);
  bench.ask("qXfer:features:read:target.xml:0,100");
  std::size_t bytes = 0;
  for (const x86::RegisterInfo& info : x86::kRegisters)
    bytes += info.size();
  const std::string g = bench.ask("g");
  EXPECT_EQ(g.size(), 2 * bytes);
  EXPECT_EQ(bench.ask("G" + g), "OK");
  // It is a thing of the session.
  bench.client.disconnect();
  bench.client.connect();
  EXPECT_EQ(bench.ask("g").size(), 328u);
}

TEST_F(Queries, Row26_ReadsGiveTheReadablePrefix) {
  EXPECT_EQ(bench.ask("mfffe,4").size(), 4u);
  EXPECT_EQ(bench.ask("m10000,4"), "E0e");
  EXPECT_EQ(bench.ask("m1000"), "E16");
  EXPECT_EQ(bench.ask("m,4"), "E16");
}

TEST_F(Queries, Row27_Writes) {
  EXPECT_EQ(bench.ask("M2000,3:010203"), "OK");
  EXPECT_EQ(bench.ask("m2000,4"), "01020300");
  EXPECT_EQ(bench.ask("M2000,4:010203"), "E16");
  EXPECT_EQ(bench.ask("M2000,2:zz11"), "E16");
  EXPECT_EQ(bench.ask("M10000,1:00"), "E0e");
  // A range that leaves memory changes nothing.
  EXPECT_EQ(bench.ask("Mfffe,4:01020304"), "E0e");
  EXPECT_EQ(bench.ask("mfffe,2"), "0000");
}

TEST_F(Queries, Row28And29_DevicesSeeAlignedAccesses) {
  guest.vm.memory().add_device(Gpa{0xfe000000}, 0x100);
  EXPECT_EQ(bench.ask("Mfe000000,4:78563412"), "OK");
  EXPECT_EQ(bench.ask("mfe000001,7").size(), 14u);
  std::string widths;
  for (const auto& access : guest.vm.memory().mmio_log)
    widths.append(access.write ? "w" : "r").append(std::to_string(access.width));
  EXPECT_EQ(widths, "w4r1r2r4");
}

TEST_F(Queries, Defect15_ThreeBytesAtADevice) {
  guest.vm.memory().add_device(Gpa{0xfe000000}, 0x100);
  EXPECT_EQ(bench.ask("Mfe000000,3:010203"), "OK");
  EXPECT_EQ(bench.ask("mfe000000,3"), "010203");
}

TEST_F(Queries, Row31_ReadingNothingIsAnEmptyReply) {
  bench.client.send("m0,0");
  EXPECT_EQ(bench.client.take_raw(), "+$#00");
}

TEST_F(Queries, Defect10_AHugeReadIsBounded) {
  EXPECT_LE(bench.ask("m0,ffffffffffffffff").size(), rsp::kPacketSize);
}

constexpr const char* kSupported =
    "PacketSize=20000;swbreak+;QStartNoAckMode+;QNonStop+;vContSupported+;qXfer:features:read+;"
    "qXfer:threads:read+;qXfer:memory-map:read+;ConditionalBreakpoints+;BreakpointCommands+;binary-"
    "upload+;MultiMemRead+;jMultiBreakpoint+;ConditionalTracepoints+;TracepointSource+;"
    "EnableDisableTracepoints+;"
    "FastTracepoints+;tracenz+;QTBuffer:size+;qXfer:traceframe-info:read+";

TEST_F(Queries, Row43_WhatIsSupported) {
  EXPECT_EQ(bench.ask("qSupported"), kSupported);
  EXPECT_EQ(bench.ask("qSupported:multiprocess+;xmlRegisters=i386"),
            std::string(kSupported) + ";multiprocess+");
}

TEST_F(Queries, ErrorsAreSentencesForThoseWhoAgreed) {
  bench.ask("qSupported:error-message+");
  EXPECT_EQ(bench.ask("Hg9"), "E.there is no such thread");
}

TEST_F(Queries, ProcessesWhereAgreed) {
  bench.ask("qSupported:multiprocess+");
  EXPECT_EQ(bench.ask("Hgp1.2"), "OK");
  EXPECT_EQ(bench.ask("Hgp2.2"), "E16");
  EXPECT_EQ(bench.ask("qC"), "QCp01.02");
  EXPECT_EQ(bench.ask("qfThreadInfo"), "mp01.01,p01.02,p01.03");
  EXPECT_EQ(bench.ask("qAttached:1"), "1");
}

TEST_F(Queries, NoAckMode) {
  EXPECT_EQ(bench.ask("QStartNoAckMode"), "OK");
  bench.client.send("qC");
  EXPECT_EQ(bench.client.take_raw(), "$QC01#f5");
  bench.client.disconnect();
  bench.client.connect();
  bench.client.send("qC");
  EXPECT_EQ(bench.client.take_raw(), "+$QC01#f5");
}

TEST_F(Queries, BinaryMemory) {
  EXPECT_EQ(bench.ask("X2000,0:"), "OK");
  EXPECT_EQ(bench.ask("X2000,4:#$}*"), "OK");
  EXPECT_EQ(bench.ask("m2000,4"), "23247d2a");
  EXPECT_EQ(bench.ask("x2000,4"), "b#$}*");
  EXPECT_EQ(bench.ask("x2000,0"), "b");
  EXPECT_EQ(bench.ask("x90000,4"), "E0e");
  EXPECT_EQ(bench.ask("X90000,1:a"), "E0e");
}

TEST_F(Queries, ThreadsAsADocument) {
  guest.vm.set_halted({1}, true);
  guest.vm.vcpu({2}).doing = hypervisor::VcpuActivity::WaitingForStartUp;
  EXPECT_EQ(bench.ask("qXfer:threads:read::0,1000"),
            "l<?xml version=\"1.0\"?>\n<threads>\n"
            "<thread id=\"01\" core=\"0\" name=\"vCPU 0\">running, protected mode 16-bit, CPL 0"
            "</thread>\n"
            "<thread id=\"02\" core=\"1\" name=\"vCPU 1\">halted, protected mode 16-bit, CPL 0"
            "</thread>\n"
            "<thread id=\"03\" core=\"2\" name=\"vCPU 2\">waiting for start-up</thread>\n"
            "</threads>\n");
  EXPECT_EQ(bench.ask("qXfer:threads:read:x:0,1000"), "E02");
}

TEST_F(Queries, TheMemoryMapForbidsNoLinearAddress) {
  const char* all =
      "l<?xml version=\"1.0\"?>\n<memory-map>\n"
      "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>\n"
      "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/>\n"
      "</memory-map>\n";
  EXPECT_EQ(bench.ask("qXfer:memory-map:read::0,1000"), all);
  EXPECT_EQ(bench.ask("qXfer:memory-map:read:x:0,1000"), "E02");
  guest.vm.memory().add_ram(Gpa{0xfffff000}, 0x1000, hypervisor::MemoryKind::Rom);
  EXPECT_EQ(bench.ask("qXfer:memory-map:read::0,1000"), all);
  EXPECT_EQ(bench.ask("Qqemu.PhyMemMode:1"), "OK");
  EXPECT_EQ(bench.ask("qXfer:memory-map:read::0,1000"),
            "l<?xml version=\"1.0\"?>\n<memory-map>\n"
            "<memory type=\"ram\" start=\"0x0\" length=\"0x10000\"/>\n"
            "<memory type=\"rom\" start=\"0xfffff000\" length=\"0x1000\"/>\n"
            "</memory-map>\n");
}

TEST_F(Queries, MemoryRegionsWithPagingOff) {
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:1234"), "start:0;size:100000000;permissions:rwx;");
  // No range goes beyond the last address but one, which is LLDB's end of all addresses.
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:100000000"), "start:100000000;size:fffffffeffffffff;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:ffffffffffffffff"), "E0e");
}

TEST_F(Queries, MemoryRegionsOfPhysicalMemory) {
  guest.vm.memory().add_ram(Gpa{0xffff0000}, 0x10000, hypervisor::MemoryKind::Rom);
  bench.ask("Qqemu.PhyMemMode:1");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:1234"), "start:0;size:10000;permissions:rwx;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:10000"), "start:10000;size:fffe0000;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:fffffff0"), "start:ffff0000;size:10000;permissions:rx;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:100000000"), "start:100000000;size:fffffffeffffffff;");
}

// Four-level tables at 0x8000, 0x9000, 0xa000 and 0xb000.
TEST_F(Queries, MemoryRegionsFollowThePageTables) {
  constexpr std::uint64_t kRead = 1, kWrite = 3, kNoExecute = 1ull << 63;
  const auto entry = [&](std::uint64_t table, std::uint64_t index, std::uint64_t value) {
    guest.vm.memory().poke<std::uint64_t>(Gpa{table + index * 8}, value);
  };
  entry(0x8000, 0, 0x9000 | kWrite);
  entry(0x8000, 511, 0x9000 | kWrite);
  entry(0x9000, 0, 0xa000 | kWrite);
  entry(0x9000, 511, 0xa000 | kWrite | kNoExecute);
  entry(0xa000, 0, 0xb000 | kWrite);
  entry(0xa000, 511, 0xb000 | kWrite);
  entry(0xb000, 1, 0x2000 | kRead);
  entry(0xb000, 2, 0x90000 | kRead);  // leads to nothing; the tables do not know
  entry(0xb000, 3, 0x2000 | kWrite);
  entry(0xb000, 4, 0x3000 | kWrite | kNoExecute);
  entry(0xb000, 511, 0x3000 | kWrite);
  x86::CpuState& cpu = guest.vm.vcpu({0}).cpu;
  cpu.cr0 |= x86::cr0::PG;
  cpu.cr3 = 0x8000;
  cpu.cr4 |= x86::cr4::PAE;
  cpu.efer |= x86::efer::LME | x86::efer::LMA | x86::efer::NXE;
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:123"), "start:0;size:1000;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:1000"), "start:1000;size:2000;permissions:rx;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:2fff"), "start:1000;size:2000;permissions:rx;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:3000"), "start:3000;size:1000;permissions:rwx;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:4000"), "start:4000;size:1000;permissions:rw;");
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:5000"), "start:5000;size:1fa000;");
  // Up to the upper half over what is not canonical; large absent parts are one entry each.
  guest.vm.memory().ram_accesses = 0;
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:800000000000"), "start:8000000000;size:ffffff0000001000;");
  EXPECT_LT(guest.vm.memory().ram_accesses, 10000u);
  // The last page of all, as far as it can be told.
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:fffffffffffff123"),
            "start:fffffffffffff000;size:fff;permissions:rw;");
}

// Each of 512 entries leads back to the table that it is in, so every address is mapped.
TEST_F(Queries, AMemoryRegionIsBoundedWork) {
  for (std::uint64_t i = 0; i < 512; ++i)
    guest.vm.memory().poke<std::uint64_t>(Gpa{0x8000 + i * 8}, 0x8003);
  x86::CpuState& cpu = guest.vm.vcpu({0}).cpu;
  cpu.cr0 |= x86::cr0::PG;
  cpu.cr3 = 0x8000;
  cpu.cr4 |= x86::cr4::PAE;
  cpu.efer |= x86::efer::LME | x86::efer::LMA;
  guest.vm.memory().ram_accesses = 0;
  EXPECT_EQ(bench.ask("qMemoryRegionInfo:0"), "start:0;size:1001000;permissions:rwx;");
  EXPECT_LT(guest.vm.memory().ram_accesses, 50000u);
}

TEST_F(Queries, PhysicalMemoryMode) {
  // Linear page 2 is physical page 5.
  guest.vm.memory().poke<std::uint32_t>(Gpa{0x8000}, 0x9003);
  guest.vm.memory().poke<std::uint32_t>(Gpa{0x9008}, 0x5003);
  guest.vm.vcpu({0}).cpu.cr3 = 0x8000;
  guest.vm.vcpu({0}).cpu.cr0 |= x86::cr0::PG;
  guest.write(0x5000, {0x55});
  EXPECT_EQ(bench.ask("Z0,2000,1"), "OK");
  EXPECT_EQ(bench.ask("m2000,1"), "55");
  EXPECT_EQ(bench.ask("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(bench.ask("Qqemu.PhyMemMode:1"), "OK");
  EXPECT_EQ(bench.ask("qqemu.PhyMemMode"), "1");
  EXPECT_EQ(bench.ask("m5000,1"), "55");
  EXPECT_EQ(bench.ask("m2000,1"), "00");
  EXPECT_EQ(bench.ask("M5000,1:66"), "OK");
  bench.client.disconnect();
  EXPECT_EQ(guest.byte(0x5000), 0x66);
  bench.client.connect();
  EXPECT_EQ(bench.ask("qqemu.PhyMemMode"), "0");
}

TEST_F(Queries, StepMask) {
  EXPECT_EQ(bench.ask("qqemu.sstepbits"), "ENABLE=1,NOIRQ=2,NOTIMER=4");
  EXPECT_EQ(bench.ask("Qqemu.sstepbits"), "ENABLE=1,NOIRQ=2,NOTIMER=4");
  EXPECT_EQ(bench.ask("qqemu.sstep"), "0x7");
  EXPECT_EQ(bench.ask("Qqemu.sstep=1"), "OK");
  guest.interrupt_pending[0] = true;
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rip(0), ToyGuest::kHandler + 1);
  EXPECT_EQ(bench.ask("Qqemu.sstep=6"), "E16");
}

TEST_F(Queries, Row61_WhatIsNotSupportedIsEmpty) {
  for (const char* packet : {"", "vMustReplyEmpty", "vFoo", "qOffsets", "qSymbol::", "R00", "vRun;",
                             "vAttach;1", "bc", "Zfoo", "QFoo"}) {
    const std::string reply = bench.ask(packet);
    EXPECT_TRUE(reply.empty() || reply == "E16") << packet << ": " << reply;
  }
}

TEST_F(Queries, Row64_TheDescriptionInPieces) {
  const std::string whole(target_description({}));
  std::string read;
  for (;;) {
    char packet[80];
    std::snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%zx,%x", read.size(), 997);
    const std::string piece = bench.ask(packet);
    ASSERT_FALSE(piece.empty());
    read += piece.substr(1);
    if (piece[0] == 'l') break;
    ASSERT_EQ(piece[0], 'm');
  }
  EXPECT_EQ(read, whole);
  EXPECT_EQ(bench.ask("qXfer:features:read:target.xml:99999999,10"), "l");
  EXPECT_EQ(bench.ask("qXfer:features:read:../target.xml:0,10"), "E02");
  EXPECT_EQ(bench.ask("qXfer:features:read:/etc/passwd:0,10"), "E02");
  EXPECT_EQ(bench.ask("qXfer:features:read:target.xml"), "E16");
  EXPECT_EQ(bench.ask("qXfer:siginfo:read::0,10"), "");
}

TEST_F(Queries, TheDescriptionHasEveryRegisterOfTheTable) {
  const std::string xml(target_description({}));
  for (std::size_t i = 0; i < x86::kRegisterCount; ++i) {
    std::string wanted = "<reg name=\"";
    wanted.append(x86::kRegisters[i].name).append("\"");
    EXPECT_NE(xml.find(wanted), std::string::npos) << wanted;
  }
}

}  // namespace
}  // namespace ringside::debug

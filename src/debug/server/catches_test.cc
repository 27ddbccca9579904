// monitor catch and pending: what is asked of the engine, and what a client hears of a hit.
#include <fmt/format.h>

#include "debug/server/server.h"
#include "debug/testing/fake_catches.h"
#include "debug/testing/fixture.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using hypervisor::Catch;
using hypervisor::CatchKind;
using hypervisor::exit::Caught;
using testing::Bench;
using testing::FakeCatches;
using testing::port_write;

class CatchCommands : public ::testing::Test {
 protected:
  CatchCommands() {
    bench.guest.vm.offer.catches = &engine;
    bench.attach();
    bench.ask("vCont?");
  }
  std::string monitor(std::string_view command) { return bench.monitor(command); }
  // The client runs the guest and takes a packet.
  std::string happen(const Caught& what) {
    bench.guest.vm.happen({0}, what);
    bench.server.drain_events();
    return bench.client.receive();
  }

  FakeCatches engine;
  Bench bench{2};
};

TEST_F(CatchCommands, WhatIsAskedOfTheEngine) {
  constexpr std::uint32_t kAll = ~std::uint32_t{0};
  const std::pair<const char*, Catch> wanted[] = {
      {"catch exception", {CatchKind::Exception, 0, kAll}},
      {"catch exception #PF", {CatchKind::Exception, 14, 14}},
      {"catch exception gp", {CatchKind::Exception, 13, 13}},
      {"catch exception 6", {CatchKind::Exception, 6, 6}},
      {"catch interrupt 0x80", {CatchKind::Interrupt, 0x80, 0x80}},
      {"catch msr EFER w", {CatchKind::Msr, 0xc0000080, 0xc0000080, false, true}},
      {"catch msr r", {CatchKind::Msr, 0, kAll, true, false}},
      {"catch io 0x3f8-0x3ff r", {CatchKind::Port, 0x3f8, 0x3ff, true, false}},
      {"catch cr cr3", {CatchKind::ControlRegister, 3, 3}},
      {"catch cr 3", {CatchKind::ControlRegister, 3, 3}},
      {"catch hlt", {CatchKind::Halt, 0, kAll}},
      {"catch cpl 3 if $rip < 0x1000", {CatchKind::PrivilegeChange, 3, 3}}};
  unsigned number = 0;
  for (const auto& [command, what] : wanted) {
    const std::string start = fmt::format("Catch {}: ", ++number);
    EXPECT_EQ(monitor(command).substr(0, start.size()), start) << command;
    EXPECT_EQ(engine.all.back(), what) << command;
  }
  EXPECT_NE(monitor("catch").find("12: cpl 3 if $rip < 0x1000, 0 hits, 0 true\n"),
            std::string::npos);
  EXPECT_EQ(monitor("catch delete 12"), "Catch 12 is taken out.\n");
  EXPECT_EQ(engine.all.size(), 11u);
  EXPECT_EQ(monitor("catch delete 12"), "catch: there is no catch of this number\n");
  EXPECT_EQ(monitor("catch delete all"), "11 taken out.\n");
  EXPECT_TRUE(engine.all.empty());
  EXPECT_EQ(monitor("catch"), "Nothing is caught.\n");
}

TEST_F(CatchCommands, InNonStopModeTheOthersRunOn) {
  EXPECT_EQ(bench.ask("QNonStop:1"), "OK");
  EXPECT_EQ(monitor("catch io 0x3f8"), "Catch 1: io 0x3f8, 0 hits\n");
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.guest.vm.happen({1}, port_write(0x3f8, 0x41));
  bench.server.drain_events();
  EXPECT_EQ(bench.client.notified(), "Stop:T05thread:02;");
  EXPECT_TRUE(bench.in_guest(0));
  EXPECT_FALSE(bench.in_guest(1));
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_EQ(monitor("catch"), "1: io 0x3f8, 1 hits\n");
  EXPECT_EQ(bench.ask("vCont;c:2"), "OK");
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
  EXPECT_EQ(bench.client.notified(), "(nothing)");
}

TEST_F(CatchCommands, SayWhatIsWrong) {
  EXPECT_EQ(monitor("catch io 0x3f8-0x3f0"),
            "catch: 0x3f8-0x3f0 goes backwards: the lower port comes first\n");
  EXPECT_EQ(monitor("catch io 0x3f8-0x10000"), "catch: 0x3f8-0x10000 is not in 0 to 0xffff\n");
  EXPECT_EQ(monitor("catch exception if $rax != $rbx"),
            "catch: $rbx would be read once, now; what a register is compared with is a number\n");
  const std::string no_part = monitor("catch hlt if $al == 0x41");
  EXPECT_TRUE(
      no_part.starts_with("catch: $al is no register that can be compared; these are: rax "))
      << no_part;
  EXPECT_EQ(monitor("bind 0x1000 comm"),
            "bind: comm wants NAME behind it: bind ADDRESS comm NAME\n");
  EXPECT_EQ(monitor("bind 0x1000 pid"), "bind: pid wants PID behind it: bind ADDRESS pid PID\n");
}

TEST_F(CatchCommands, WhatIsRefused) {
  for (const char* wrong : {"catch excepton",
                            "catch exception #XX",
                            "catch exception 32",
                            "catch interrupt 256",
                            "catch io",
                            "catch io 5-4",
                            "catch io 0x10000",
                            "catch io 1 2",
                            "catch cr 9",
                            "catch hlt 1",
                            "catch cpl 4",
                            "catch msr NOSUCH",
                            "catch hlt if",
                            "catch hlt if $rax",
                            "catch hlt if $rax = 5",
                            "catch hlt if $nosuch == 5",
                            "catch hlt if $xmm0 == 5",
                            "catch hlt if $rax == x",
                            "catch delete",
                            "catch delete x",
                            "catch delete 1 2",
                            "catch exception r"})
    EXPECT_EQ(monitor(wrong).substr(0, 7), "catch: ") << wrong;
  EXPECT_EQ(monitor("catch task-switch"), "catch: this engine does not catch that\n");
  EXPECT_EQ(monitor("catch nonsense"),
            "catch: nothing to catch is called nonsense (see help catch)\n");
  EXPECT_NE(monitor("catch excepton").find("did you mean exception?"), std::string::npos);
  EXPECT_NE(monitor("catch triple-fault").find("is a stop"), std::string::npos);
  EXPECT_TRUE(engine.all.empty());
  for (int i = 0; i < 100; ++i)
    monitor("catch hlt");
  EXPECT_EQ(monitor("catch hlt"), "catch: there are 100 catches already, which is the most\n");
  bench.guest.vm.offer.catches = nullptr;
  EXPECT_EQ(monitor("catch msr"), "catch: this engine does not catch that\n");
  bench.guest.vm.offer.catches = &engine;
}

TEST_F(CatchCommands, AHitIsAStopWithWords) {
  monitor("catch io 0x3f8");
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(port_write(0x3f8, 0x41)),
            "O" + rsp::reply::hex("vCPU 0 wrote 0x41 to port 0x3f8 (1 byte)\n"));
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(monitor("catch"), "1: io 0x3f8, 1 hits\n");
  // What nobody asks for any more is none.
  monitor("catch delete all");
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(port_write(0x3f8, 0x41)), "(nothing)");
  EXPECT_TRUE(bench.in_guest(0));
}

TEST_F(CatchCommands, AConditionComparesARegister) {
  monitor("catch io 0x3f8 w if $rax == 0x42");
  bench.client.send("vCont;c");
  bench.guest.rax(0) = 0x41;
  EXPECT_EQ(happen(port_write(0x3f8, 0x41)), "(nothing)");
  EXPECT_TRUE(bench.in_guest(0));
  bench.guest.rax(0) = 0x42;
  EXPECT_EQ(happen(port_write(0x3f8, 0x42)).substr(0, 1), "O");
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(monitor("catch"), "1: io 0x3f8 w if $rax == 0x42, 2 hits, 1 true\n");
}

TEST_F(CatchCommands, TheyGoWithTheirClient) {
  monitor("catch hlt");
  monitor("catch exception");
  bench.client.disconnect();
  EXPECT_TRUE(engine.all.empty());
  bench.client.connect();
  EXPECT_EQ(monitor("catch"), "Nothing is caught.\n");
  EXPECT_EQ(monitor("catch hlt"), "Catch 1: hlt, 0 hits\n");
}

TEST_F(CatchCommands, EveryKindInWords) {
  const auto heard = [&](Caught what) {
    monitor("catch delete all");
    for (const char* all : {"exception", "interrupt", "msr", "io 0-0xffff", "cr", "hlt", "cpl"})
      monitor(std::string("catch ") + all);
    bench.client.send("vCont;c");
    const std::string packet = happen(what);
    bench.client.receive();
    std::string text;
    for (std::size_t i = 1; i + 1 < packet.size(); i += 2)
      text += static_cast<char>(std::stoi(packet.substr(i, 2), nullptr, 16));
    return text;
  };
  Caught what;
  what.number = 14;
  what.error_code = 2;
  what.value = 0x1000;
  EXPECT_EQ(heard(what),
            "vCPU 0 is about to get exception #PF (14), error code 0x2, for address 0x1000\n");
  what = {};
  what.number = 8;
  what.delivered = true;
  EXPECT_EQ(heard(what), "vCPU 0 has got exception #DF (8), in the midst of another event\n");
  what = {};
  what.kind = CatchKind::Interrupt;
  what.number = 0x20;
  EXPECT_EQ(heard(what), "vCPU 0 is about to get external interrupt 0x20\n");
  what.source = Caught::Source::Nmi;
  EXPECT_EQ(heard(what), "vCPU 0 is about to get an NMI\n");
  what.source = Caught::Source::Instruction;
  EXPECT_EQ(heard(what), "vCPU 0 is about to execute int 0x20\n");
  what = {};
  what.kind = CatchKind::Msr;
  what.number = 0xc0000080;
  what.value = 0x500;
  EXPECT_EQ(heard(what), "vCPU 0 read 0x500 from MSR IA32_EFER (0xc0000080)\n");
  what = {};
  what.kind = CatchKind::ControlRegister;
  what.number = 3;
  what.value = 0x5000;
  EXPECT_EQ(heard(what), "vCPU 0 wrote 0x5000 to cr3\n");
  what.kind = CatchKind::Halt;
  EXPECT_EQ(heard(what), "vCPU 0 executed hlt\n");
  what.kind = CatchKind::PrivilegeChange;
  what.value = 0;
  EXPECT_EQ(heard(what), "vCPU 0 went from privilege level 0 to 3\n");
}

TEST_F(CatchCommands, WhatWaitsForAVcpu) {
  EXPECT_EQ(monitor("pending 0"), "CPU #0:\n  not known\n");
  hypervisor::PendingEvents events;
  bench.guest.vm.vcpu({0}).pending = events;
  EXPECT_EQ(monitor("info pending 0"),
            "CPU #0:\n  exception: none\n  interrupt shadow: none\n  NMI: none\n"
            "  external interrupt: none (rflags.if is clear)\n");
  events.exception = x86::Exception{x86::Vector::GeneralProtection, 8, 0};
  events.shadow = hypervisor::PendingEvents::Shadow::Sti;
  events.nmi_pending = events.nmi_blocked = true;
  events.interrupt_waiting = events.interrupts_enabled = true;
  events.vector = 0x31;
  bench.guest.vm.vcpu({0}).pending = events;
  EXPECT_EQ(monitor("pending 0"),
            "CPU #0:\n  exception: #GP (13), error code 0x8\n"
            "  interrupt shadow: after sti: no interrupt before the next instruction is over\n"
            "  NMI: pending, blocked until iret\n"
            "  external interrupt: 0x31, and rflags.if lets it in\n");
  EXPECT_NE(monitor("pending").find("CPU #1:\n"), std::string::npos);
  EXPECT_EQ(monitor("pending 2"), "pending: there is no such vCPU\n");
}

}  // namespace
}  // namespace ringside::debug

// Breakpoints by memory where paging makes a difference: aliases, address spaces, pages that are
// given away; and the engine's breakpoints that are lent for what an int3 cannot do.
#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
using testing::FakeStoppoints;
using testing::ToyGuest;
namespace opcode = testing::opcode;

// Two-level 32-bit paging with one table; linear pages 0..15 map to where the test says.
class PagedBreakpoints : public ::testing::Test {
 protected:
  PagedBreakpoints() {
    guest.vm.memory().poke<std::uint32_t>(Gpa{0x8000}, 0x9007);
    for (std::uint32_t page = 0; page < 16; ++page)
      map(page << 12, page << 12);
    for (unsigned i = 0; i < 2; ++i) {
      guest.vm.vcpu({i}).cpu.cr3 = 0x8000;
      guest.vm.vcpu({i}).cpu.cr0 |= x86::cr0::PG;
    }
    bench.attach();
  }
  void map(std::uint32_t linear, std::uint32_t physical, std::uint32_t flags = 3) {
    guest.vm.memory().poke<std::uint32_t>(Gpa{0x9000 + (linear >> 12) * 4u}, physical | flags);
  }
  Bench bench{2};
  ToyGuest& guest = bench.guest;
};

TEST_F(PagedBreakpoints, Row37_FoundThroughEveryAlias) {
  map(0x5000, 0x1000);
  EXPECT_EQ(bench.ask("Z0,1010,1"), "OK");
  EXPECT_EQ(bench.ask("m5010,1"), "00");
  EXPECT_EQ(guest.byte(0x1010), opcode::kInt3);
  // Two wishes, one installation.
  EXPECT_EQ(bench.ask("Z0,5010,1"), "OK");
  EXPECT_EQ(bench.ask("z0,1010,1"), "OK");
  EXPECT_EQ(guest.byte(0x1010), opcode::kInt3);
  EXPECT_EQ(bench.ask("z0,5010,1"), "OK");
  EXPECT_EQ(guest.byte(0x1010), 0);
}

TEST_F(PagedBreakpoints, Defect13_RemovalFindsWhatWasInstalledWhereverTheAddressLeadsNow) {
  EXPECT_EQ(bench.ask("Z0,1010,1"), "OK");
  map(0x1000, 0x6000);
  EXPECT_EQ(bench.ask("z0,1010,1"), "OK");
  EXPECT_EQ(guest.byte(0x1010), 0);
  EXPECT_EQ(guest.byte(0x6010), 0);
  map(0x1000, 0x1000);
  EXPECT_EQ(bench.ask("Z0,1010,1"), "OK");
  map(0x1000, 0, 0);
  EXPECT_EQ(bench.ask("z0,1010,1"), "OK");
  EXPECT_EQ(guest.byte(0x1010), 0);
}

// At a resume, which is when an engine without breakpoints by linear address is looked after.
TEST_F(PagedBreakpoints, AnInt3FollowsItsAddress) {
  EXPECT_EQ(bench.ask("Z0,1010,1"), "OK");
  map(0x1000, 0x6000);
  bench.ask("c");
  EXPECT_EQ(guest.byte(0x6010), opcode::kInt3);
  EXPECT_EQ(guest.byte(0x1010), opcode::kInt3) << "an alias may yet lead to the same instruction";
  bench.client.interrupt();
  bench.client.receive();
  EXPECT_EQ(bench.ask("m1010,1"), "00");
  EXPECT_EQ(bench.ask("z0,1010,1"), "OK");
  EXPECT_EQ(guest.byte(0x1010), 0);
  EXPECT_EQ(guest.byte(0x6010), 0);
}

TEST_F(PagedBreakpoints, AnInt3IsPutIntoEachAddressSpace) {
  guest.vm.memory().poke<std::uint32_t>(Gpa{0xa000}, 0xb007);
  guest.vm.memory().poke<std::uint32_t>(Gpa{0xb000 + 4}, 0x7003);
  guest.vm.vcpu({1}).cpu.cr3 = 0xa000;
  EXPECT_EQ(bench.ask("Z0,1010,1"), "OK");
  bench.ask("c");
  EXPECT_EQ(guest.byte(0x1010), opcode::kInt3);
  EXPECT_EQ(guest.byte(0x7010), opcode::kInt3);
  bench.client.disconnect();
  EXPECT_EQ(guest.byte(0x1010), 0);
  EXPECT_EQ(guest.byte(0x7010), 0);
}

// The address leads nowhere and the page has new contents, with an int3 of its own just there.
TEST_F(PagedBreakpoints, APageThatWasGivenAwayIsTheGuests) {
  map(0x5000, 0x1000);
  EXPECT_EQ(bench.ask("Z0,5010,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,2000,1"), "OK");
  map(0x5000, 0, 0);
  guest.write(0x1010, {opcode::kInt3, opcode::kIncRax});
  EXPECT_EQ(bench.ask("m1010,2"), "cc40");
  guest.vm.vcpu({0}).cpu.rip = 0x1010;
  guest.vm.vcpu({1}).cpu.rip = 0x3000;
  guest.write(0x3000, {opcode::kJump, 0xfe});
  bench.client.send("c");
  bench.run(2);
  EXPECT_EQ(guest.frames, std::vector<std::uint64_t>{0x1011}) << "the guest has its own int3";
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "S05");
  EXPECT_EQ(bench.ask("z0,5010,1"), "OK");
  EXPECT_EQ(guest.byte(0x1010), opcode::kInt3);
}

TEST_F(PagedBreakpoints, APageThatWasGivenAwayNeedsNoCapability) {
  EXPECT_EQ(bench.ask("Z0,1010,1"), "OK");
  map(0x1000, 0, 0);
  guest.write(0x1010, {opcode::kNop, opcode::kIncRax});
  bench.ask("c");
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
  bench.client.interrupt();
  bench.client.receive();
  map(0x1000, 0x6000);
  bench.ask("c");
  EXPECT_TRUE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
  EXPECT_EQ(guest.byte(0x6010), opcode::kInt3);
  bench.client.disconnect();
  EXPECT_EQ(guest.byte(0x6010), 0);
  EXPECT_EQ(guest.byte(0x1010), opcode::kNop);
}

// Unless it is the client that has changed what stands there.
TEST_F(PagedBreakpoints, WhatTheClientWritesIsTheInstruction) {
  map(0x5000, 0x1000);
  EXPECT_EQ(bench.ask("Z0,5010,1"), "OK");
  EXPECT_EQ(bench.ask("M5010,2:4090"), "OK");
  map(0x5000, 0, 0);
  guest.vm.vcpu({0}).cpu.rip = 0x1010;
  guest.vm.vcpu({1}).cpu.rip = 0x3000;
  guest.write(0x3000, {opcode::kJump, 0xfe});
  bench.client.send("c");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rip(0), 0x1010u);
}

// An engine that lends some of its breakpoints by linear address to software breakpoints.
class LentBreakpoints : protected testing::HasStoppoints, public PagedBreakpoints {
 protected:
  LentBreakpoints() {
    engine.to_lend = 2;
    engine.give_to(guest.vm);
    bench.ask("vCont?");
    guest.write(0x3000, {opcode::kJump, 0xfe});
    guest.vm.vcpu({1}).cpu.rip = 0x3000;
  }
  std::string go_on() {
    bench.client.send("vCont;c");
    bench.run(3);
    std::string reply;
    do {
      reply = bench.client.receive();
    } while (reply[0] == 'O');
    return reply;
  }
  void interrupt() {
    bench.client.interrupt();
    bench.client.receive();
  }
};

TEST_F(LentBreakpoints, GoWhereAnInt3CannotDoIt) {
  map(0x4000, 0, 0);
  for (const char* where : {"Z0,1000,1", "Z0,2000,1", "Z0,4000,1"})
    EXPECT_EQ(bench.ask(where), "OK");
  map(0x2000, 0x2000, 7);  // the user's, which other programs may have elsewhere
  EXPECT_EQ(go_on().substr(0, 3), "T05");
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{0x2000, 0x4000}));
  map(0x4000, 0x4000);
  map(0x1000, 0, 0);
  guest.vm.vcpu({0}).cpu.rip = 0x3000;
  bench.client.send("vCont;c");
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{0x1000, 0x2000}));
  EXPECT_EQ(guest.byte(0x4000), opcode::kInt3);
  interrupt();
  bench.client.disconnect();
  EXPECT_TRUE(engine.linear.empty());
  EXPECT_EQ(guest.byte(0x4000), 0);
}

// Before its instruction, which is the int3: one arrival, one report.
TEST_F(LentBreakpoints, AHitByAddressAndTheInt3UnderItAreOne) {
  guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfe});
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("vCont;c");
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{0x1000}));
  guest.vm.happen({0}, hypervisor::exit::HardwareBreakpoint{Gva{0x1000}});
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(go_on(), "(nothing)");
  EXPECT_EQ(guest.rax(0), 1u);
  EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
}

// Where a condition is false the way past an int3 is much shorter.
TEST_F(LentBreakpoints, GoToConditionsOnlyWhereThereIsNoOtherWay) {
  map(0x4000, 0, 0);
  EXPECT_EQ(bench.ask("Z0,1000,1;X3,220027"), "OK");
  EXPECT_EQ(bench.ask("Z0,4000,1;X3,220027"), "OK");
  bench.client.send("vCont;c");
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{0x4000}));
  interrupt();
}

// On the vCPU's thread, where it does not count.
TEST_F(LentBreakpoints, AnEngineThatAsksPassesBoth) {
  engine.filters = true;
  engine.give_to(guest.vm);
  guest.write(0x1000, {opcode::kIncRax});
  EXPECT_EQ(bench.ask("Z0,1000,1;X3,220027"), "OK");
  bench.client.send("vCont;c");
  ASSERT_NE(engine.filter, nullptr);
  EXPECT_FALSE(engine.filter->wants_stop({0}, hypervisor::exit::HardwareBreakpoint{Gva{0x1000}}));
  engine.filter->uncover({0});
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
  engine.filter->cover({0});
  EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
  interrupt();
}

}  // namespace
}  // namespace ringside::debug

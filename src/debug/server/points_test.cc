// Breakpoints and watchpoints beyond what packets say: physical memory, address spaces, commands
// that outlive their client, the reasons in words.
#include "debug/server/server.h"

#include <fmt/format.h>

#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using testing::FakeStoppoints;
namespace exit = hypervisor::exit;

// printf("hit\n"), then nothing: function, channel and no arguments.
const std::string kPrint = "220022003400" + std::string("0005") + "6869740a0027";

class Points : public ::testing::Test {
 protected:
  Points() {
    engine.physical_supported = engine.filters = true;
    engine.give_to(bench.guest.vm);
    bench.attach();
    bench.ask("vCont?");
  }
  std::string monitor(std::string_view command) { return bench.monitor(command); }
  ServerOptions options() {
    ServerOptions options;
    options.guest.task_test = [this](std::string_view kind,
                                     std::string_view value) -> Result<GuestKnowledge::TaskTest> {
      if (value == "x") return fail(ErrorCode::NotFound, "no such task");
      return GuestKnowledge::TaskTest([this, task = std::string(kind) + " " + std::string(value)](
                                          VcpuId) { return running == task; });
    };
    options.console = [this](std::string_view text) { console += text; };
    return options;
  }
  // The client runs the guest and takes a packet.
  std::string happen(const hypervisor::Exit& exit) {
    if (engine.filter != nullptr) (void)engine.filter->wants_stop({0}, exit);
    bench.guest.vm.happen({0}, exit);
    bench.server.drain_events();
    return bench.client.receive();
  }
  static std::string command(std::string_view persist) {
    std::string length;
    for (std::size_t n = kPrint.size() / 2; n != 0; n /= 16)
      length.insert(length.begin(), "0123456789abcdef"[n % 16]);
    return "Z0,1000,1;cmds:" + std::string(persist) + ",X" + length + "," + kPrint;
  }

  FakeStoppoints engine;
  std::string console;
  std::string running;  // the task of the guest, as who knows its system would say
  Bench bench{2, options()};
};

// A condition of so many bytes, which nothing evaluates.
std::string condition(std::size_t bytes) {
  std::string code;
  for (std::size_t i = 0; i < bytes; ++i)
    code += "27";
  return fmt::format("X{:x},{}", bytes, code);
}

TEST_F(Points, ConditionsAreBoundedInAll) {
  bench.ask("qSupported:error-message+");
  const std::string large = condition(7000);
  const char* const full =
      "E.conditions and commands have at most 4 MiB in all, and these would make it more";
  const auto insert = [&](char type, unsigned number) {
    return bench.ask(fmt::format("Z{},{:x},1;{}", type, 0x1000 + number, large));
  };
  unsigned count = 0;
  std::string answer = "OK";
  while (count < 1000 && (answer = insert('0', count)) == "OK")
    ++count;
  EXPECT_EQ(answer, full);
  EXPECT_GT(count, 580u);
  EXPECT_LT(count, 600u);
  // One that is there may have another instead, and what goes makes room.
  EXPECT_EQ(insert('0', 0), "OK");
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  EXPECT_EQ(insert('0', count), "OK");
  EXPECT_EQ(insert('0', count + 1), full);
  EXPECT_EQ(bench.ask("z0,1001,1"), "OK");
  EXPECT_EQ(insert('0', count + 1), "OK");
  // Hardware breakpoints have as much for themselves.
  count = 0;
  while (count < 1000 && (answer = insert('1', count)) == "OK")
    ++count;
  EXPECT_EQ(answer, full);
  EXPECT_EQ(bench.ask("z1,1000,1"), "OK");
  EXPECT_EQ(insert('1', count), "OK");
}

TEST_F(Points, BreakpointsAreBoundedInNumber) {
  bench.ask("qSupported:error-message+");
  for (unsigned i = 0; i < 20'000; ++i)
    ASSERT_EQ(bench.ask(fmt::format("Z0,{:x},1", 0x100000 + i)), "OK") << i;
  EXPECT_EQ(bench.ask("Z0,1000,1"), "E.there are 20000 breakpoints already, which is the most");
  EXPECT_EQ(bench.ask("z0,100000,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
}

TEST_F(Points, PhysicalWatchpointsAreStopsWithWords) {
  EXPECT_NE(monitor("watch-phys 0x2000 4 a").find("Watching 4 bytes"), std::string::npos);
  EXPECT_EQ(engine.calls.back(), "+p8192/4");
  bench.client.send("vCont;c");
  const std::string words =
      happen(exit::PhysicalWatchpoint{Gpa{0x2000}, hypervisor::WatchKind::Access, true});
  EXPECT_EQ(words, "O" + rsp::reply::hex("a device used the watched physical memory at 0x2000\n"));
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  bench.client.disconnect();
  EXPECT_EQ(engine.calls.back(), "-p8192/4");
}

TEST_F(Points, AHitThatWasTakenOutIsNone) {
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::PhysicalWatchpoint{Gpa{0x2000}, hypervisor::WatchKind::Write, false}),
            "(nothing)");
  EXPECT_TRUE(bench.in_guest(0));
}

TEST_F(Points, AGuestsPanicInWords) {
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::GuestPanic{"it said so"}), "O" + rsp::reply::hex("vCPU 0: it said so\n"));
  EXPECT_EQ(bench.client.receive(), "T06thread:01;");
}

TEST_F(Points, BoundToAnotherAddressSpaceItDoesNotCount) {
  bench.guest.vm.vcpu({0}).cpu.cr3 = 0x7005;  // with low bits that are no part of the table
  monitor("bind 0x1000 0x5000");
  bench.ask("Z1,1000,1");
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x1000}}), "(nothing)");
  bench.client.interrupt();
  bench.client.receive();
  monitor("bind 0x1000 0x7000");
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x1000}}).substr(0, 3), "T05");
  EXPECT_NE(monitor("bind").find("counts where cr3 is 0x7000"), std::string::npos);
  bench.client.disconnect();
  bench.client.connect();
  EXPECT_EQ(monitor("bind"), "Nothing is bound.\n");
}

// Which task a vCPU runs is for who knows the guest's system to say.
TEST_F(Points, BoundToATaskItDoesNotCountInOthers) {
  bench.ask("Z1,1000,1");
  bench.ask("Z1,2000,1");
  EXPECT_EQ(monitor("bind 0x1000 pid 7"), "0x1000 counts in pid 7.\n");
  EXPECT_EQ(monitor("bind 0x2000 comm a b"), "0x2000 counts in comm a b.\n");
  EXPECT_EQ(monitor("bind 0x3000 pid x"), "bind: no such task\n");
  running = "pid 8";
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x1000}}), "(nothing)");
  running = "pid 7";
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x1000}}).substr(0, 3), "T05");
  EXPECT_NE(monitor("breakpoints").find("breakpoint, 1 hits"), std::string::npos);
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x2000}}), "(nothing)");
  running = "comm a b";
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x2000}}).substr(0, 3), "T05");
  EXPECT_EQ(monitor("bind"),
            "0x0000000000001000 counts in pid 7\n0x0000000000002000 counts in comm a b\n");
  EXPECT_EQ(monitor("bind 0x1000 0x5000"), "0x1000 counts where cr3 is 0x5000.\n");
  monitor("bind 0x2000 off");
  EXPECT_EQ(monitor("bind"), "0x0000000000001000 counts where cr3 is 0x5000\n");
  bench.client.disconnect();
  bench.client.connect();
  EXPECT_EQ(monitor("bind"), "Nothing is bound.\n");
}

TEST(PointsOfAnUnknownGuest, AreBoundToNoTask) {
  Bench bench;
  bench.attach();
  EXPECT_EQ(bench.ask("qRcmd," + rsp::reply::hex("bind 0x1000 pid 7")),
            rsp::reply::hex("bind: nothing is known of the tasks of this guest\n"));
}

TEST_F(Points, BindingMovesABreakpointThatIsThere) {
  // Linear page 1 is physical page 1 in one space, and page 5 in the other.
  auto& memory = bench.guest.vm.memory();
  for (const auto& [table, next, frame] :
       {std::tuple{0x8000u, 0x9000u, 0x1000u}, {0xa000u, 0xb000u, 0x5000u}}) {
    memory.poke<std::uint32_t>(Gpa{table}, next | 3);
    memory.poke<std::uint32_t>(Gpa{next + 4}, frame | 3);
  }
  bench.guest.vm.vcpu({0}).cpu.cr3 = 0x8000;
  bench.guest.vm.vcpu({0}).cpu.cr0 |= x86::cr0::PG;
  EXPECT_EQ(bench.ask("Z0,1234,1"), "OK");
  EXPECT_EQ(engine.physical, std::set<std::uint64_t>{0x1234});
  EXPECT_EQ(monitor("bind 0x1234 0xa000"), "0x1234 counts where cr3 is 0xa000.\n");
  EXPECT_EQ(engine.physical, std::set<std::uint64_t>{0x5234});
  monitor("bind 0x1234 off");
  EXPECT_EQ(engine.physical, std::set<std::uint64_t>{0x1234});
  // Where nothing is mapped it waits.
  monitor("bind 0x1234 0x3000");
  EXPECT_TRUE(engine.physical.empty());
  EXPECT_EQ(bench.ask("z0,1234,1"), "OK");
  monitor("bind 0x1234 off");
  EXPECT_TRUE(engine.physical.empty());
}

// An engine with breakpoints of both kinds: by address wherever that leads, and by the byte.
TEST_F(Points, ABreakpointIsAnAddressAndTheByteItLeadsTo) {
  auto& memory = bench.guest.vm.memory();
  memory.poke<std::uint32_t>(Gpa{0x8000}, 0x9003);
  const auto map = [&](std::uint32_t linear, std::uint32_t entry) {
    memory.poke<std::uint32_t>(Gpa{0x9000 + (linear >> 12) * 4u}, entry);
  };
  map(0x1000, 0x1003);
  map(0x5000, 0x1003);
  for (const std::uint32_t i : {0u, 1u}) {
    bench.guest.vm.vcpu({i}).cpu.cr3 = 0x8000;
    bench.guest.vm.vcpu({i}).cpu.cr0 |= x86::cr0::PG;
  }
  EXPECT_EQ(bench.ask("Z0,1234,1"), "OK");
  EXPECT_EQ(engine.physical, std::set<std::uint64_t>{0x1234});
  EXPECT_EQ(engine.linear, std::set<std::uint64_t>{0x1234});
  const auto stops_at = [&](std::uint64_t address) {
    return engine.filter->wants_stop({0}, exit::HardwareBreakpoint{Gva{address}});
  };
  EXPECT_TRUE(stops_at(0x1234));
  EXPECT_TRUE(stops_at(0x5234)) << "an alias";
  map(0x1000, 0);
  EXPECT_TRUE(stops_at(0x1234)) << "before the fetch faults";
  EXPECT_TRUE(stops_at(0x5234)) << "the same instruction still";
  memory.poke<std::uint8_t>(Gpa{0x1234 + 14}, 0x90);
  EXPECT_FALSE(stops_at(0x5234)) << "given to somebody else";
  EXPECT_NE(monitor("breakpoints").find("given away"), std::string::npos);
  map(0x1000, 0x1003);
  EXPECT_TRUE(stops_at(0x5234)) << "the address leads there again";
  bench.guest.vm.vcpu({0}).cpu.cr3 = 0xa000;  // where nothing is mapped
  memory.poke<std::uint32_t>(Gpa{0xa000}, 0xb003);
  memory.poke<std::uint32_t>(Gpa{0xb000 + 20}, 0x1003);
  EXPECT_TRUE(stops_at(0x5234)) << "by the table of then it leads there";
  // Hits are told by the address, so that putting it back elsewhere loses none.
  bench.client.send("vCont;c");
  EXPECT_EQ(happen(exit::HardwareBreakpoint{Gva{0x1234}}).substr(0, 3), "T05");
  EXPECT_EQ(bench.ask("z0,1234,1"), "OK");
  EXPECT_TRUE(engine.physical.empty());
  EXPECT_TRUE(engine.linear.empty());
}

// Two vCPUs arrive at one address, each in a space with a page of its own there. GDB takes the
// breakpoint out and puts it back before the second is told.
TEST_F(Points, AHitInAnotherSpaceOutlivesReinsertion) {
  auto& memory = bench.guest.vm.memory();
  for (const std::uint32_t i : {0u, 1u}) {
    const std::uint32_t table = 0x8000 + 0x2000 * i, next = table + 0x1000;
    memory.poke<std::uint32_t>(Gpa{table}, next | 3);
    memory.poke<std::uint32_t>(Gpa{next + 4}, (i == 0 ? 0x1000u : 0x5000u) | 3);
    bench.guest.vm.vcpu({i}).cpu.cr3 = table;
    bench.guest.vm.vcpu({i}).cpu.cr0 |= x86::cr0::PG;
  }
  EXPECT_EQ(bench.ask("Z0,1234,1"), "OK");
  bench.client.send("vCont;c");
  for (const std::uint32_t i : {0u, 1u}) {
    EXPECT_TRUE(engine.filter->wants_stop({i}, exit::HardwareBreakpoint{Gva{0x1234}}));
    bench.guest.vm.happen({i}, exit::HardwareBreakpoint{Gva{0x1234}});
  }
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.ask("z0,1234,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1234,1"), "OK");
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
}

TEST_F(Points, CommandsThatPersistGoOnWithoutAClient) {
  ASSERT_EQ(bench.ask(command("1")), "OK");
  bench.client.disconnect();
  EXPECT_TRUE(engine.physical.contains(0x1000));
  ASSERT_NE(engine.filter, nullptr);
  EXPECT_FALSE(engine.filter->wants_stop({1}, exit::HardwareBreakpoint{Gva{0x1000}}));
  bench.server.drain_events();
  EXPECT_EQ(console, "hit\n");
  EXPECT_TRUE(bench.in_guest(1));
  // The next client finds it, and takes it out.
  bench.client.connect();
  EXPECT_NE(monitor("breakpoints").find("persistent"), std::string::npos);
  EXPECT_EQ(monitor("forget"), "1 breakpoints taken out.\n");
  bench.client.disconnect();
  EXPECT_TRUE(engine.physical.empty());
  EXPECT_EQ(engine.filter, nullptr);
}

TEST_F(Points, OthersEndWithTheirClient) {
  ASSERT_EQ(bench.ask(command("0")), "OK");
  // Without commands there is nothing that could go on, whatever the flag says.
  bench.client.disconnect();
  EXPECT_TRUE(engine.physical.empty());
  EXPECT_EQ(engine.filter, nullptr);
}

}  // namespace
}  // namespace ringside::debug

// The fifteen defects of the model that must not be repeated (docs/model.md has the list).
#include <sys/socket.h>

#include <fstream>
#include <random>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Defect01_ASecondConnectionDoesNotStopTheGuest) {
  GuestProcess guest("counters");
  DebugClient first = guest.attach();
  first.insert(guest["tick"]);
  first.resume();
  first.await_stop();
  first.remove(guest["tick"]);
  first.resume();
  DebugClient second = guest.attach();
  EXPECT_TRUE(first.silent_for(kQuiet));
  const std::uint64_t before = (first.stop(), first.read_u64(guest["counters"]));
  EXPECT_GT(before, 1u);
}

TEST_F(Protocol, Defect02_TheFirstStepOfAHeldGuestIsAStep) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.step();
  EXPECT_EQ(client.rip(), guest.image().entry() + 1);  // the first instruction is cli
}

TEST_F(Protocol, Defect03_ContinueAtOnceDoesNotEatTheNextStop) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  for (int i = 0; i < 20; ++i) {
    DebugClient client = guest.connect();
    client.resume();
    client.stop();
    client.detach();
  }
}

TEST_F(Protocol, Defect04_DisconnectingInAStepLeavesNoTrace) {
  GuestProcess guest("interrupts", {.start = Start::Running});
  guest.await_said("r");
  std::uint64_t ticks = 0;
  for (int i = 0; i < 20; ++i) {
    DebugClient client = guest.attach();
    client.set_acks(Acks::Manual);
    client.send("s");
    if (i % 2 == 0) {
      client.close();
    } else {
      client.reset();
    }
    ticks = await_change(guest, guest["ticks"], ticks);  // interrupts come as before
  }
}

TEST_F(Protocol, Defect05_DisconnectingWhileBreakpointsAreHitInjectsNothing) {
  GuestProcess guest("counters", {.cpus = 4, .start = Start::Running});
  guest.await_said_numbers(4);
  std::mt19937 random(333140);
  for (int i = 0; i < 50; ++i) {
    DebugClient client = guest.attach();
    client.insert(guest["tick"]);
    client.set_acks(Acks::Manual);
    for (unsigned n = random() % 4; n > 0; --n) {
      client.send("c");
      if (random() % 2 == 0) client.receive();
    }
    client.reset();
  }
  ASSERT_TRUE(guest.running());  // a #BP would have been the end of it
  DebugClient client = guest.attach();
  std::uint64_t before[4];
  for (unsigned v = 0; v < 4; ++v)
    before[v] = client.read_u64(guest["counters"] + 8 * v);
  client.detach();
  for (unsigned v = 0; v < 4; ++v)
    await_change(guest, guest["counters"] + 8 * v, before[v]);
}

TEST_F(Protocol, Defect06_SteppingOntoAndOverAnInsertedBreakpoint) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.run_to(guest["entry_of_loop"]);
  client.insert(guest["tick"]);
  client.step();
  EXPECT_EQ(client.rip(), guest["tick"]);
  client.step();
  EXPECT_EQ(client.rip(), guest["tick_end"]);
  EXPECT_EQ(client.read_u64(guest["counters"]), 1u);
  client.resume();
  client.await_stop();
  EXPECT_EQ(client.rip(), guest["tick"]);
}

TEST_F(Protocol, Defect07_SteppingTheGuestsOwnInt3) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("int3");
  DebugClient client = guest.attach();
  client.insert(guest["ap_main"]);  // so that int3 is intercepted
  for (const char* label : {"plain", "prefixed"}) {
    client.run_to(guest[label]);
    client.step();
    EXPECT_EQ(client.rip(), guest["handler"]) << label;
    const std::uint64_t length = std::string(label) == "plain" ? 1 : 2;
    EXPECT_EQ(client.read_u64(client.registers()[kRsp]), guest[label] + length);
  }
  client.run_to(guest["again"]);
  EXPECT_EQ(client.read_u64(guest["rounds"]), 1u);
}

TEST_F(Protocol, Defect08_QueriesWhileRunningDoNotDisturbTheStop) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.set_acks(Acks::Manual);
  client.send("c");
  guest.await_said("0");
  // Whether these are answered is the server's affair; the one stop reply must come.
  for (const char* query : {"qC", "g", "m100000,4", "qfThreadInfo", "T01"})
    client.send(query);
  client.interrupt();
  client.send("qThreadExtraInfo,01");
  int stops = 0;
  for (bool end = false; !end || stops == 0;) {
    const std::string reply = client.receive();
    client.send_bytes("+");
    stops += reply == "S05" ? 1 : 0;
    end = end || reply == hex("vCPU 0");
  }
  EXPECT_EQ(stops, 1);
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.set_acks(Acks::Automatic);
  EXPECT_EQ(client.request("qC"), "QC01");
  // And the next one too.
  client.insert(guest["tick"]);
  client.resume();
  EXPECT_EQ(client.await_stop().vcpu, 0u);
}

TEST_F(Protocol, Defect08_AskingForTheReasonWhileRunningDoesNotEatTheStop) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.resume();
  guest.await_said("0");
  client.set_acks(Acks::Manual);
  client.send("?");
  const bool answered = !client.silent_for(std::chrono::milliseconds(1000));
  if (answered) client.receive();
  client.send_bytes("+");
  client.interrupt();
  EXPECT_EQ(client.receive(), "S05");
  client.send_bytes("+");
  EXPECT_TRUE(client.silent_for(kQuiet));
}

TEST_F(Protocol, Defect09_AClientThatDoesNotReadBlocksNobody) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  for (int round = 0; round < 3; ++round) {
    DebugClient client = guest.attach();
    std::string requests;
    for (int i = 0; i < 4000; ++i)
      requests += RawClient::frame("m100000,800");
    // More than the socket's buffers hold, in either direction; what does not fit now never goes.
    ::send(client.descriptor(), requests.data(), requests.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (round == 1) client.send_bytes("");
    client.reset();
    const std::uint64_t now = await_change(guest, guest["counters"], 0);
    EXPECT_GT(await_change(guest, guest["counters"], now), now);
  }
}

TEST_F(Protocol, Defect10_HugeNumbers) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  for (const char* id : {"80", "ff", "100", "7fffffff", "80000000", "ffffffff", "100000001",
                         "8000000000000001", "10000000000000001"}) {
    EXPECT_EQ(client.request(std::string("Hg") + id), "E16") << id;
    EXPECT_EQ(client.request(std::string("T") + id), "E16") << id;
    EXPECT_EQ(client.request(std::string("qThreadExtraInfo,") + id), "E16") << id;
  }
  // A read of everything gives what fits into a packet, or an error; never more.
  for (const char* size :
       {"10000", "1000000", "ffffffff", "7fffffffffffffff", "ffffffffffffffff"}) {
    const std::string reply = client.request(std::string("m100000,") + size);
    EXPECT_LE(reply.size(), 1u << 20) << size;
  }
  EXPECT_EQ(client.request("mffffffffffffffff,ffffffffffffffff").substr(0, 1), "E");
  EXPECT_EQ(client.request("m10000000000000000,1"), "E16");
  EXPECT_EQ(client.request("qC"), "QC01");
}

std::size_t resident_kib(pid_t pid) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  return 0;
}

TEST_F(Protocol, Defect10_APacketWithoutEndDoesNotFillMemory) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  const std::size_t before = resident_kib(guest.process().pid());
  {
    DebugClient client = guest.attach();
    const std::string megabyte(1 << 20, 'x');
    try {
      client.send_bytes("$");
      for (int i = 0; i < 64; ++i)
        client.send_bytes(megabyte);
    } catch (const std::exception&) {
      // The server may hang up on it.
    }
    EXPECT_LT(resident_kib(guest.process().pid()), before + 16 * 1024);
  }
  // What the first client sent last may still be on its way; until then it counts as there.
  for (const Deadline deadline; !deadline.passed();) {
    DebugClient next = guest.connect();
    try {
      EXPECT_EQ(next.request("qC"), "QC01");
      return;
    } catch (const std::exception&) {
      // Turned away.
    }
  }
  FAIL() << "no other client is let in";
}

TEST_F(Protocol, Defect11_AHeldGuestIsHeldHoweverSoonTheDebuggerComes) {
  for (int i = 0; i < 10; ++i) {
    GuestProcess guest("counters", {.cpus = 2});
    DebugClient client = guest.connect();
    EXPECT_EQ(client.rip(), guest.image().entry());
    EXPECT_EQ(client.read_u64(guest["counters"]), 0u);
  }
}

TEST_F(Protocol, Defect12_OurBytesAreNeverSeenAndWritesOverThemAreKept) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::uint64_t tick = guest["tick"];
  const std::string code = client.read(tick - 4, 16);
  client.insert(tick);
  client.insert(guest["tick_end"]);
  EXPECT_EQ(client.read(tick - 4, 16), code);
  EXPECT_EQ(client.read(tick, 1), code.substr(4, 1));
  // incq counters(,%rdi,8) becomes decq: the second byte of ModRM, then all of it.
  const std::string changed = "\x48\xff\x0c";
  client.write(tick, changed);
  EXPECT_EQ(client.read(tick, 3), changed);
  client.resume();
  client.await_stop();
  EXPECT_EQ(client.rip(), tick);  // still there
  client.remove(tick);
  EXPECT_EQ(client.read(tick, 3), changed);
  client.resume();
  client.await_stop();
  EXPECT_EQ(client.rip(), guest["tick_end"]);
  EXPECT_EQ(client.read_u64(guest["counters"]), ~std::uint64_t{0});
}

TEST_F(Protocol, Defect12_TheGuestsOwnPatchingWorksUnderABreakpoint) {
  GuestProcess guest("selfmod");
  DebugClient client = guest.attach();
  client.insert(guest["after_patched"]);
  client.insert(guest["patched"]);
  client.resume();
  client.await_stop();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.rip(), guest["patched"]);
    client.resume_past(guest["patched"]);
    EXPECT_EQ(client.rip(), guest["after_patched"]);
    client.resume_past(guest["after_patched"]);
  }
  EXPECT_EQ(client.read_u64(guest["rounds"]), 20u);
  EXPECT_EQ(client.read_u64(guest["wrong"]), 0u);
}

TEST_F(Protocol, Defect13_ABreakpointGoesAwayThoughItsMappingHasChanged) {
  GuestProcess guest("aliases", {.start = Start::Running});
  guest.await_said("0");
  DebugClient client = guest.attach();
  client.run_to(guest["through_first"]);
  client.insert(guest["alias"]);
  const std::uint64_t entry = guest["window_pt"] + 5 * 8;
  const std::string mapping = client.read(entry, 8);
  client.write(entry, std::string(8, '\0'));
  client.remove(guest["alias"]);
  client.write(entry, mapping);
  const std::uint64_t before = client.read_u64(guest["calls"]);
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.stop();
  EXPECT_GT(client.read_u64(guest["calls"]), before);
}

TEST_F(Protocol, Defect14_SteppingAVcpuThatHasAnUnreportedBreakpoint) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  DebugClient client = guest.attach();
  for (int i = 0; i < 50; ++i) {
    client.insert(guest["tick"]);
    client.resume();
    const unsigned first = client.await_stop().vcpu.value();
    const unsigned other = 1 - first;
    client.select(other);
    EXPECT_EQ(client.request("Hc" + hex_number(other + 1)), "OK");
    EXPECT_EQ(client.step().vcpu, other);  // its step, or its breakpoint
    client.remove(guest["tick"]);
    client.resume();
    EXPECT_TRUE(client.silent_for(std::chrono::milliseconds(2)));
    EXPECT_FALSE(client.stop().vcpu);
  }
}

TEST_F(Protocol, Defect15_OddSizesOfDeviceMemory) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::uint64_t lapic = 0xfee00000;
  const std::string version = client.read(lapic + 0x30, 4);
  for (unsigned size = 1; size <= 8; ++size) {
    const std::string bytes = client.read(lapic + 0x30, size);
    EXPECT_EQ(bytes.size(), size);
    EXPECT_EQ(bytes.substr(0, 3), version.substr(0, size < 3 ? size : 3)) << size;
  }
  for (unsigned offset = 0; offset < 4; ++offset) {
    for (unsigned size = 1; size <= 7; ++size) {
      EXPECT_EQ(client.read(lapic + 0x30 + offset, size).size(), size);
      client.write(lapic + 0x30 + offset, std::string(size, '\x7f'));  // a read-only register
    }
  }
  EXPECT_EQ(client.read(lapic + 0x30, 4), version);
  EXPECT_EQ(client.request("qC"), "QC01");
}

}  // namespace
}  // namespace ringside::testing

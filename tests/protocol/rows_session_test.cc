// Rows 1 to 13: listening, attaching, detaching, stopping and continuing.
#include <fstream>
#include <sstream>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Row01_DebugsAGuestThatHasNoStub) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  DebugClient client = guest.attach();
  EXPECT_EQ(client.request("g").size(), 328u);
  EXPECT_EQ(client.read(guest["tick"], 2), "\x48\xff");
}

// The local addresses, as in /proc/net, of sockets that listen on this port.
std::vector<std::string> listeners(const char* table, std::uint16_t port) {
  std::ifstream stream(table);
  std::vector<std::string> result;
  std::string line;
  std::getline(stream, line);
  while (std::getline(stream, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state;
    fields >> slot >> local >> remote >> state;
    const std::size_t colon = local.rfind(':');
    if (state == "0A" && std::stoul(local.substr(colon + 1), nullptr, 16) == port)
      result.push_back(local.substr(0, colon));
  }
  return result;
}

TEST_F(Protocol, Row02_ListensOnTheLoopbackAddressOnly) {
  GuestProcess guest("counters");
  EXPECT_EQ(listeners("/proc/net/tcp", guest.port()), std::vector<std::string>{"0100007F"});
  EXPECT_TRUE(listeners("/proc/net/tcp6", guest.port()).empty());
}

TEST_F(Protocol, Row03_WaitPrefixHoldsTheFirstInstruction) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  EXPECT_EQ(client.rip(), guest.image().entry());
  EXPECT_TRUE(client.silent_for(kQuiet));
  EXPECT_EQ(client.rip(), guest.image().entry());
  EXPECT_EQ(client.read_u64(guest["counters"]), 0u);
  EXPECT_EQ(guest.process().text(ChildProcess::Stream::Output), "");
  client.resume();
  guest.await_said("0");
}

TEST_F(Protocol, Row04_WithoutThePrefixTheGuestRunsAtOnce) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  const std::uint64_t first = await_change(guest, guest["counters"], 0);
  EXPECT_GT(await_change(guest, guest["counters"], first), first);
}

TEST_F(Protocol, Row05_ASecondDebuggerOnlyLooksAndTheFirstDoesNotNotice) {
  GuestProcess guest("counters");
  DebugClient first = guest.attach();
  const std::string before = first.request("g");
  for (int i = 0; i < 3; ++i) {
    DebugClient second = guest.attach();
    EXPECT_EQ(second.request("g"), before);
    EXPECT_EQ(second.request("P0=0000000000000001").substr(0, 1), "E");
    EXPECT_EQ(second.request("c").substr(0, 1), "O") << "a sentence for who reads it";
    EXPECT_EQ(second.receive().substr(0, 1), "E");
  }
  EXPECT_EQ(first.request("g"), before);
  EXPECT_TRUE(first.silent_for(std::chrono::milliseconds(0)));
}

TEST_F(Protocol, Row06_AttachesAHundredTimes) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    DebugClient client = guest.attach();
    const std::uint64_t now = client.read_u64(guest["counters"]);
    EXPECT_GE(now, last);
    last = now;
    client.detach();
  }
  EXPECT_GT(await_change(guest, guest["counters"], last), last);
}

TEST_F(Protocol, Row07_AttachingStopsTheGuest) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  DebugClient client = guest.attach();
  const std::string before = client.read(guest["counters"], 16);
  EXPECT_TRUE(client.silent_for(kQuiet));
  EXPECT_EQ(client.read(guest["counters"], 16), before);
}

TEST_F(Protocol, Row08_DetachingResumesTheGuest) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  EXPECT_EQ(client.request("D"), "OK");
  guest.await_said("0");  // the connection is still open
}

TEST_F(Protocol, Row08_DisconnectingResumesTheGuest) {
  GuestProcess guest("counters");
  { DebugClient client = guest.attach(); }
  guest.await_said("0");
}

TEST_F(Protocol, Row08_AResetConnectionResumesTheGuest) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.reset();
  guest.await_said("0");
  EXPECT_GT(await_change(guest, guest["counters"], 0), 0u);
}

TEST_F(Protocol, Row09_DetachIsAnsweredWithOk) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.set_acks(Acks::Manual);
  client.send_bytes("$D#44");
  EXPECT_EQ(client.receive_byte(), '+');
  EXPECT_EQ(client.receive(), "OK");
}

TEST_F(Protocol, Row09_DetachMayNameTheProcess) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  EXPECT_EQ(client.request("D;1"), "OK");
  guest.await_said("0");
}

TEST_F(Protocol, Row10_KillLeavesTheGuestRunning) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.send("k");
  client.close();
  guest.await_said("0");
  EXPECT_GT(await_change(guest, guest["counters"], 0), 0u);
  EXPECT_TRUE(guest.running());
}

TEST_F(Protocol, Row10_KillStopsTheMachineWhereThatIsAsked) {
  GuestProcess guest("counters", {.arguments = {"--on-kill", "stop"}});
  DebugClient client = guest.attach();
  client.send("k");
  client.await_close();
  guest.process().await_exit();
}

TEST_F(Protocol, Row11_CtrlCStopsWithOneReply) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.resume();
  guest.await_said("0");
  client.interrupt();
  const StopReply stop = client.await_stop(Deadline(std::chrono::seconds(1)));
  EXPECT_FALSE(stop.swbreak);
  EXPECT_TRUE(stop.signal == 5 || stop.signal == 2) << stop.text;
  EXPECT_EQ(client.request("qC").substr(0, 2), "QC");  // no second stop reply came between
}

TEST_F(Protocol, Row12_CtrlCIsIgnoredWhileStopped) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  for (int i = 0; i < 3; ++i)
    client.interrupt();
  EXPECT_TRUE(client.silent_for(kQuiet));
  EXPECT_EQ(client.request("qC"), "QC01");
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));  // the interrupts did not wait for the guest either
}

TEST_F(Protocol, Row13_ContinueRunsTheGuestAndSaysNothing) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  DebugClient client = guest.attach();
  const std::uint64_t before = client.read_u64(guest["counters"]);
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.stop();
  EXPECT_GT(client.read_u64(guest["counters"]), before);
}

}  // namespace
}  // namespace ringside::testing

// Rows 63 and 66 to 69: the program without a debugger, the guest's own debug port, endpoints,
// endings.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <memory>
#include <random>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Row63_TheGuestsInt3WithoutADebugServer) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("int3", {.start = Start::WithoutDebug});
  guest.await_said("ok");  // after a thousand rounds with the right frames
  EXPECT_TRUE(guest.running());
}

std::uint16_t port_of(GuestProcess& guest, const std::string& endpoint) {
  const std::string line =
      guest.process().await_line(ChildProcess::Stream::Error, endpoint + ": listening on ");
  return static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
}
std::uint16_t guest_port_of(GuestProcess& guest) { return port_of(guest, "guest gdb"); }

// Much more than the guest's device holds, without a pause, and nothing comes back before the end.
void expect_all_taken(std::uint16_t port) {
  RawClient client(port);
  std::string flood;
  while (flood.size() < 20'000)
    flood += fmt::format("Byte {} of them. ", flood.size());
  flood += '\n';
  std::uint8_t sum = 0;
  for (const char c : flood)
    sum = std::rotl(sum, 1) ^ static_cast<std::uint8_t>(c);
  EXPECT_EQ(client.receive_byte(), 'r');
  client.send_bytes(flood);
  char answer = 'r';
  while (answer == 'r')
    answer = client.receive_byte();
  EXPECT_EQ(static_cast<std::uint8_t>(answer), sum);
}

TEST_F(Protocol, Row66_TheGuestsDebugPortCarriesBytes) {
  GuestProcess guest("echo224", {.start = Start::Running, .arguments = {"-g", "0"}});
  const std::uint16_t port = guest_port_of(guest);
  guest.await_said("r");
  for (int i = 0; i < 2; ++i) {  // a second client after the first
    RawClient client(port);
    for (const char c : std::string("GuestSide")) {
      client.send_bytes(std::string(1, c));
      EXPECT_EQ(client.receive_byte(), static_cast<char>(c ^ 0x20));
    }
    client.send_bytes("all at once");
    for (const char c : std::string("all at once"))
      EXPECT_EQ(client.receive_byte(), static_cast<char>(c ^ 0x20));
  }
  // At the same time the debug server works, and sees what the guest saw.
  DebugClient debugger = guest.attach();
  EXPECT_EQ(debugger.read(guest["signature"], 2), little_endian(0x4256, 2));
}

TEST_F(Protocol, Row66_TheGuestsDebugPortTakesAFlood) {
  GuestProcess guest("silent_224", {.start = Start::WithoutDebug, .arguments = {"-g", "0"}});
  expect_all_taken(guest_port_of(guest));
}

TEST_F(Protocol, Row66_TheSerialPortTakesAFlood) {
  GuestProcess guest("silent_serial",
                     {.start = Start::WithoutDebug, .arguments = {"-s", "127.0.0.1:0"}});
  expect_all_taken(port_of(guest, "serial"));
}

TEST_F(Protocol, Row66_AGuestWithAStubOfItsOwn) {
  GuestProcess guest("stub", {.start = Start::WithoutDebug, .arguments = {"-g", "0"}});
  const std::uint16_t port = guest_port_of(guest);
  guest.await_said("r");
  DebugClient client(port);
  EXPECT_EQ(client.request("?"), "S05");
  EXPECT_EQ(client.request("g").size(), 328u);
  EXPECT_EQ(client.request("qSupported"), "");
  const std::uint64_t before = client.rip();
  EXPECT_EQ(client.request("s"), "S05");
  EXPECT_NE(client.rip(), before);
  EXPECT_EQ(client.read_u64(guest["work"]), 0u);
  client.resume();
}

// The process says that it listens there.
std::unique_ptr<ChildProcess> listening(const std::string& endpoint, const std::string& where) {
  auto process = std::make_unique<ChildProcess>(std::vector<std::string>{
      RINGSIDE_PROGRAM, "-e", engine(), "-G", endpoint, GuestImage("counters").path()});
  const std::string line = process->await_line(ChildProcess::Stream::Error, "gdb: listening on ");
  const std::string expected = "gdb: listening on " + where;
  EXPECT_EQ(line.substr(0, expected.size()), expected) << endpoint;
  return process;
}

TEST_F(Protocol, Row67_EndpointsOfEveryForm) {
  for (const char* endpoint : {"0", "w0", "127.0.0.1:0", "w127.0.0.1:0"})
    listening(endpoint, "127.0.0.1:");
  const std::string path = ::testing::TempDir() + "ringside-" + std::to_string(::getpid());
  const auto process = listening("unix:" + path, "unix:" + path);
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  DebugClient client(path);
  parse_stop(client.request("?"));
  ::unlink(path.c_str());
}

TEST_F(Protocol, Row67_EndpointsOfIpv6) {
  SKIP_IF(host::no_ipv6());
  for (const char* endpoint : {"w[::1]:0", "w::1:0"})
    listening(endpoint, "[::1]:");
}

TEST_F(Protocol, Row67_EndpointsThatAreNone) {
  for (const char* argument : {"", "w", "x", "65536", "127.0.0.1:", "127.0.0.1:x", ":", "[::1",
                               "[::1]", "999.1.1.1:1", "unix:", "-1"}) {
    ChildProcess process(
        {RINGSIDE_PROGRAM, "-e", engine(), "-G", argument, GuestImage("counters").path()});
    EXPECT_EQ(process.await_exit(), 4) << argument;
    EXPECT_FALSE(process.text(ChildProcess::Stream::Error).empty()) << argument;
  }
}

// Whatever a client sends, the guest goes on and the next client is served.
TEST_F(Protocol, Row68_RandomBytesHurtNobody) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  std::mt19937 random(20191213);
  const std::string alphabet = "$#+-}*cskDHgGmMpPTXxzZqQv:;,.=0123456789abcdef\x03";
  for (int round = 0; round < 60; ++round) {
    DebugClient client = guest.connect();
    std::string bytes;
    for (int i = 0; i < 400; ++i) {
      bytes += round % 2 == 0 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
      if (round % 3 == 0 && i % 40 == 0) bytes += RawClient::frame(bytes.substr(bytes.size() / 2));
    }
    try {
      client.send_bytes(bytes);
    } catch (const std::exception&) {
      // The server may have hung up.
    }
    if (round % 4 == 0) client.reset();
  }
  ASSERT_TRUE(guest.running());
  DebugClient client = guest.attach();
  EXPECT_EQ(client.threads().size(), 2u);
}

struct Ending {
  const char* guest;
  int status;
  const char* reply;  // to the client that let the guest run
};
void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.guest; }  // for gtest

class Endings : public Protocol, public ::testing::WithParamInterface<Ending> {};

TEST_P(Endings, Row69_TheConnectionClosesAndTheStatusTells) {
  GuestProcess guest(GetParam().guest, {.arguments = {"--debug-exit"}});
  DebugClient client = guest.attach();
  client.resume();
  client.set_acks(Acks::Manual);  // which would come after the end
  guest.await_said("r");
  guest.process().write_input("x");
  std::string reply = client.receive();
  if (reply.front() == 'O') reply = client.receive();  // why it died
  EXPECT_EQ(reply, GetParam().reply);
  client.await_close();
  EXPECT_EQ(guest.process().await_exit(), GetParam().status);
}

// The last instruction is stepped: its end is the machine's.
TEST_P(Endings, Row69_AStepToTheEndIsAnsweredByTheEnd) {
  if (GetParam().status == 2) return;  // a step of HLT is a stop, and the guest halts after it
  GuestProcess guest(GetParam().guest, {.start = Start::Held, .arguments = {"--debug-exit"}});
  DebugClient client = guest.attach();
  client.request("QStartNoAckMode");
  client.set_acks(Acks::None);  // an acknowledgement would come after the end
  client.request("Z0," + hex_number(guest["go"]) + ",1");  // behind the byte that it waits for
  client.send("c");
  guest.await_said("r");
  guest.process().write_input("x");
  EXPECT_EQ(client.receive().front(), 'T');
  client.request("z0," + hex_number(guest["go"]) + ",1");
  std::string reply = "T05";
  for (int steps = 0; steps < 100 && reply.front() == 'T'; ++steps) {
    client.send("s");
    do {
      reply = client.receive();
    } while (reply.front() == 'O');
  }
  EXPECT_EQ(reply, GetParam().reply);
  client.await_close();
  EXPECT_EQ(guest.process().await_exit(), GetParam().status);
}

TEST_P(Endings, Row69_TheReplyNamesTheProcess) {
  // For a client that resumes by vCont a guest that halts for good goes on, to be looked at.
  if (GetParam().status == 2) return;
  GuestProcess guest(GetParam().guest, {.arguments = {"--debug-exit"}});
  DebugClient client = guest.attach();
  client.request("qSupported:multiprocess+");
  client.request("QStartNoAckMode");
  client.set_acks(Acks::None);
  client.send("vCont;c");
  guest.await_said("r");
  guest.process().write_input("x");
  std::string reply = client.receive();
  // To who names threads a triple fault is a stop first.
  const bool died = std::string_view(GetParam().reply) == "X06";
  if (died) {
    for (; reply.front() == 'O'; reply = client.receive()) {
    }
    EXPECT_EQ(reply.substr(0, 3), "T06");
    client.send("vCont;c");
    for (reply = client.receive(); reply.front() == 'O'; reply = client.receive()) {
    }
  }
  EXPECT_EQ(reply, std::string(GetParam().reply) + ";process:1");
  client.await_close();
  EXPECT_EQ(guest.process().await_exit(), GetParam().status);
}

TEST_P(Endings, Row69_TheSameWithoutADebugger) {
  GuestProcess guest(GetParam().guest,
                     {.start = Start::WithoutDebug, .arguments = {"--debug-exit"}});
  guest.await_said("r");
  guest.process().write_input("x");
  EXPECT_EQ(guest.process().await_exit(), GetParam().status);
}

INSTANTIATE_TEST_SUITE_P(All, Endings,
                         ::testing::Values(Ending{"end_reboot", 0, "W00"},
                                           Ending{"end_power_off", 1, "W01"},
                                           Ending{"end_halt", 2, "W02"},
                                           Ending{"end_triple_fault", 3, "X06"},
                                           Ending{"end_debug_exit", 0x2a * 2 + 1, "W55"}),
                         [](const auto& ending) { return std::string(ending.param.guest + 4); });

}  // namespace
}  // namespace ringside::testing

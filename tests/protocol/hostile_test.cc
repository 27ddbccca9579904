// Every packet of docs/protocol.md, cut off, prolonged, with huge numbers and out of order: while
// the guest is stopped, while it runs, with a dead vCPU, and after the client has detached. Each
// gets at most one answer, and the server is well afterwards.
#include <cctype>
#include <fstream>
#include <stdexcept>

#include "base/testing/temporary_folder.h"
#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

// The example in the first cell of each row.
std::vector<std::string> documented_packets() {
  std::ifstream file(std::string(RINGSIDE_SOURCE) + "/docs/protocol.md");
  std::vector<std::string> packets;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| `", 0) == 0) packets.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  return packets;
}

// `packet` with its numbers replaced by `number`.
std::string with_numbers(const std::string& packet, std::string_view number) {
  const std::size_t start = packet.find_first_of("0123456789");
  std::string result = packet.substr(0, start);
  if (start == std::string::npos) return result;
  for (std::size_t i = start; i < packet.size();) {
    if (std::isxdigit(static_cast<unsigned char>(packet[i])) == 0) {
      result += packet[i++];
      continue;
    }
    result += number;
    while (i < packet.size() && std::isxdigit(static_cast<unsigned char>(packet[i])) != 0)
      ++i;
  }
  return result;
}

std::vector<std::string> variants(const std::string& packet) {
  std::vector<std::string> all;
  for (std::size_t size = 1; size <= packet.size(); ++size)
    all.push_back(packet.substr(0, size));
  for (const char* tail : {"0", ",", ";", ":", "=", "-1", ";;;", ",zz", "\x01\xff"})
    all.push_back(packet + tail);
  all.push_back(packet + std::string(3000, 'f'));
  all.push_back(packet + std::string(3000, ';'));
  for (const char* number :
       {"", "0", "-1", "g", "ffffffffffffffff", "10000000000000000", "80000000"})
    all.push_back(with_numbers(packet, number));
  all.push_back(with_numbers(packet, std::string(400, '9')));
  return all;
}

bool starts_with_any(std::string_view packet, std::initializer_list<std::string_view> prefixes) {
  for (const std::string_view prefix : prefixes) {
    if (packet.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

// Packets that end the session when they are right.
bool says_goodbye(std::string_view packet) { return starts_with_any(packet, {"D", "k", "vKill"}); }
bool resumes(std::string_view packet) {
  return starts_with_any(packet, {"c", "C", "s", "S", "bs", "bc", "vCont;"});
}
// Packets after which the guest is another one.
bool restarts(std::string_view packet) { return starts_with_any(packet, {"vRun", "R"}); }

class Hostile : public Protocol {
 protected:
  // Sends a packet to a guest that is stopped or was just resumed, stops it again, and gives the
  // answers but for stops.
  static std::vector<std::string> offer(DebugClient& client, const std::string& packet) {
    // A question that no row of the table asks.
    static const std::string marker = "qRcmd," + hex("linear-pc");
    static const std::string marked = hex("rip is shown as a linear address\n");
    client.send(packet);
    client.interrupt();
    client.send(marker);
    std::vector<std::string> answers;
    for (;;) {
      std::string answer = client.receive();
      if (answer == marked) return answers;
      const bool stop = answer.size() > 2 && (answer.front() == 'T' || answer.front() == 'S');
      const bool text = answer.size() > 1 && answer.front() == 'O' && answer != "OK";
      if (!stop && !text) answers.push_back(std::move(answer));
    }
  }
  // Without acknowledgements, which would be answers of their own.
  static DebugClient attach(GuestProcess& guest) {
    DebugClient client = guest.attach();
    client.request("QStartNoAckMode");
    client.set_acks(Acks::None);
    return client;
  }
  static void expect_well(DebugClient& client) {
    client.request("Hg1");
    EXPECT_EQ(client.request("qC").substr(0, 2), "QC");
    EXPECT_EQ(client.request("m100000,4").size(), 8u);
  }

  // Some packets leave files, whose names are as cut off as the packets are.
  GuestOptions options(unsigned cpus = 1) const {
    return {.cpus = cpus, .arguments = {"--files", folder_.path()}};
  }

 private:
  const TemporaryFolder folder_;
};

TEST_F(Hostile, WhileStopped) {
  NEEDS(Feature::EveryInstruction);  // wild registers let the guest run anything
  GuestProcess guest("counters", options());
  DebugClient client = attach(guest);
  client.run_to(guest["tick"]);  // in the mode that all of it is about
  const std::string registers = client.request("g");
  for (const std::string& packet : documented_packets()) {
    for (const std::string& variant : variants(packet)) {
      if (says_goodbye(variant)) continue;
      SCOPED_TRACE(variant.substr(0, 100));
      const auto answers = offer(client, variant);
      EXPECT_LE(answers.size(), 1u);
    }
    expect_well(client);
  }
  // Whatever it has set is gone with its session.
  client.request("Qqemu.PhyMemMode:0");
  client.request("QTFrame:ffffffff");
  // A step backwards may have been the last thing that moved the guest.
  client.request("qRcmd," + hex("branch"));
  ASSERT_EQ(client.request("G" + client.request("g")).substr(0, 2), "OK");
  client.request("Hg1");
  client.close();
  DebugClient next = guest.attach();
  // Some packets have started the guest anew: it may be in its first instructions, which are not of
  // the mode that the registers are from.
  next.request("qRcmd," + hex("system_reset"));
  next.run_to(guest["tick"]);
  EXPECT_EQ(next.request("G" + registers), "OK");
  EXPECT_EQ(next.request("g"), registers);
  next.run_to(guest["tick"]);
}

TEST_F(Hostile, WhileRunning) {
  GuestProcess guest("counters", options());
  DebugClient client = attach(guest);
  client.run_to(guest["tick"]);
  client.request("vCont?");
  for (const std::string& packet : documented_packets()) {
    for (const std::string& variant : variants(packet)) {
      if (says_goodbye(variant) || starts_with_any(variant, {"P", "G", "M", "X", "Q"})) continue;
      SCOPED_TRACE(variant.substr(0, 100));
      client.send("c");
      EXPECT_LE(offer(client, variant).size(), 1u);
    }
    SCOPED_TRACE(packet);
    expect_well(client);
  }
  client.detach();
  const std::uint64_t before = [&] {
    DebugClient look = guest.attach();
    const std::uint64_t value = look.read_u64(guest["counters"]);
    look.detach();
    return value;
  }();
  EXPECT_NE(await_change(guest, guest["counters"], before), before);
}

TEST_F(Hostile, WithADeadVcpu) {
  GuestProcess guest("end_triple_fault", options());
  DebugClient client = attach(guest);
  client.request("vCont?");
  client.send("vCont;c");
  guest.await_said("r");
  guest.process().write_input("x");
  std::string stop = client.receive();
  while (stop.front() == 'O')
    stop = client.receive();
  ASSERT_EQ(stop.substr(0, 3), "T06");
  for (const std::string& packet : documented_packets()) {
    for (const std::string& variant : variants(packet)) {
      if (says_goodbye(variant) || resumes(variant) || restarts(variant)) continue;
      SCOPED_TRACE(variant.substr(0, 100));
      EXPECT_LE(offer(client, variant).size(), 1u);
    }
  }
  client.request("Hg1");
  EXPECT_EQ(client.request("?").substr(0, 3), "T06");
}

TEST_F(Hostile, ThreadsThatAreNot) {
  GuestProcess guest("counters", {.cpus = 2});
  DebugClient client = attach(guest);
  for (const char* thread : {"2", "3", "7f", "ffffffffffffffff", "p2.1", "p1.7f", "-2"}) {
    const std::string id = thread;
    for (const std::string& packet : {"Hg" + id, "Hc" + id, "T" + id, "qThreadExtraInfo," + id,
                                      "vCont;s:" + id, "vCont;r1000,2000:" + id}) {
      EXPECT_EQ(client.request(packet), "E16") << packet;
    }
  }
  EXPECT_EQ(client.request("qC"), "QC01");
}

// A client that goes on talking after its farewell is not listened to, and the next one finds
// everything in order.
TEST_F(Hostile, AfterDetaching) {
  GuestProcess guest("counters", options());
  for (const std::string& packet : documented_packets()) {
    DebugClient client = guest.attach();
    client.set_acks(Acks::Manual);
    client.send_bytes(RawClient::frame("D") + RawClient::frame(packet) + RawClient::frame("c"));
    client.await_close();
  }
  DebugClient client = guest.attach();
  expect_well(client);
  client.run_to(guest["tick"]);
}

// Each packet directly after each other one, as no client would.
TEST_F(Hostile, InAnyOrder) {
  GuestProcess guest("counters", options(2));
  DebugClient client = attach(guest);
  const std::vector<std::string> packets = documented_packets();
  for (const std::string& first : packets) {
    if (says_goodbye(first) || starts_with_any(first, {"P", "G"})) continue;
    for (const std::string& second : packets) {
      if (says_goodbye(second) || starts_with_any(second, {"P", "G"})) continue;
      SCOPED_TRACE(first + " " + second);
      client.send(first);
      EXPECT_LE(offer(client, second).size(), 2u);
    }
  }
  expect_well(client);
}

}  // namespace
}  // namespace ringside::testing

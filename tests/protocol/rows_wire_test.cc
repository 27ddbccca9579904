// Rows 58 to 64: the wire itself, what is not supported, and the target description.
#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Row58_AcknowledgementsAndResending) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.set_acks(Acks::Manual);
  client.send_bytes("$qC#00");  // wrong checksum
  EXPECT_EQ(client.receive_byte(), '-');
  client.send_bytes("$qC#b4");
  EXPECT_EQ(client.receive_byte(), '+');
  EXPECT_EQ(client.receive(), "QC01");
  for (int i = 0; i < 3; ++i) {
    client.send_bytes("-");
    EXPECT_EQ(client.receive_byte(), '$');  // without another '+'
    for (const char c : std::string("QC01#f5"))
      EXPECT_EQ(client.receive_byte(), c);
  }
  client.send_bytes("+");
  client.send_bytes("-");  // nothing left to send again
  EXPECT_TRUE(client.silent_for(kQuiet));
}

TEST_F(Protocol, Row59_PacketsInPiecesAndJunkBetweenThem) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.set_acks(Acks::Manual);
  for (const char c : std::string("$T01#b5"))
    client.send_bytes(std::string(1, c));
  EXPECT_EQ(client.receive_byte(), '+');
  EXPECT_EQ(client.receive(), "OK");
  client.send_bytes("+");
  client.send_bytes(std::string("junk \x01\x80\xff#}*\0!$T01#b5more junk", 29));
  EXPECT_EQ(client.receive(), "OK");
  client.send_bytes("+");
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.send_bytes("$T01#b5+$qC#b4");  // two in one write
  EXPECT_EQ(client.receive(), "OK");
  EXPECT_EQ(client.receive(), "QC01");
}

TEST_F(Protocol, Row60_AClientThatNeverAcknowledges) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.set_acks(Acks::Manual);
  for (int i = 0; i < 1000; ++i) {
    client.send("qC");
    ASSERT_EQ(client.receive(), "QC01");
  }
  std::string burst;
  for (int i = 0; i < 1000; ++i)
    burst += RawClient::frame("qC");
  client.send_bytes(burst + RawClient::frame("T01"));
  std::string reply;
  do {
    reply = client.receive();
    ASSERT_TRUE(reply == "QC01" || reply == "OK") << reply;
  } while (reply != "OK");
}

TEST_F(Protocol, Row61_WhatIsNotSupportedGetsAnEmptyReply) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  for (const char* request :
       {"", "vMustReplyEmpty", "vUnknown;1", "vFile:setfs:0", "QUnknown:1", "qUnknown", "qCx",
        "QThreadEvents:1", "jUnknown", "A", "b", "d", "_X", "\xfe\x01", "vRun;a", "vAttach;1",
        "vCont", "qXfer:unknown:read::0,10"}) {
    const std::string reply = client.request(request);
    EXPECT_TRUE(reply.empty() || (std::string_view(request) == "vCont" && reply == "E16"))
        << request << " got " << reply;
  }
  EXPECT_EQ(client.request("qC"), "QC01");
}

TEST_F(Protocol, Row62_ResumingAtAnAddressIsRefused) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::string before = client.request("g");
  EXPECT_EQ(client.request("c1000"), "E16");
  EXPECT_EQ(client.request("s1000"), "E16");
  EXPECT_TRUE(client.silent_for(kQuiet));
  EXPECT_EQ(client.request("g"), before);
}

std::string read_annex(DebugClient& client, const std::string& annex, unsigned chunk) {
  std::string text;
  for (;;) {
    const std::string reply = client.request("qXfer:features:read:" + annex + ":" +
                                             hex_number(text.size()) + "," + hex_number(chunk));
    if (reply.empty() || (reply[0] != 'm' && reply[0] != 'l'))
      throw std::runtime_error(annex + " got " + reply);
    text += reply.substr(1);
    if (reply[0] == 'l') return text;
  }
}

TEST_F(Protocol, Row64_TheTargetDescriptionInChunksOfAnySize) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::string whole = read_annex(client, "target.xml", 0xfff0);
  EXPECT_NE(whole.find("<architecture>i386:x86-64</architecture>"), std::string::npos);
  EXPECT_EQ(read_annex(client, "target.xml", 0x101), whole);
  // Every annex that it includes is there.
  for (std::size_t at = 0; (at = whole.find("<xi:include href=\"", at)) != std::string::npos;) {
    at += 18;
    const std::string annex = whole.substr(at, whole.find('"', at) - at);
    EXPECT_FALSE(read_annex(client, annex, 0x400).empty()) << annex;
  }
}

TEST_F(Protocol, Row64_TheTargetDescriptionsLimits) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::string start = "qXfer:features:read:";
  EXPECT_EQ(client.request(start + "target.xml:100000,100"), "l");
  EXPECT_EQ(client.request(start + "target.xml:ffffffff,ffffffff"), "l");
  EXPECT_EQ(client.request(start + "target.xml:ffffffffffffffff,ffffffffffffffff"), "l");
  EXPECT_EQ(client.request(start + "none.xml:0,100"), "E02");
  EXPECT_EQ(client.request(start + "../../../../../../etc/passwd:0,100"), "E02");
  EXPECT_EQ(client.request(start + "/etc/passwd:0,100"), "E02");
  for (const char* wrong :
       {"target.xml:0", "target.xml", "target.xml:x,1", "target.xml:0,", "target.xml:,10"})
    EXPECT_EQ(client.request(start + wrong), "E16") << wrong;
}

TEST_F(Protocol, Row64_ReadingTheDescriptionWidensTheRegisterPacket) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  EXPECT_EQ(client.request("g").size(), 328u);
  read_annex(client, "target.xml", 0x400);
  const std::string wide = client.request("g");
  EXPECT_GT(wide.size(), 328u);
  client.detach();
  DebugClient next = guest.attach();
  EXPECT_EQ(next.request("g").size(), 328u);
}

}  // namespace
}  // namespace ringside::testing

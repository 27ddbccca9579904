// WinDbg by way of EXDI: a client that sends what the public sources of Microsoft's "exdigdbsrv"
// send to a server that speaks QEMU's dialect, over the socket.
#include "protocol/protocol_test.h"
#include "support/raw_client.h"

namespace ringside::testing {
namespace {

class Exdi : public Protocol {
 protected:
  // qSupported, no acknowledgements, the description in one piece, and why the guest stands.
  static void begin(RawClient& client) {
    const std::string supported = client.request("qSupported");
    EXPECT_NE(supported.find("PacketSize="), std::string::npos) << supported;
    EXPECT_NE(supported.find("qXfer:features:read+"), std::string::npos) << supported;
    ASSERT_NE(supported.find("QStartNoAckMode+"), std::string::npos) << supported;
    EXPECT_EQ(client.request("QStartNoAckMode"), "OK");
    client.set_acks(Acks::None);
    const std::string description = client.request("qXfer:features:read:target.xml:0,ffb");
    EXPECT_EQ(description.substr(0, 6), "m<?xml");
    EXPECT_NE(description.find("org.gnu.gdb.i386.core"), std::string::npos);
    EXPECT_NE(description.find("name=\"rip\""), std::string::npos);
    const std::string stop = client.request("?");
    EXPECT_TRUE(stop[0] == 'S' || stop[0] == 'T') << stop;
  }
};

TEST_F(Exdi, ReadsProcessorsAndRegisters) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  RawClient client(guest.port());
  begin(client);
  EXPECT_EQ(client.request("qfThreadInfo"), "m01,02");
  EXPECT_EQ(client.request("qsThreadInfo"), "l");
  EXPECT_EQ(client.request("vCont?").substr(0, 5), "vCont");
  for (const char* thread : {"01", "02"}) {
    EXPECT_EQ(client.request("Hg" + std::string(thread)), "OK");
    const std::string all = client.request("g");
    // The core group is 16 registers of 64 bits, then rip, and 32-bit eflags and selectors.
    EXPECT_GT(all.size(), (17u * 8 + 7 * 4) * 2);
    EXPECT_EQ(all.size() % 2, 0u);
    EXPECT_EQ(client.request("p10"), all.substr(16 * 16, 16));
    EXPECT_EQ(client.request("p11"), all.substr(17 * 16, 8));
    // A value is written as it was read, the 32-bit es too.
    EXPECT_EQ(client.request("P0=" + all.substr(0, 16)), "OK");
    EXPECT_EQ(client.request("P15=" + client.request("p15")), "OK");
  }
  EXPECT_EQ(client.request("p20").size(), 8u);
  EXPECT_EQ(client.request("Hg9")[0], 'E');
  // Of Windows alone; an empty reply is "not supported".
  EXPECT_EQ(client.request("qGetTIBAddr:0"), "");
}

TEST_F(Exdi, ReadsPhysicalMemoryAndOddLengths) {
  GuestProcess guest("pages");
  RawClient client(guest.port());
  begin(client);
  EXPECT_EQ(client.request("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(client.request("Qqemu.PhyMemMode:1"), "OK");
  EXPECT_EQ(client.request("qqemu.PhyMemMode"), "1");
  EXPECT_EQ(client.request("M8000,5:0102030405"), "OK");
  for (std::size_t length : {1u, 2u, 3u, 5u})
    EXPECT_EQ(client.request("m8000," + hex_number(length)),
              std::string("0102030405").substr(0, 2 * length));
  EXPECT_EQ(client.request("m8001,3"), "020304");
  EXPECT_EQ(client.request("M8001,3:aabbcc"), "OK");
  EXPECT_EQ(client.request("m8000,5"), "01aabbcc05");
  // It asks for a page and for what is beyond RAM, too.
  EXPECT_EQ(client.request("m8000,1000").size(), 0x2000u);
  EXPECT_EQ(client.request("mffff0000000,8")[0], 'E');
  EXPECT_EQ(client.request("Qqemu.PhyMemMode:0"), "OK");
}

TEST_F(Exdi, BreaksStepsAndInterrupts) {
  GuestProcess guest("counters");
  RawClient client(guest.port());
  begin(client);
  client.request("vCont?");
  const std::string tick = hex_number(guest["tick"]);
  EXPECT_EQ(client.request("Z0," + tick + ",1"), "OK");
  EXPECT_EQ(client.request("vCont;c").substr(0, 11), "T05thread:0");
  EXPECT_EQ(client.request("z0," + tick + ",1"), "OK");
  // A step of the processor that has stopped, and the others stand.
  EXPECT_EQ(client.request("vCont;s:1").substr(0, 13), "T05thread:01;");
  // A data breakpoint, of a length that no debug register has.
  const std::string counter = hex_number(guest["counters"]);
  const std::string watching = client.request("Z2," + counter + ",3");
  if (watching == "OK") {
    const std::string hit = client.request("vCont;c");
    EXPECT_NE(hit.find("watch:" + counter), std::string::npos) << hit;
    EXPECT_EQ(client.request("z2," + counter + ",3"), "OK");
  } else {
    EXPECT_EQ(watching, "");
  }
  const auto count = [&] { return client.request("m" + counter + ",8"); };
  const std::string before = count();
  client.send("vCont;c");
  for (const Deadline deadline; count() == before;)
    ASSERT_FALSE(deadline.passed());
  client.interrupt();
  EXPECT_EQ(client.receive().substr(0, 13), "T02thread:01;");
  EXPECT_EQ(client.request("qRcmd,696e666f20637075730a").substr(0, 1), "2");  // "* CPU #0…"
  EXPECT_EQ(client.request("D"), "OK");
  client.await_close();
  EXPECT_TRUE(guest.running());
}

}  // namespace
}  // namespace ringside::testing

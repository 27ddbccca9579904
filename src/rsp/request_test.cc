// Payloads and the requests they stand for. `describe` spells a request out, so that a row of the
// table compares every field.
#include "rsp/request.h"

#include <gtest/gtest.h>

#include <rapidcheck.h>

#include <cstdio>

#include "base/hex.h"
#include "rsp/request_description.h"

namespace ringside::rsp {
namespace {

struct Row {
  std::string_view payload;
  std::string_view request;
};

constexpr Row kRows[] = {
    // Registers
    {"g", "read registers"},
    {"G00ffAB", "write registers 00ffab"},
    {"p0", "read register 0"},
    {"p1F", "read register 1f"},
    {"pffffffffffffffff", "read register ffffffffffffffff"},
    {"p00000000000000000000000a", "read register a"},
    {"P10=7856341200000000", "write register 10 7856341200000000"},
    // Memory
    {"m1000,4", "read memory 1000 4"},
    {"m0,0", "read memory 0 0"},
    {"mFFFFFFFF80000000,ffffffffffffffff", "read memory ffffffff80000000 ffffffffffffffff"},
    {"x1000,20", "read memory 1000 20 binary"},
    {"M1000,2:aB01", "write memory 1000 ab01"},
    {"M1000,0:", "write memory 1000 "},
    {"X1000,3:#$}", "write memory 1000 23247d"},
    {"X0,0:", "write memory 0 "},
    {"qSearch:memory:1000;100;a;b", "search memory 1000 100 613b62"},
    {"qCRC:1000,20", "checksum memory 1000 20"},
    {"qMemoryRegionInfo:ffffffff81000000", "describe memory ffffffff81000000"},
    // Run control
    {"?", "query stop"},
    {"c", "resume continue"},
    {"s", "resume step"},
    {"c1000", "resume continue at 1000"},
    {"s1000", "resume step at 1000"},
    {"C05", "resume continue signal 5"},
    {"Sff", "resume step signal 255"},
    {"C05;1000", "resume continue signal 5 at 1000"},
    {"vCont?", "query resume actions"},
    {"vCont;c", "resume threads {continue}"},
    {"vCont;s:1;c", "resume threads {step thread 1} {continue}"},
    {"vCont;s:p1.2;c:p1.-1", "resume threads {step thread p1.2} {continue thread p1.all}"},
    {"vCont;r1000,1010:2;t:-1", "resume threads {range 1000 1010 thread 2} {stop thread all}"},
    {"vCont;C05:1;S0b:0",
     "resume threads {continue signal 5 thread 1} {step signal 11 thread any}"},
    {"vCtrlC", "interrupt"},
    {"QNonStop:1", "set non-stop 1"},
    {"QNonStop:0", "set non-stop 0"},
    {"vStopped", "acknowledge stop"},
    {"bs", "resume backward step"},
    {"bc", "resume backward continue"},
    // Breakpoints
    {"Z0,1000,1", "insert software 1000 1"},
    {"z0,1000,1", "remove software 1000 1"},
    {"Z1,ffffffff81000000,1", "insert hardware ffffffff81000000 1"},
    {"Z2,1000,8", "insert write 1000 8"},
    {"Z3,1000,4", "insert read 1000 4"},
    {"z4,1000,ffff", "remove access 1000 ffff"},
    {"Z0,1000,1;X3,220027", "insert software 1000 1 if 220027"},
    {"Z0,1000,1;X3,220027X1,27", "insert software 1000 1 if 220027 if 27"},
    {"Z0,1000,1;X1,22;X1,27", "insert software 1000 1 if 22 if 27"},
    {"Z0,1000,1;X1,22;cmds:1,X2,2227", "insert software 1000 1 if 22 do 2227 persistent"},
    {"Z0,1000,1;cmds:0,X1,22X1,27", "insert software 1000 1 do 22 do 27"},
    {"Z0,1000,1;X0,", "insert software 1000 1 if "},
    // Threads
    {"Hg0", "select general any"},
    {"Hg-1", "select general all"},
    {"Hc1", "select resume 1"},
    {"Hg01", "select general 1"},
    {"Hgp1.1f", "select general p1.1f"},
    {"Hgp0.0", "select general pany.any"},
    {"Hgp-1.-1", "select general pall.all"},
    {"Hcp1", "select resume p1.all"},
    {"T10", "is alive 10"},
    {"Tffffffffffffffff", "is alive ffffffffffffffff"},
    {"Tp1.2", "is alive p1.2"},
    {"qC", "current thread"},
    {"qfThreadInfo", "first threads"},
    {"qsThreadInfo", "more threads"},
    {"qThreadExtraInfo,1", "describe thread 1"},
    {"qThreadExtraInfo,p1.2", "describe thread p1.2"},
    // Session
    {"qSupported", "supported"},
    {"qSupported:", "supported"},
    {"qSupported:swbreak+", "supported swbreak+"},
    {"qSupported:swbreak+;hwbreak-;vfork?;xmlRegisters=i386,arm",
     "supported swbreak+ hwbreak- vfork? xmlRegisters=i386,arm"},
    {"qSupported:x=a=b;;+;=;q;swbreak+", "supported x=a=b swbreak+"},
    {"QStartNoAckMode", "start no-ack mode"},
    {"qHostInfo", "query host"},
    {"qAttached", "attached"},
    {"qAttached:1", "attached"},
    {"!", "extended mode"},
    {"vAttach;1", "attach 1"},
    {"vRun;", "run"},
    {"vRun;;6f6e65", "run"},
    {"R00", "restart"},
    {"D", "detach"},
    {"D;1", "detach 1"},
    {"k", "kill"},
    {"vKill;a", "kill process a"},
    // Transfers and monitor
    {"qXfer:features:read:target.xml:0,ffb", "transfer features target.xml 0 ffb"},
    {"qXfer:threads:read::10,20", "transfer threads  10 20"},
    {"qXfer:memory-map:read::ffffffffffffffff,ffffffffffffffff",
     "transfer memory-map  ffffffffffffffff ffffffffffffffff"},
    {"qXfer:features:read:../a:b:0,1", "transfer features ../a:b 0 1"},
    {"qRcmd,68656C70", "monitor help"},
    {"qRcmd,", "monitor "},
    // QEMU
    {"qqemu.PhyMemMode", "query physical mode"},
    {"Qqemu.PhyMemMode:1", "set physical mode 1"},
    {"Qqemu.PhyMemMode:0", "set physical mode 0"},
    {"qqemu.sstepbits", "query step bits"},
    {"Qqemu.sstepbits", "query step bits"},
    {"qqemu.sstep", "query step mask"},
    {"Qqemu.sstep=7", "set step mask 7"},
    {"Qqemu.sstep=0x5", "set step mask 5"},
    // Not served: the reply is empty
    {"", "unknown"},
    {"vMustReplyEmpty", "unknown"},
    {"v", "unknown"},
    {"q", "unknown"},
    {"Q", "unknown"},
    {"vCon", "unknown"},
    {"vContx", "unknown"},
    {"vFile:open:66", "unknown"},
    {"qCx", "unknown"},
    {"qCR", "unknown"},
    {"qSupportedx", "unknown"},
    {"qOffsets", "unknown"},
    {"qSymbol::", "unknown"},
    {"qTStatus", "unknown"},
    {"qSearch:disk:0;1;a", "unknown"},
    {"qXfer:osdata:write::0:ff", "unknown"},
    {"Z5,1000,1", "unknown"},
    {"z9", "unknown"},
    {"t", "unknown"},
    {"A", "unknown"},
    {"b", "unknown"},
    {"b9600", "unknown"},
    {"\xff\x80", "unknown"},
};

TEST(Requests, AreWhatTheTableSays) {
  for (const Row& row : kRows)
    EXPECT_EQ(describe(parse(row.payload)), row.request) << row.payload;
}

// Known packets with wrong fields: E16 each.
constexpr std::string_view kMalformed[] = {
    "g1",
    "G",
    "G1",
    "Gxx",
    "p",
    "px",
    "p1x",
    "p10000000000000000",
    "P",
    "P1",
    "P1=",
    "P1=1",
    "P=11",
    "P1=zz",
    "P10000000000000000=11",
    "m",
    "m,",
    "m1",
    "m1,",
    "m,1",
    "mx,1",
    "m1,x",
    "m1,1x",
    "m10000000000000000,1",
    "m1,10000000000000000",
    "m-1,4",
    "mzz,4",
    "m 1,4",
    "m1 ,4",
    "m0x1,4",
    "x",
    "x1",
    "x,1",
    "M1,1",
    "M1,1:",
    "M1,1:1",
    "M1,1:zz",
    "M1,2:11",
    "M1,1:1122",
    "M1,ffffffffffffffff:11",
    "M1,8000000000000000:",
    "M,1:11",
    "X1,1",
    "X1,1:",
    "X1,1:ab",
    "X1,ffffffffffffffff:a",
    "qSearch:memory:",
    "qSearch:memory:1;1",
    "qSearch:memory:1;1;",
    "qSearch:memory:x;1;a",
    "qCRC",
    "qCRC:",
    "qCRC:1",
    "qCRC:1,",
    "qCRC:1,2x",
    "Qqemu.sstepbits:",
    "qMemoryRegionInfo",
    "qMemoryRegionInfo:",
    "qMemoryRegionInfo:x",
    "qMemoryRegionInfo:1000,",
    "!1",
    "R",
    "R0",
    "Rxx",
    "vRun",
    "vRun:",
    "vAttach",
    "vAttach;",
    "vAttach;x",
    "?1",
    "cx",
    "sx",
    "c1x",
    "c10000000000000000",
    "C",
    "Cx",
    "C100",
    "C05;",
    "C05;x",
    "C05x",
    "S",
    "vCont",
    "vCont;",
    "vCont:c",
    "vCont;x",
    "vCont;c;",
    "vCont;c:",
    "vCont;c:x",
    "vCont;c1",
    "vCont;r",
    "vCont;r1",
    "vCont;r1,",
    "vCont;r,2",
    "vCont;C",
    "vCont;C100:1",
    "vCont;s:p",
    "vCont;s:p1.",
    "vCont;s:10000000000000000",
    "vCont?;",
    "vCtrlC;",
    "QNonStop",
    "QNonStop:",
    "QNonStop:2",
    "QNonStop:1;",
    "vStopped;",
    "bs1",
    "bc;",
    "qHostInfo:",
    "Z",
    "Z0",
    "Z0,",
    "Z0,1000",
    "Z0,1000,",
    "Z0,,1",
    "Z0,1000,x",
    "Z0,1000,1x",
    "Z0,1000,1;",
    "Z0,1000,1;Y",
    "Z0,1000,1;X",
    "Z0,1000,1;X1",
    "Z0,1000,1;X1,",
    "Z0,1000,1;X1,2",
    "Z0,1000,1;X1,zz",
    "Z0,1000,1;X2,22",
    "Z0,1000,1;X1,2233",
    "Z0,1000,1;Xffffffffffffffff,22",
    "Z0,1000,1;X8000000000000000,",
    "Z0,1000,1;cmds:",
    "Z0,1000,1;cmds:2,X1,22",
    "Z0,1000,1;cmds:0",
    "Z0,10000000000000000,1",
    "z",
    "z0,",
    "z0,1000",
    "H",
    "Hg",
    "Hc",
    "Hx1",
    "Hgx",
    "Hg1x",
    "Hg-",
    "Hg-2",
    "Hg-11",
    "Hgp",
    "Hgp1.",
    "Hgp.1",
    "Hg10000000000000000",
    "Hg1.1",
    "T",
    "Tx",
    "T1x",
    "T10000000000000000",
    "Tffffffffffffffffffffffffffffffffffffffffffff",
    "qC:",
    "qfThreadInfo:1",
    "qThreadExtraInfo",
    "qThreadExtraInfo,",
    "qThreadExtraInfo,x",
    "qThreadExtraInfo,1x",
    "qThreadExtraInfo:1",
    "qSupported;a+",
    "QStartNoAckMode:1",
    "qAttached:",
    "qAttached:x",
    "D;",
    "D1",
    "D;x",
    "D;1x",
    "k1",
    "vKill",
    "vKill;",
    "vKill;x",
    "qXfer",
    "qXfer:",
    "qXfer:features",
    "qXfer:features:read",
    "qXfer:features:read:target.xml",
    "qXfer:features:read:target.xml:",
    "qXfer:features:read:target.xml:0",
    "qXfer:features:read:target.xml:0,",
    "qXfer:features:read:target.xml:x,1",
    "qXfer:features:read:target.xml:0,1x",
    "qXfer::read::0,1",
    "qXfer:features:peek::0,1",
    "qXfer:features:read::10000000000000000,1",
    "qRcmd",
    "qRcmd:",
    "qRcmd,6",
    "qRcmd,zz",
    "Qqemu.PhyMemMode",
    "Qqemu.PhyMemMode:",
    "Qqemu.PhyMemMode:2",
    "Qqemu.PhyMemMode:1x",
    "qqemu.PhyMemMode:1",
    "Qqemu.sstep",
    "Qqemu.sstep=",
    "Qqemu.sstep=0x",
    "Qqemu.sstep=1x",
    "qqemu.sstep:",
    "qqemu.sstepbits:",
};

TEST(Requests, MalformedOnesAreToldApartFromUnknownOnes) {
  for (const std::string_view payload : kMalformed) {
    const Request request = parse(payload);
    ASSERT_TRUE(std::holds_alternative<Malformed>(request)) << payload << ": " << describe(request);
    EXPECT_FALSE(std::get<Malformed>(request).reason.empty()) << payload;
  }
}

TEST(QuerySupported, AnnouncesOnlyWhatHasAPlus) {
  const auto query = std::get<QuerySupported>(parse("qSupported:swbreak+;hwbreak-;swbreakx=+"));
  EXPECT_TRUE(query.announces("swbreak"));
  EXPECT_FALSE(query.announces("hwbreak"));
  EXPECT_FALSE(query.announces("swbreakx"));
  EXPECT_FALSE(query.announces("swbrea"));
  EXPECT_EQ(query.find("absent"), nullptr);
}

// Every prefix, and every single-byte change, of every packet of the table has a request; the
// sanitizers see the rest.
TEST(Parse, IsTotal) {
  for (const Row& row : kRows) {
    for (std::size_t size = 0; size <= row.payload.size(); ++size) {
      const std::string prefix(row.payload.substr(0, size));
      EXPECT_NE(describe(parse(prefix)), "");
      for (std::size_t i = 0; i < size; ++i) {
        for (const char c : {'\0', '#', ',', ':', ';', '-', 'f', 'p', '\xff'}) {
          std::string changed = prefix;
          changed[i] = c;
          EXPECT_NE(describe(parse(changed)), "");
        }
      }
    }
  }
}

TEST(Parse, ReadsBackEveryAddressAndLength) {
  rc::check([](std::uint64_t address, std::uint64_t length) {
    std::string payload = "m";
    char text[40];
    std::snprintf(text, sizeof text, "%lx,%lx", address, length);
    payload += text;
    const auto read = std::get<ReadMemory>(parse(payload));
    RC_ASSERT(read.address.value == address);
    RC_ASSERT(read.length == length);
  });
}

TEST(Parse, ReadsBackEveryBinaryWrite) {
  rc::check([](std::uint64_t address, const std::string& data) {
    char text[40];
    std::snprintf(text, sizeof text, "X%lx,%zx:", address, data.size());
    const auto write = std::get<WriteMemory>(parse(text + data));
    RC_ASSERT(write.address.value == address);
    RC_ASSERT(to_hex(write.data) == to_hex(std::string_view(data)));
  });
}

}  // namespace
}  // namespace ringside::rsp

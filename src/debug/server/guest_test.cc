// What is known of the system in the guest, for a client: libraries, tables, offsets. A stand-in
// for who knows that system says what the tests want.
#include <gmock/gmock.h>

#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using testing::FakeStoppoints;
using ::testing::HasSubstr;
using ::testing::Not;
namespace exit = hypervisor::exit;

class Guest : public ::testing::Test {
 protected:
  Guest() {
    engine.physical_supported = engine.filters = true;
    engine.give_to(bench.guest.vm);
    bench.attach();
    bench.ask("vCont?");
  }
  ServerOptions options() {
    ServerOptions options;
    options.guest.libraries = [this]() -> Result<std::vector<GuestLibrary>> {
      ++asked;
      if (!known) return fail(ErrorCode::NotFound, "no system");
      return libraries;
    };
    options.guest.library_events = []() -> Result<std::vector<Gva>> {
      return std::vector<Gva>{{0x1000}, {0x2000}};
    };
    options.guest.os_data = [](std::string_view kind) -> Result<std::string> {
      if (kind == "bad") return fail(ErrorCode::NotFound, "no such table");
      return "<table " + std::string(kind) + ">";
    };
    options.guest.moved_to = [this] { return moved_to; };
    options.guest.vmcoreinfo = []() -> Result<std::string> { return "OSRELEASE=6.1\n"; };
    return options;
  }
  std::string monitor(std::string_view command) { return bench.monitor(command); }
  std::string read(std::string_view what) {
    return bench.ask("qXfer:" + std::string(what) + ":0,fff");
  }
  std::string hit(std::uint64_t address) {
    if (engine.filter != nullptr)
      (void)engine.filter->wants_stop({0}, exit::HardwareBreakpoint{Gva{address}});
    bench.guest.vm.happen({0}, exit::HardwareBreakpoint{Gva{address}});
    bench.server.drain_events();
    return bench.client.receive();
  }

  FakeStoppoints engine;
  bool known = true;
  std::vector<GuestLibrary> libraries = {{"a<b.ko", {0x1000, 0xffffffffc0000000}}};
  std::optional<Gva> moved_to;
  unsigned asked = 0;
  Bench bench{1, options()};
};

TEST_F(Guest, ItsLibrariesAreListed) {
  EXPECT_EQ(read("libraries:read:"),
            "l<library-list version=\"1.0\">\n<library name=\"a&lt;b.ko\"><section "
            "address=\"0x1000\"/><section address=\"0xffffffffc0000000\"/></library>\n"
            "</library-list>\n");
  libraries.push_back({"without-sections", {}});
  EXPECT_THAT(read("libraries:read:"), Not(HasSubstr("without")));
  EXPECT_EQ(read("libraries:read:annex"), "E02");
  known = false;
  EXPECT_EQ(read("libraries:read:"), "l<library-list version=\"1.0\">\n</library-list>\n");
}

TEST_F(Guest, APieceBelongsToTheListOfTheFirst) {
  asked = 0;
  const std::string first = bench.ask("qXfer:libraries:read::0,10");
  EXPECT_EQ(first.front(), 'm');
  libraries.clear();
  EXPECT_THAT(bench.ask("qXfer:libraries:read::10,fff"), HasSubstr("a&lt;b.ko"));
  EXPECT_EQ(asked, 1u);
}

TEST_F(Guest, ItsTablesAreRead) {
  EXPECT_EQ(read("osdata:read:"), "l<table >");
  EXPECT_EQ(read("osdata:read:processes"), "l<table processes>");
  EXPECT_EQ(read("osdata:read:bad"), "E02");
  EXPECT_EQ(bench.ask("qXfer:osdata:read:processes:8,4"), "mroce");
  EXPECT_EQ(read("vmcoreinfo:read:"), "lOSRELEASE=6.1\n");
  EXPECT_EQ(read("vmcoreinfo:read:x"), "E02");
}

TEST_F(Guest, OffsetsAreToldWhereItWasMoved) {
  EXPECT_EQ(bench.ask("qOffsets"), "");
  moved_to = Gva{0xffffffff85000000};
  EXPECT_EQ(bench.ask("qOffsets"), "TextSeg=ffffffff85000000");
}

TEST_F(Guest, WhatIsKnownIsAnnounced) {
  EXPECT_THAT(bench.ask("qSupported:swbreak+"),
              HasSubstr("qXfer:libraries:read+;qXfer:osdata:read+;qXfer:vmcoreinfo:read+"));
  Bench nothing;
  nothing.attach();
  EXPECT_THAT(nothing.ask("qSupported:swbreak+"), Not(HasSubstr("qXfer:libraries")));
  for (const char* packet : {"qXfer:libraries:read::0,fff", "qXfer:osdata:read::0,fff",
                             "qXfer:vmcoreinfo:read::0,fff", "qOffsets"})
    EXPECT_EQ(nothing.ask(packet), "") << packet;
}

TEST_F(Guest, ALibraryThatComesIsAStopForWhoWantsIt) {
  EXPECT_THAT(monitor("modules watch on"), HasSubstr("has not asked for the list"));
  read("libraries:read:");
  EXPECT_EQ(monitor("modules watch"), "The debugger is not told when modules come and go.\n");
  EXPECT_EQ(monitor("modules watch on"), "The debugger is told when modules come and go.\n");
  EXPECT_TRUE(engine.physical.empty()) << "only while the guest runs";
  bench.client.send("vCont;c");
  EXPECT_EQ(hit(0x1000), "T05thread:01;library:;");
  EXPECT_THAT(monitor("breakpoints"), HasSubstr("for `modules watch`"));
  bench.client.send("vCont;c");
  EXPECT_EQ(hit(0x2000), "T05thread:01;library:;");
  EXPECT_EQ(monitor("modules watch off"), "The debugger is not told when modules come and go.\n");
  EXPECT_EQ(monitor("breakpoints"), "No breakpoints are inserted now.\n");
  monitor("modules watch on");
  bench.client.send("vCont;c");
  bench.client.interrupt();
  bench.client.receive();
  bench.client.disconnect();
  EXPECT_TRUE(engine.physical.empty());
  bench.client.connect();
  EXPECT_EQ(monitor("modules watch"), "The debugger is not told when modules come and go.\n");
}

TEST_F(Guest, TheClientsOwnBreakpointThereIsItsOwn) {
  bench.ask("qSupported:swbreak+");
  read("libraries:read:");
  monitor("modules watch on");
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("vCont;c");
  EXPECT_EQ(hit(0x1000), "T05thread:01;swbreak:;");
  EXPECT_EQ(bench.ask("z0,1000,1"), "OK");
  bench.client.send("vCont;c");
  EXPECT_EQ(hit(0x1000), "T05thread:01;library:;");
}

}  // namespace
}  // namespace ringside::debug

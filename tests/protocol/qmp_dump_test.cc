// What is refused while the machine protocol makes a file of the guest, and what ends that.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "protocol/qmp_test.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A pipe that nobody empties keeps a dump half-way.
class QmpDumpHalfWay : public Qmp {
 protected:
  // It has begun when this returns.
  void begin_dump(QmpClient& qmp) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader_.reset(ends[0]);
    const Fd writer(ends[1]);
    ASSERT_EQ(qmp.run("getfd", "\"fdname\": \"pipe\"", writer.get()), kDone);
    ASSERT_EQ(qmp.run("dump-guest-memory",
                      "\"paging\": false, \"protocol\": \"fd:pipe\", \"detach\": true"),
              kDone);
    char first = 0;
    ASSERT_EQ(::read(reader_.get(), &first, 1), 1);
    dump_ = first;
  }
  void read_rest() {
    for (char buffer[65536];;) {
      const ssize_t count = ::read(reader_.get(), buffer, sizeof buffer);
      ASSERT_GE(count, 0);
      if (count == 0) break;
      dump_.append(buffer, static_cast<std::size_t>(count));
    }
  }

  Fd reader_;
  std::string dump_;
};

TEST_F(QmpDumpHalfWay, NobodyChangesTheGuest) {
  begin_counting(Start::Held);
  DebugClient debugger = guest_->attach();
  QmpClient qmp = connect();
  qmp.begin();
  const std::uint64_t counters = (*guest_)["counters"];
  debugger.run_to((*guest_)["tick"]);
  debugger.request("qSupported:error-message+");
  begin_dump(qmp);
  const std::string why =
      "the machine protocol makes a file of the guest, which stays as it is until that is written "
      "(query-dump)";
  const std::uint64_t rip = debugger.rip();
  EXPECT_EQ(debugger.request("M" + hex_number(counters) + ",1:41"), "E." + why);
  EXPECT_EQ(debugger.request("P10=0000000000000000"), "E." + why);
  const char* const changes[] = {"system_reset", "nmi", "system_powerdown"};
  for (const std::string command : changes)
    EXPECT_EQ(monitor(debugger, command), command + ": " + why + "\n");
  EXPECT_THAT(monitor(debugger, "reset"), HasSubstr(why));
  EXPECT_EQ(monitor(debugger, "msr efer 0"), "msr: " + why + "\n");
  EXPECT_THAT(qmp.run("system_reset"), HasSubstr(why));
  EXPECT_THAT(qmp.run("system_powerdown"), HasSubstr(why));
  if (engine() == "soft") {
    const char* const journeys[] = {"goto start", "branch", "value-at start 0 8",
                                    "last-write 0x1000"};
    for (const std::string command : journeys)
      EXPECT_EQ(monitor(debugger, command),
                command.substr(0, command.find(' ')) + ": " + why + "\n");
    debugger.send("bs");
    EXPECT_EQ(unhex(debugger.receive().substr(1)), why + "\n");
    EXPECT_EQ(debugger.await_stop().signal, 5u);
  }
  EXPECT_EQ(debugger.rip(), rip);
  EXPECT_EQ(debugger.read_u64(counters), 0u);
  read_rest();
  qmp.await_event("DUMP_COMPLETED");
  debugger.write_u8(counters, 0x41);
  EXPECT_EQ(debugger.read_u64(counters), 0x41u);
}

// Who leaves the past takes the machine to its present, and must not be held up.
TEST_F(QmpDumpHalfWay, IsGivenUpWhereADebuggerLeavesThePast) {
  if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  begin_counting(Start::Held);
  DebugClient debugger = guest_->attach();
  debugger.run_to((*guest_)["tick"]);
  EXPECT_THAT(monitor(debugger, "goto start"), StartsWith("at 0\n"));
  QmpClient qmp = connect();
  qmp.begin();
  begin_dump(qmp);
  debugger.detach();
  read_rest();
  qmp.await_event("DUMP_COMPLETED");
  EXPECT_THAT(qmp.run("query-dump"), HasSubstr("\"failed\""));
  expect_running(qmp);
}

}  // namespace
}  // namespace ringside::testing

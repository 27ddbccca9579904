// --date: what the guest's clock begins with, and that a replay begins with the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

constexpr std::time_t kUsual = 1704067200;  // 2024-01-01

// The clock's registers, in BCD: has the guest, which stands before its first instruction, read
// them.
class Clock {
 public:
  Clock(GuestProcess& guest, DebugClient& client) : client_(client), at_(guest.image().entry()) {}

  std::time_t read() {
    std::tm time{};
    // The host's clock may go on between two of them.
    do {
      time.tm_sec = field(0);
      time.tm_min = field(2);
      time.tm_hour = field(4);
      time.tm_mday = field(7);
      time.tm_mon = field(8) - 1;
      time.tm_year = field(0x32) * 100 + field(9) - 1900;
    } while (field(0) != time.tm_sec);
    return ::timegm(&time);
  }

 private:
  // mov $index, %al; out %al, $0x70; in $0x71, %al
  int field(unsigned char index) {
    const char code[] = {'\xb0', static_cast<char>(index), '\xe6', 0x70, '\xe4', 0x71};
    client_.write(at_, std::string_view(code, sizeof code));
    EXPECT_EQ(client_.request("P10=" + hex(little_endian(at_, 8))), "OK");
    for (int i = 0; i < 3; ++i)
      client_.step();
    const auto value = static_cast<int>(client_.registers()[kRax] & 0xff);
    return (value >> 4) * 10 + (value & 0xf);
  }

  DebugClient& client_;
  std::uint64_t at_;
};

std::time_t date_of_guest(const std::vector<std::string>& arguments, const char* on_engine) {
  GuestProcess guest("counters", {.arguments = arguments, .on_engine = on_engine});
  DebugClient client = guest.attach();
  return Clock(guest, client).read();
}

class Date : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(GetParam())); }
};

TEST_P(Date, IsTheUsualOneOrTheOneGivenOrTheHosts) {
  const auto date = [](const std::vector<std::string>& arguments) {
    return date_of_guest(arguments, GetParam());
  };
  // KVM's clock goes on while the debugger looks.
  const std::time_t some_time = std::string_view(GetParam()) == "kvm" ? 60 : 0;
  const auto is_since = [&](std::time_t began) {
    return ::testing::AllOf(::testing::Ge(began), ::testing::Le(began + some_time));
  };
  EXPECT_THAT(date({}), is_since(kUsual));
  EXPECT_THAT(date({"--date", "0"}), is_since(0));
  EXPECT_THAT(date({"--date", "4107542399"}), is_since(4107542399));  // the end of a February 28th
  const std::time_t before = std::time(nullptr);
  const std::time_t here = date({"--date", "host"});
  EXPECT_THAT(here, ::testing::AllOf(::testing::Ge(before), ::testing::Le(std::time(nullptr))));
}

INSTANTIATE_TEST_SUITE_P(Engines, Date, ::testing::Values("soft", "kvm"),
                         [](const auto& engine) { return std::string(engine.param); });

class RecordedDate : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  }
  ~RecordedDate() override { ::unlink(path_.c_str()); }
  struct Outcome {
    int status;
    std::string said;
    std::string state() const {
      const std::size_t at = said.find("state: ");
      return at == std::string::npos ? "" : said.substr(at, said.find('\n', at) - at);
    }
  };
  // A guest that ends by itself.
  Outcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {RINGSIDE_PROGRAM, "-e", "soft"});
    arguments.push_back(GuestImage("random").path());
    ChildProcess process(arguments);
    process.close_input();
    const int status = process.await_exit();
    return {status, process.text(Stream::Error)};
  }
  std::string line_of_journal() const {
    std::ifstream file(path_);
    std::string line;
    for (int i = 0; i < 3; ++i)
      std::getline(file, line);
    return line;
  }

  std::string path_ = ::testing::TempDir() + "ringside-date-" + std::to_string(::getpid());
};

TEST_F(RecordedDate, IsTheReplays) {
  const Outcome recorded = run({"--date", "1000000000", "--record", path_});
  EXPECT_EQ(line_of_journal(), "date 1000000000");
  for (const std::vector<std::string>& date :
       {std::vector<std::string>{}, {"--date", "1000000000"}, {"--date", "host"}}) {
    std::vector<std::string> arguments = {"--replay", path_};
    arguments.insert(arguments.end(), date.begin(), date.end());
    const Outcome replayed = run(arguments);
    EXPECT_EQ(replayed.status, recorded.status) << replayed.said;
    EXPECT_EQ(replayed.state(), recorded.state());
    const auto notice =
        HasSubstr("replay: the guest's date is the recorded one, 1000000000, not the host's\n");
    if (!date.empty() && date[1] == "host") {
      EXPECT_THAT(replayed.said, notice);
    } else {
      EXPECT_THAT(replayed.said, Not(notice));
    }
  }
}

TEST_F(RecordedDate, ContradictsAnother) {
  run({"--record", path_});
  EXPECT_EQ(line_of_journal(), "date " + std::to_string(kUsual));
  const Outcome refused = run({"--replay", path_, "--date", "5"});
  EXPECT_EQ(refused.status, 4);
  EXPECT_THAT(refused.said, HasSubstr("ringside: --date 5: the recorded run began with 1704067200, "
                                      "and a replay takes its date from the journal\n"));
}

TEST_F(RecordedDate, IsTheHostsAtTheTime) {
  const std::time_t before = std::time(nullptr);
  const Outcome recorded = run({"--date", "host", "--record", path_});
  const std::time_t after = std::time(nullptr);
  const std::time_t date = std::stoll(line_of_journal().substr(5));
  EXPECT_GE(date, before);
  EXPECT_LE(date, after);
  const Outcome replayed = run({"--replay", path_});
  EXPECT_EQ(replayed.status, recorded.status) << replayed.said;
  EXPECT_EQ(replayed.state(), recorded.state());
}

}  // namespace
}  // namespace ringside::testing

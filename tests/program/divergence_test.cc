// A replay that differs from its recording: in which interval, and what. The recording is of a real
// run; the replay is made another one by an edited journal, or by a debugger.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <regex>
#include <sstream>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

// Nothing of the guest's is there.
constexpr std::uint64_t kFreePage = 0x1234000;

class Divergence : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
    record(3);
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  std::vector<std::string> lines() const {
    std::ifstream file(path_);
    std::vector<std::string> result;
    for (std::string line; std::getline(file, line);)
      result.push_back(line);
    return result;
  }
  // The lines with checks, by their place in the journal.
  std::vector<std::size_t> checks() const {
    std::vector<std::size_t> result;
    const std::vector<std::string> all = lines();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].find(" check vcpu ") != std::string::npos &&
          all[i].find("end-") == std::string::npos)
        result.push_back(i);
    }
    return result;
  }
  // The instruction of a check, as the journal says it.
  std::string instruction(std::size_t check) const {
    const std::string line = lines()[checks()[check]];
    return line.substr(0, line.find_first_of(" +"));
  }
  void edit(std::size_t check, const std::string& pattern, const std::string& by) {
    std::vector<std::string> all = lines();
    std::string& line = all[checks()[check]];
    const std::string edited = std::regex_replace(line, std::regex(pattern), by);
    ASSERT_NE(edited, line);
    line = edited;
    std::ofstream file(path_);
    for (const std::string& each : all)
      file << each << '\n';
  }

  std::vector<std::string> command(const char* option) const {
    return {RINGSIDE_PROGRAM,
            "-e",
            "soft",
            "-c",
            "2",
            "-m",
            "32M",
            "--pace",
            "off",
            option,
            path_,
            GuestImage("counters").path()};
  }
  struct Outcome {
    int status = 0;
    std::string error;
    std::string state;
  };
  static Outcome outcome(ChildProcess& process) {
    const int status = process.await_exit();
    const std::string error = process.text(Stream::Error);
    std::smatch found;
    std::regex_search(error, found, std::regex("state: .*"));
    return {status, error, found.str()};
  }
  void record(std::size_t wanted) {
    ChildProcess process(command("--record"));
    while (checks().size() < wanted)
      process.await_busy();
    process.kill(SIGTERM);
    recorded_ = outcome(process);
  }
  Outcome replay(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = command("--replay");
    arguments.insert(arguments.end() - 1, more.begin(), more.end());
    ChildProcess process(arguments);
    process.close_input();
    return outcome(process);
  }
  using Session = std::function<void(DebugClient&)>;
  // A debugger does something at the first instruction of a replay.
  Outcome replay_with(const Session& session, const std::string& history = "off") {
    GuestOptions options;
    options.cpus = 2;
    options.arguments = {"--replay", path_, "--serial", "none", "--history", history};
    GuestProcess guest("counters", options);
    DebugClient client = guest.attach();
    session(client);
    client.detach();
    return outcome(guest.process());
  }
  std::string between(std::size_t from, std::size_t to) const {
    return "the replay differs from the recording between instruction " +
           (from == 0 ? "0" : instruction(from - 1)) + " and " + instruction(to - 1) + "\n";
  }

  const std::string path_ =
      ::testing::TempDir() + "ringside-divergence-" + std::to_string(::getpid());
  Outcome recorded_;
};

TEST_F(Divergence, TheSameRunPassesEveryCheck) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--translate", "off"}, {"--history", "32M"}}) {
    const Outcome replayed = replay(more);
    EXPECT_EQ(replayed.status, 1) << replayed.error;
    EXPECT_EQ(replayed.state, recorded_.state);
  }
}

TEST_F(Divergence, ADebuggerThatLooksBackPassesThemToo) {
  const Outcome replayed = replay_with(
      [](DebugClient& client) {
        client.request("qSupported:ReverseStep+");
        const auto monitor = [&](const std::string& words) {
          return unhex(client.request("qRcmd," + hex(words)));
        };
        // Beyond the first check.
        std::smatch at;
        std::string when;
        do {
          client.resume();
          client.stop();
          when = monitor("when");
        } while (std::regex_search(when, at, std::regex("at ([0-9]+)")) &&
                 std::stoull(at[1]) < 40'000'000);
        ASSERT_FALSE(at.empty()) << when;
        for (int i = 0; i < 3; ++i) {
          client.send("bs");
          client.await_stop();
        }
        EXPECT_THAT(monitor("goto start"), HasSubstr("at 0\n"));
        EXPECT_THAT(monitor("goto 35000000"), HasSubstr("at 35000000\n"));
      },
      "32M");
  EXPECT_EQ(replayed.status, 1) << replayed.error;
  EXPECT_EQ(replayed.state, recorded_.state);
}

TEST_F(Divergence, NamesTheVcpu) {
  const std::string where = instruction(1);
  edit(1, "vcpu ([0-9]+) ([0-9a-f]+) [0-9a-f]+ schedule", "vcpu $1 $2 1 schedule");
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr(between(1, 2) + "  vCPU 1: at RIP 0x"));
  EXPECT_THAT(replayed.error, HasSubstr("with another state\n"));
  for (const char* other : {"vCPU 0", "memory", "devices", "time"})
    EXPECT_THAT(replayed.error, Not(HasSubstr(other)));
}

TEST_F(Divergence, NamesWhereAVcpuIsAndWas) {
  edit(2, "check vcpu [0-9]+ [0-9a-f]+ ", "check vcpu 77 abc ");
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr(between(2, 3) + "  vCPU 0: at RIP 0x"));
  EXPECT_THAT(replayed.error, HasSubstr("in the recording at 0xabc after 77\n"));
}

TEST_F(Divergence, NamesDevicesAndTime) {
  edit(0, "schedule [0-9a-f]+ devices [0-9a-f]+", "schedule 1 devices 2");
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr(between(0, 1) + "  time: "));
  EXPECT_THAT(replayed.error, HasSubstr("\n  devices: "));
}

TEST_F(Divergence, NamesThePageThatADebuggerHasWritten) {
  const Outcome replayed =
      replay_with([](DebugClient& client) { client.write_u8(kFreePage + 5, 1); });
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr(between(0, 1) + "  memory: the page at 0x1234000\n"));
  EXPECT_THAT(replayed.error, Not(HasSubstr("vCPU")));
}

TEST_F(Divergence, NamesTheVcpuWhoseRegisterADebuggerHasWritten) {
  const Outcome replayed = replay_with([](DebugClient& client) {
    client.request("P" + hex_number(15) + "=" + hex(little_endian(0x1234, 8)));
  });
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr(between(0, 1) + "  vCPU 0: at RIP"));
  EXPECT_THAT(replayed.error, Not(HasSubstr("memory")));
}

// After the last check there is the end.
TEST_F(Divergence, NamesWhatDiffersAtTheEnd) {
  std::ifstream file(path_);
  std::stringstream text;
  text << file.rdbuf();
  const std::string last = instruction(checks().size() - 1);
  std::ofstream(path_) << std::regex_replace(
      text.str(), std::regex("end-by-outside [0-9a-f]+ (.*) devices [0-9a-f]+"),
      "end-by-outside 1 $1 devices 1");
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error,
              HasSubstr("the replay differs from the recording after instruction " + last));
  EXPECT_THAT(replayed.error, HasSubstr("\n  devices: their state\n"));
}

TEST_F(Divergence, ADamagedCheckIsRefused) {
  edit(1, "memory", "memroy");
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr("damaged at line " + std::to_string(lines().size() - 2)));
}

}  // namespace
}  // namespace ringside::testing

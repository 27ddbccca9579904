// `monitor profile` and `monitor trace` on the real program: files that are the same in every run,
// a guest that cannot tell, and every way in which they end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;
using Start = GuestOptions::Start;

class Recording : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "only the software CPU counts instructions";
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override {
    client_.reset();
    guest_.reset();
    std::filesystem::remove_all(folder_);
  }
  void begin(const char* name, GuestOptions options) {
    client_.reset();
    options.arguments.insert(options.arguments.end(), {"--files", folder_});
    guest_.emplace(name, options);
    client_.emplace(guest_->attach());
    client_->request("qSupported:swbreak+");
  }
  std::string monitor(const std::string& command) { return testing::monitor(*client_, command); }
  // At the n-th timer interrupt of `interrupts`.
  void run_to_interrupt(std::uint64_t number) {
    client_->insert((*guest_)["handler"]);
    do {
      client_->resume();
      client_->await_stop();
    } while (client_->read_u64((*guest_)["ticks"]) != number);
    client_->remove((*guest_)["handler"]);
  }
  std::string content(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  const std::string folder_ =
      ::testing::TempDir() + "ringside-recordings-" + std::to_string(::getpid());
  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

TEST_F(Recording, AProfileIsTheSameInEveryRun) {
  std::vector<std::string> profiles, hashes;
  for (const std::string name : {"none", "one", "two"}) {
    begin("interrupts", {});
    run_to_interrupt(5);
    if (name != "none") {
      EXPECT_EQ(monitor("profile start " + name + " 1000"),
                "profile: a sample in 1000 instructions, into '" + name + "'\n");
      EXPECT_EQ(files(), name == "one" ? 1u : 2u) << "one under another name until it is complete";
    }
    run_to_interrupt(9);
    hashes.push_back(monitor("hash"));
    if (name == "none") continue;
    EXPECT_THAT(monitor("profile"), HasSubstr(" so far\n"));
    EXPECT_THAT(monitor("profile stop"),
                ContainsRegex("^profile: '" + name + "' has [0-9]+ samples, one in 1000 "));
    profiles.push_back(content(name));
  }
  EXPECT_EQ(hashes[1], hashes[0]) << "the guest cannot tell";
  ASSERT_EQ(profiles.size(), 2u);
  EXPECT_EQ(profiles[0], profiles[1]);
  EXPECT_THAT(profiles[0], StartsWith("# a profile of a guest, by ringside\n# count "));
  EXPECT_THAT(profiles[0], ContainsRegex("\n# count [0-9]+000 cpl 0 cr3 0x[0-9a-f]+\n"
                                         "guest            0/0 \\[000\\] 0\\.[0-9]{9}: 1000 "
                                         "instructions:\n\t *[0-9a-f]+ "));
  EXPECT_THAT(profiles[0], Not(ContainsRegex("# count [0-9]*[1-9][0-9]?[0-9]? cpl")));
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/one").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(Recording, AnotherOfEachBeginsAnew) {
  begin("interrupts", {});
  for (const std::uint64_t count : {5, 9}) {
    monitor("profile start profile" + std::to_string(count) + " 1000");
    monitor("trace calls calls" + std::to_string(count));
    run_to_interrupt(count);
    EXPECT_THAT(monitor("profile stop"), ContainsRegex("' has [1-9][0-9]* samples"));
    EXPECT_THAT(monitor("trace stop"), ContainsRegex("' has [1-9][0-9]* calls"));
  }
}

TEST_F(Recording, ATraceOfCallsIsTheSameInEveryRunAndTheGuestCannotTell) {
  std::vector<std::string> traces, hashes;
  for (const std::string name : {"none", "one", "two"}) {
    begin("interrupts", {});
    run_to_interrupt(5);
    if (name != "none") {
      EXPECT_THAT(monitor("trace calls " + name), StartsWith("trace: all calls, into '" + name));
    }
    run_to_interrupt(9);
    hashes.push_back(monitor("hash"));
    if (name == "none") continue;
    EXPECT_THAT(monitor("trace stop"), ContainsRegex("^trace: '" + name + "' has [0-9]+ calls"));
    traces.push_back(content(name));
  }
  EXPECT_EQ(hashes[1], hashes[0]);
  EXPECT_EQ(hashes[2], hashes[0]);
  ASSERT_EQ(traces.size(), 2u);
  EXPECT_EQ(traces[0], traces[1]);
  // The handler, from its interrupt to its IRET.
  EXPECT_THAT(traces[0],
              ContainsRegex("\\{\"name\":\"vector [0-9]+: 0x" + hex_number((*guest_)["handler"]) +
                            "\",\"ph\":\"X\",\"ts\":[0-9]+\\.[0-9]{3},\"dur\":"));
  EXPECT_TRUE(traces[0].ends_with("}\n]}\n"));
}

// The guest is translated before, and then every call is seen all the same.
TEST_F(Recording, ATraceHasEveryCall) {
  begin("counters", {});
  const std::string counters = hex_number((*guest_)["counters"]);
  const std::string tick = hex_number((*guest_)["tick"]);
  const auto run_to_tick = [&](const char* number) {
    // const32 counters, ref64, const16 NUMBER, equal, end.
    const std::string condition =
        ";Xb,24" + std::string(8 - counters.size(), '0') + counters + "1a23" + number + "1327";
    ASSERT_EQ(client_->request("Z0," + tick + ",1" + condition), "OK");
    client_->resume();
    client_->await_stop();
    client_->remove((*guest_)["tick"]);
  };
  run_to_tick("4e20");  // 20,000
  monitor("trace calls t");
  run_to_tick("7530");  // 30,000
  EXPECT_THAT(monitor("trace stop"), StartsWith("trace: 't' has 10000 calls, "));
  const std::string trace = content("t"), call = "{\"name\":\"0x" + tick + "\",\"ph\":\"X\"";
  std::size_t calls = 0;
  for (std::size_t at = 0; (at = trace.find(call, at)) != std::string::npos; ++at)
    ++calls;
  EXPECT_EQ(calls, 10'000u);
}

TEST_F(Recording, ItGoesOnWithoutADebuggerAndEndsWithTheMachine) {
  begin("counters", {.cpus = 2});
  monitor("profile start p 1000");
  monitor("trace calls t");
  client_->detach();
  client_.reset();
  guest_->await_said_numbers(2);
  guest_->process().kill(SIGTERM);
  guest_->process().await_line(Stream::Error, "profile: 'p' has ");
  guest_->process().await_exit();
  EXPECT_THAT(content("p"), HasSubstr(" [001] "));
  EXPECT_TRUE(content("t").ends_with("}\n]}\n"));
  EXPECT_EQ(files(), 2u);
}

TEST_F(Recording, AReplayHasTheProfileOfTheRun) {
  const std::string journal = folder_ + "/journal";
  for (const std::string option : {"--record", "--replay"}) {
    begin("interrupts", {.arguments = {option, journal}});
    monitor("profile start " + option.substr(2) + " 1000");
    run_to_interrupt(9);
    monitor("profile stop");
    client_.reset();
    guest_->process().kill(SIGTERM);
    guest_->process().await_exit();
  }
  EXPECT_THAT(content("record"), StartsWith("# a profile"));
  EXPECT_EQ(content("replay"), content("record"));
}

TEST_F(Recording, AResetEndsIt) {
  begin("counters", {});
  monitor("profile start p 1000");
  monitor("trace calls t");
  EXPECT_THAT(monitor("system_reset"), HasSubstr("power-on"));
  EXPECT_THAT(monitor("profile"), HasSubstr("ended because the machine was reset"));
  EXPECT_THAT(monitor("trace"), HasSubstr("ended because the machine was reset"));
  EXPECT_EQ(files(), 2u);
}

TEST_F(Recording, NothingOfThePastIsRecorded) {
  begin("interrupts", {.arguments = {"--history", "64M"}});
  run_to_interrupt(5);
  monitor("profile start p 1000");
  run_to_interrupt(6);
  const std::string before = monitor("profile");
  EXPECT_THAT(monitor("goto -5000"), StartsWith("at "));
  EXPECT_THAT(monitor("goto present"), StartsWith("at "));
  EXPECT_EQ(monitor("profile"), before);
}

TEST_F(Recording, WhatCannotBeIsSaid) {
  begin("counters", {});
  std::ofstream(folder_ + "/mine") << "something";
  EXPECT_THAT(monitor("profile start mine"), HasSubstr("mine"));
  EXPECT_EQ(content("mine"), "something");
  EXPECT_EQ(monitor("profile"), "profile: nothing is sampled\n");
  EXPECT_THAT(monitor("profile start ../x"), HasSubstr("/"));
  EXPECT_THAT(monitor("profile start x 7"), HasSubstr("100 or more"));
  EXPECT_THAT(monitor("profile start"), HasSubstr("start FILE [EVERY]"));
  EXPECT_THAT(monitor("profile stop"), HasSubstr("nothing is sampled"));
  EXPECT_THAT(monitor("trace stop"), HasSubstr("nothing is traced"));
  EXPECT_THAT(monitor("trace"), HasSubstr("nothing is traced"));
  monitor("trace calls t");
  EXPECT_THAT(monitor("trace calls u"), HasSubstr("'t' is being written"));
}

}  // namespace
}  // namespace ringside::testing

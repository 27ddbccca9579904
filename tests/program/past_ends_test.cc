// The end of a machine that is in its past: the image on the host has what the guest wrote in the
// present, whatever it has read and written since, and what is recorded or saved is the present.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

// The ledger writes a sector in each eighth round, and begins anew after sixteen of them.
constexpr unsigned kRounds = 170, kPast = 60, kSector = 512, kSectors = 16;

std::string content_after(unsigned round) {
  std::string content(kSectors * kSector, '.');
  for (unsigned written = 0; written <= round; written += 8) {
    for (unsigned i = 0; i < kSector; ++i)
      content[written / 8 % kSectors * kSector + i] = static_cast<char>(written + i);
  }
  return content;
}

class PastEnds : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  }

  std::string image() const { return folder_ / "image"; }
  std::string journal() const { return folder_ / "journal"; }
  std::string saved() const { return folder_ / "saved"; }
  std::string content() const {
    std::ifstream stream(image(), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  // The ledger, its disk as before its first round.
  void start(std::vector<std::string> arguments = {}) {
    client_.reset();
    guest_.reset();
    std::ofstream(image(), std::ios::binary | std::ios::trunc)
        << std::string(kSectors * kSector, '.');
    arguments.insert(arguments.end(), {"-d", image(), "--log", "debug"});
    guest_.emplace("ledger", GuestOptions{.cpus = 2, .arguments = std::move(arguments)});
    client_.emplace(guest_->attach());
    client_->request("qSupported:swbreak+;vContSupported+");
  }
  // In the present, at the end of this round's writes.
  void run_to_the_present() {
    const std::uint64_t place = (*guest_)["set_name"];
    client_->insert(place);
    client_->resume();
    client_->await_stop();
    for (unsigned round = 0; round < kRounds; ++round)
      client_->resume_past(place);
    ASSERT_EQ(client_->read_u64((*guest_)["rounds"]), kRounds);
    ASSERT_TRUE(content() == content_after(kRounds));
    present_ = say("hash");
  }
  std::string say(const std::string& command) {
    return unhex(client_->request("qRcmd," + hex(command)));
  }
  void go_to_the_beginning() { EXPECT_THAT(say("goto start"), StartsWith("at 0\n")); }
  // Through rounds whose sectors the guest writes once more.
  void go_on_in_the_past() {
    go_to_the_beginning();
    const std::uint64_t place = (*guest_)["set_name"];
    for (unsigned round = 0; round <= kPast; ++round) {
      client_->resume();
      client_->await_stop();
    }
    ASSERT_EQ(client_->rip(), place);
    ASSERT_EQ(client_->read_u64((*guest_)["rounds"]), kPast);
  }

  std::string state_of(ChildProcess& process) {
    std::smatch found;
    const std::string error = process.text(Stream::Error);
    std::regex_search(error, found, std::regex("state: (.*)"));
    return found[1].str() + "\n";
  }

  struct Moment {
    const char* name;
    std::function<void(PastEnds&)> come_there;
  };
  // The last two are journeys that are under way, or just over.
  const std::vector<Moment> moments_ = {
      {"at the beginning", [](PastEnds& test) { test.go_to_the_beginning(); }},
      {"after writes of the past", [](PastEnds& test) { test.go_on_in_the_past(); }},
      {"on the way back",
       [](PastEnds& test) {
         test.client_->remove((*test.guest_)["set_name"]);
         test.client_->send("bc");
       }},
      {"on the way forward",
       [](PastEnds& test) {
         test.go_on_in_the_past();
         test.client_->send("qRcmd," + hex("goto present"));
       }},
  };

  TemporaryFolder folder_;
  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
  std::string present_;  // the state's hash there
};

TEST_F(PastEnds, KilledItLeavesTheImageAsThePresentWroteIt) {
  for (const Moment& moment : moments_) {
    SCOPED_TRACE(moment.name);
    start();
    run_to_the_present();
    moment.come_there(*this);
    EXPECT_TRUE(content() == content_after(kRounds));
    guest_->process().kill(SIGKILL);
    EXPECT_EQ(guest_->process().await_exit(), 128 + SIGKILL);
    EXPECT_TRUE(content() == content_after(kRounds));
  }
}

// The present is the machine's state: it is what is recorded, hashed and saved.
TEST_F(PastEnds, EndedFromOutsideItIsThePresentThatEnds) {
  for (const Moment& moment : moments_) {
    SCOPED_TRACE(moment.name);
    std::filesystem::remove(journal());
    start({"--record", journal(), "--save", saved()});
    run_to_the_present();
    moment.come_there(*this);
    guest_->process().kill(SIGTERM);
    EXPECT_EQ(guest_->process().await_exit(), 4);
    EXPECT_TRUE(content() == content_after(kRounds));
    EXPECT_EQ(state_of(guest_->process()), present_);

    // The saved machine comes up as it was, with its disk.
    {
      ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved(), "-G", "w0"});
      const std::string line = restored.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
      DebugClient client(static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1))));
      client.request("?");
      EXPECT_EQ(unhex(client.request("qRcmd," + hex("hash"))), present_);
    }

    std::ofstream(image(), std::ios::binary | std::ios::trunc)
        << std::string(kSectors * kSector, '.');
    ChildProcess replayed({RINGSIDE_PROGRAM, "-e", "soft", "-c", "2", "-m", "32M", "-d", image(),
                           "--virtio", "mmio", "--log", "debug", "--replay", journal(),
                           guest_->image().path()});
    replayed.close_input();
    EXPECT_EQ(replayed.await_exit(), 1) << replayed.text(Stream::Error);
    EXPECT_EQ(state_of(replayed), present_);
    EXPECT_TRUE(content() == content_after(kRounds));
  }
}

// A file that is restored later would have the past's memory and the present's disk.
TEST_F(PastEnds, IsNotSavedWhereItsDiskIsAnother) {
  start({"--files", folder_.path()});
  run_to_the_present();
  go_on_in_the_past();
  EXPECT_EQ(say("save saved"),
            "save: the guest is in its past, and its disk's image has what was written since; "
            "'monitor goto present' first\n");
  EXPECT_FALSE(std::filesystem::exists(saved()));
  say("goto present");
  EXPECT_THAT(say("save saved"), StartsWith("saved 'saved' after "));
}

}  // namespace
}  // namespace ringside::testing

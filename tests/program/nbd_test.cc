// Disks of an NBD server, by the real program: what the guest writes is there, runs are repeated
// with all that failed in them, and neither a server that is gone nor one that says nothing holds
// anybody but the guest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "base/testing/temporary_folder.h"
#include "nbd/testing/server.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using nbd::testing::Fault;
using nbd::testing::Server;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

// The ledger writes a sector in each eighth round and reads another, and begins anew after sixteen.
constexpr unsigned kRounds = 100, kSector = 512, kSectors = 16;
constexpr int kPowerOff = 1, kError = 4;

std::string content_after(unsigned round) {
  std::string content(kSectors * kSector, '.');
  for (unsigned written = 0; written <= round; written += 8) {
    for (unsigned i = 0; i < kSector; ++i)
      content[written / 8 % kSectors * kSector + i] = static_cast<char>(written + i);
  }
  return content;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++found;
  return found;
}

class DisksOverNbd : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "runs are repeated on the software CPU";
  }

  std::string socket() const { return folder_ / "socket"; }
  std::string journal() const { return folder_ / "journal"; }
  std::string saved() const { return folder_ / "saved"; }
  std::string address() const { return "nbd+unix:" + socket(); }
  std::string content() {
    return {reinterpret_cast<const char*>(server_->content()), kSectors * kSector};
  }
  void serve() {
    server_.emplace(socket(), nbd::testing::Export{kSectors * kSector});
    std::memset(server_->content(), '.', kSectors * kSector);
  }
  void start(std::vector<std::string> arguments = {}, const std::string& suffix = "") {
    serve();
    arguments.insert(arguments.end(), {"-d", address() + suffix, "--log", "debug"});
    guest_.emplace("ledger", GuestOptions{.cpus = 2, .arguments = std::move(arguments)});
    client_.emplace(guest_->attach());
    client_->request("qSupported:swbreak+;vContSupported+");
    place_ = (*guest_)["set_name"];
    client_->insert(place_);
    client_->resume();
    client_->await_stop();
  }
  void run_to(unsigned round) {
    for (unsigned now = static_cast<unsigned>(client_->read_u64((*guest_)["rounds"])); now < round;
         ++now)
      client_->resume_past(place_);
    ASSERT_EQ(client_->read_u64((*guest_)["rounds"]), round);
  }
  std::string say(const std::string& command) {
    return unhex(client_->request("qRcmd," + hex(command)));
  }
  std::string said() { return guest_->process().text(Stream::Error); }
  std::string journal_text() const {
    std::ifstream stream(journal());
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  static std::string state_of(ChildProcess& process) {
    std::smatch found;
    const std::string error = process.text(Stream::Error);
    std::regex_search(error, found, std::regex("state: (.*)"));
    return found[1].str() + "\n";
  }
  void end() {
    guest_->process().kill(SIGTERM);
    EXPECT_EQ(guest_->process().await_exit(), kError) << said();
  }
  // With a server that has the content of the beginning, and does all that it is asked.
  void expect_replay(const std::string& state) {
    serve();
    ChildProcess replayed({RINGSIDE_PROGRAM, "-e", "soft", "-c", "2", "-m", "32M", "-d", address(),
                           "--virtio", "mmio", "--log", "debug", "--replay", journal(),
                           guest_->image().path()});
    replayed.close_input();
    EXPECT_EQ(replayed.await_exit(), kPowerOff) << replayed.text(Stream::Error);
    EXPECT_EQ(state_of(replayed), state);
  }

  TemporaryFolder folder_;
  std::optional<Server> server_;
  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
  std::uint64_t place_ = 0;
};

TEST_F(DisksOverNbd, HaveWhatTheGuestWroteAndAPast) {
  start({"--record", journal()});
  run_to(kRounds);
  EXPECT_TRUE(content() == content_after(kRounds));
  const std::string present = say("hash");
  EXPECT_THAT(say("goto start"), StartsWith("at 0\n"));
  client_->resume();  // to the first round, and on through writes of the past
  client_->await_stop();
  run_to(40);
  const std::string then = say("hash");
  EXPECT_TRUE(content() == content_after(kRounds)) << "the present's";
  say("goto start");
  client_->resume();
  client_->await_stop();
  run_to(40);
  EXPECT_EQ(say("hash"), then);
  say("goto present");
  EXPECT_EQ(say("hash"), present);
  end();
  expect_replay(present);
  EXPECT_TRUE(content() == content_after(kRounds));
}

TEST_F(DisksOverNbd, StayAsTheyAreWithASnapshot) {
  start({}, ",snapshot");
  run_to(kRounds);
  EXPECT_TRUE(content() == std::string(kSectors * kSector, '.'));
  const std::string present = say("hash");
  say("goto start");
  say("goto present");
  EXPECT_EQ(say("hash"), present);
}

// Some fail, and others do not; what is repeated asks a server that fails nothing.
TEST_F(DisksOverNbd, ErrorsAreOfTheRun) {
  start({"--record", journal()});
  run_to(20);
  server_->set(Fault::ReadFails);
  run_to(34);
  server_->set(Fault::None);
  run_to(60);
  server_->set(Fault::WriteFails);
  run_to(70);
  server_->set(Fault::None);
  run_to(90);
  // What the last one has not read is still seen in memory.
  server_->set(Fault::ReadFails);
  run_to(kRounds);
  EXPECT_THAT(said(),
              AllOf(HasSubstr("a read of 512 bytes at "), HasSubstr("a write of 512 bytes")));
  EXPECT_THAT(journal_text(), HasSubstr(" disk-failure 0 "));
  const std::string present = say("hash");
  server_->set(Fault::None);
  say("goto start");
  client_->resume();
  client_->await_stop();
  run_to(kRounds);
  EXPECT_EQ(say("hash"), present);
  say("goto present");
  end();
  expect_replay(present);
}

TEST_F(DisksOverNbd, AServerThatIsGoneIsOneLineAndErrors) {
  start({"--record", journal()});
  run_to(50);
  server_->end();
  run_to(kRounds);
  EXPECT_EQ(count(said(), "the server is gone, and the guest gets errors"), 1u) << said();
  EXPECT_EQ(count(journal_text(), "disk-gone 0 "), 1u);
  const std::string present = say("hash");
  // What was read then cannot be read any more.
  say("goto start");
  client_->send("c");
  EXPECT_EQ(client_->receive(),
            "O" + hex("disk 0 cannot be read or written now, as it was then, so "
                      "that the run cannot be repeated\n"));
  EXPECT_EQ(client_->receive(), "S05");
  say("goto present");
  EXPECT_EQ(say("hash"), present);
  end();
  expect_replay(present);
}

// A file's errors are the run's as well: of sectors that it has no more, until a write makes it
// longer.
TEST_F(DisksOverNbd, AFileIsTreatedAlike) {
  const std::string image = folder_ / "image";
  const auto make = [&] { std::ofstream(image) << std::string(kSectors * kSector, '\0'); };
  make();
  guest_.emplace(
      "ledger",
      GuestOptions{.cpus = 2, .arguments = {"-d", image, "--record", journal(), "--log", "debug"}});
  client_.emplace(guest_->attach());
  std::filesystem::resize_file(image, 0);
  client_->request("qSupported:swbreak+;vContSupported+");
  place_ = (*guest_)["set_name"];
  client_->insert(place_);
  client_->resume();
  client_->await_stop();
  run_to(30);  // the last one has failed, which is seen in memory
  EXPECT_THAT(journal_text(), HasSubstr(" disk-failure 0 "));
  const std::string line = "disk image " + image + ": somebody has cut it from 8192 to 0 bytes";
  EXPECT_EQ(count(said(), line), 1u) << said();
  const std::string present = say("hash");
  end();
  make();
  ChildProcess replayed({RINGSIDE_PROGRAM, "-e", "soft", "-c", "2", "-m", "32M", "-d", image,
                         "--virtio", "mmio", "--log", "debug", "--replay", journal(),
                         guest_->image().path()});
  replayed.close_input();
  EXPECT_EQ(replayed.await_exit(), kPowerOff) << replayed.text(Stream::Error);
  EXPECT_EQ(state_of(replayed), present);
  EXPECT_THAT(replayed.text(Stream::Error), Not(HasSubstr("cut"))) << "nobody has asked the file";
}

TEST_F(DisksOverNbd, AReplayNeedsTheServer) {
  start({"--record", journal()});
  run_to(50);
  end();
  serve();
  server_->set(Fault::Vanishes, 5);  // after the content was read
  ChildProcess replayed({RINGSIDE_PROGRAM, "-e", "soft", "-c", "2", "-m", "32M", "-d", address(),
                         "--virtio", "mmio", "--replay", journal(), guest_->image().path()});
  replayed.close_input();
  EXPECT_EQ(replayed.await_exit(), kError);
  EXPECT_THAT(replayed.text(Stream::Error),
              HasSubstr("disk 0 cannot be read or written now, as it was then"));
}

TEST_F(DisksOverNbd, AServerThatSaysNothingHoldsNobodyButTheGuest) {
  start();
  run_to(7);
  server_->set(Fault::AnswersLater);
  client_->resume();
  client_->interrupt();
  client_->await_stop();
  EXPECT_LE(client_->read_u64((*guest_)["rounds"]), 8u);
  EXPECT_THAT(say("hash"), HasSubstr(" instructions, hash "));
  // It goes on where the server does.
  client_->resume();
  server_->set(Fault::None);
  client_->await_stop();
  server_->set(Fault::AnswersLater);
  client_->send("c");
  while (server_->requests() < 4)
    ::sched_yield();
  end();
}

TEST_F(DisksOverNbd, NorInThePast) {
  start();
  run_to(30);
  server_->set(Fault::AnswersLater);
  client_->resume();
  client_->interrupt();
  client_->await_stop();
  const std::string present = say("hash");
  EXPECT_THAT(say("goto start"), StartsWith("at 0\n"));
  EXPECT_THAT(say("goto present"), HasSubstr("in the present"));
  EXPECT_EQ(say("hash"), present);
  EXPECT_THAT(say("goto start"), StartsWith("at 0\n"));
  end();
}

TEST_F(DisksOverNbd, ASavedMachineDoesNotTrustThem) {
  start({"--files", folder_.path()});
  run_to(20);
  const std::string present = say("hash");
  ASSERT_THAT(say("save saved"), StartsWith("saved 'saved' after "));
  end();
  const auto restore = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{RINGSIDE_PROGRAM, "--restore", saved(), "-G", "w0"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  ChildProcess refused(restore({}));
  EXPECT_EQ(refused.await_exit(), kError);
  EXPECT_THAT(refused.text(Stream::Error),
              HasSubstr("is a server's, and nobody knows whether it has changed"));
  {
    ChildProcess restored(restore({"-d", address()}));
    const std::string line = restored.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
    DebugClient client(static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1))));
    client.request("?");
    EXPECT_EQ(unhex(client.request("qRcmd," + hex("hash"))), present);
  }
  server_.emplace(socket(), nbd::testing::Export{kSector});
  ChildProcess other(restore({"-d", address()}));
  EXPECT_EQ(other.await_exit(), kError);
  EXPECT_THAT(other.text(Stream::Error),
              HasSubstr("--disk: disk 0 of the saved machine has 8192 bytes, and '" + address() +
                        "' has 512"));
}

TEST(DiskOfAServer, IsRefusedInASentence) {
  const TemporaryFolder folder;
  const std::string address = "nbd+unix:" + (folder / "none").string();
  ChildProcess process({RINGSIDE_PROGRAM, "-d", address, GuestImage("speech").path()});
  process.close_input();
  EXPECT_EQ(process.await_exit(), kError);
  EXPECT_THAT(process.text(Stream::Error), AllOf(StartsWith("ringside: disk " + address + ": "),
                                                 HasSubstr("No such file or directory")));
}

}  // namespace
}  // namespace ringside::testing

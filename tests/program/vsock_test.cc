// Sockets between guest and host in the whole program: in both directions, again without any, and
// what is left of them where the machine goes on from another moment, or their process is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"
#include "support/local_socket.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;
using Start = GuestOptions::Start;

std::string first_line_of(const std::string& path) {
  std::string line;
  std::getline(std::ifstream(path), line);
  return line;
}

// Nothing: 0.
pid_t child_named(pid_t parent, const std::string& name) {
  const std::string number = std::to_string(parent);
  std::istringstream children(first_line_of("/proc/" + number + "/task/" + number + "/children"));
  for (pid_t child = 0; children >> child;) {
    if (first_line_of("/proc/" + std::to_string(child) + "/comm") == name) return child;
  }
  return 0;
}

void kill_child(pid_t parent, const std::string& name) {
  const pid_t child = child_named(parent, name);
  ASSERT_GT(child, 0);
  ::kill(child, SIGKILL);
}

class VsockInProgram : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(engine())); }
  GuestOptions options(std::vector<std::string> more = {},
                       Start start = Start::WithoutDebug) const {
    more.insert(more.begin(), {"--vsock", path_});
    return {.start = start, .arguments = std::move(more)};
  }
  LocalSocket connect() const { return connect(path_); }
  static LocalSocket connect(const std::string& path) {
    LocalSocket socket = LocalSocket::connect(path);
    socket.write("CONNECT 80\n");
    EXPECT_THAT(socket.read_line(), ::testing::StartsWith("OK "));
    return socket;
  }
  static void switch_off(LocalSocket& socket, GuestProcess& guest) {
    socket.write("q");
    EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
  }
  static std::string state_of(ChildProcess& process) {
    const std::string& error = process.text(Stream::Error);
    const std::size_t at = error.find("state: ");
    return at == std::string::npos ? error : error.substr(at, error.find('\n', at) - at);
  }
  std::string why_not() const {
    ChildProcess process({RINGSIDE_PROGRAM, "-e", "soft", "-m", "4M", "--vsock", path_,
                          GuestImage("sockets").path()});
    EXPECT_EQ(process.await_exit(), 4);
    return process.text(Stream::Error);
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "socket";
};

TEST_F(VsockInProgram, CarryWhatIsSaidInBothDirections) {
  const LocalListener listener(path_ + "_7000");
  GuestProcess guest("sockets", options());
  guest.await_said("!");
  struct stat status {};
  ASSERT_EQ(::lstat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  LocalSocket socket = connect();
  const std::string much(200'000, 'x');
  EXPECT_TRUE(socket.exchange(much) == much);
  LocalSocket asks = connect();
  asks.write("call");
  LocalSocket called = listener.accept();
  EXPECT_EQ(called.read_to_end(), "hello");
  LocalSocket last = connect();
  switch_off(last, guest);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(VsockInProgram, TheGuestIsRefusedWhereNobodyListens) {
  GuestProcess guest("sockets", options());
  guest.await_said("!");
  LocalSocket asks = connect();
  asks.write("call");
  guest.await_said("x");
  switch_off(asks, guest);
}

TEST_F(VsockInProgram, AreRepeatedWithoutASocket) {
  if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  const std::string journal = folder_ / "journal";
  std::string state;
  {
    GuestProcess guest("sockets", options({"--record", journal, "--log", "debug"}));
    guest.await_said("!");
    LocalSocket socket = connect();
    const std::string much(100'000, 'y');
    EXPECT_TRUE(socket.exchange(much) == much);
    LocalSocket last = connect();
    switch_off(last, guest);
    state = state_of(guest.process());
    EXPECT_THAT(state, HasSubstr("hash"));
  }
  std::ofstream(path_) << "somebody else's";
  GuestProcess again("sockets", options({"--replay", journal, "--log", "debug"}));
  EXPECT_EQ(again.process().await_exit(), 1) << again.process().text(Stream::Error);
  EXPECT_EQ(state_of(again.process()), state);
  EXPECT_TRUE(std::filesystem::exists(path_)) << "it is not ours to remove";
}

// Who ends is ringside; its process stays until a slow program has read.
TEST_F(VsockInProgram, GiveWhatTheGuestHadSentWhenTheMachineHasEnded) {
  GuestProcess guest("sockets", options());
  guest.await_said("!");
  LocalSocket socket = connect();
  const pid_t process = child_named(guest.process().pid(), "ringside-vsock");
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  ASSERT_TRUE(handle);
  socket.write("s");
  EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(wait_readable(handle.get(), Deadline(std::chrono::seconds(0))))
      << "it has more than the socket takes";
  std::string all;
  for (unsigned i = 0; i < 192; ++i)
    all.append(1024, static_cast<char>('a' + i % 26));
  EXPECT_TRUE(socket.read_to_end() == all);
  EXPECT_TRUE(wait_readable(handle.get(), Deadline())) << "it has nothing more to do";
}

TEST_F(VsockInProgram, TakeNobodysPlace) {
  std::ofstream(path_) << "a file";
  EXPECT_THAT(why_not(), HasSubstr("--vsock: cannot listen on unix:" + path_));
  EXPECT_EQ(std::filesystem::file_size(path_), 6u);
  std::filesystem::remove(path_);
  const LocalListener another(path_);
  EXPECT_THAT(why_not(), HasSubstr("--vsock: cannot listen on unix:" + path_));
}

TEST_F(VsockInProgram, TakeThePlaceOfOneThatWasKilled) {
  {
    GuestProcess killed("sockets", options());
    killed.await_said("!");
    killed.process().kill(SIGKILL);
    killed.process().await_exit();
  }
  GuestProcess guest("sockets", options());
  guest.await_said("!");
  LocalSocket socket = connect();
  switch_off(socket, guest);
}

TEST_F(VsockInProgram, EndWhereASavedMachineGoesOn) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  const std::string saved = folder_ / "saved", other = folder_ / "other";
  GuestProcess guest("sockets", options({"--save", saved}));
  guest.await_said("!");
  LocalSocket socket = connect();
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  EXPECT_EQ(socket.read_to_end(), "");
  ChildProcess wrong({RINGSIDE_PROGRAM, "--restore", saved, "--vsock", other + ",cid=9"});
  EXPECT_EQ(wrong.await_exit(), 4);
  EXPECT_THAT(wrong.text(Stream::Error), HasSubstr("cid=9, but the saved machine has 3"));
  for (int i = 0; i < 2; ++i) {
    ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved, "--vsock", other});
    restored.await(Stream::Output, "f");
    LocalSocket anew = connect(other);
    anew.write("q");
    EXPECT_EQ(restored.await_exit(), 1) << restored.text(Stream::Error);
  }
  ChildProcess without({RINGSIDE_PROGRAM, "--restore", saved});
  without.await(Stream::Output, "fx");  // it calls, and is refused at once
  without.kill(SIGTERM);
  EXPECT_EQ(without.await_exit(), 4) << without.text(Stream::Error);
}

TEST_F(VsockInProgram, EndWhereAnotherFutureBegins) {
  if (engine() != "soft") GTEST_SKIP() << "there is no past on KVM";
  GuestProcess guest("sockets", options({}, Start::Running));
  guest.await_said("!");
  LocalSocket socket = connect();
  DebugClient client = guest.attach();
  const auto say = [&](const std::string& command) { client.request("qRcmd," + hex(command)); };
  say("goto -1000");
  say("branch");
  client.detach();
  EXPECT_EQ(socket.read_to_end(), "");
  guest.await_said("f");
  LocalSocket anew = connect();
  switch_off(anew, guest);
}

// As after an error of its own. Nobody is let wait there, and the guest does not wait either.
TEST_F(VsockInProgram, EndWithTheirProcess) {
  GuestProcess guest("sockets", options());
  guest.await_said("!");
  LocalSocket socket = connect();
  kill_child(guest.process().pid(), "ringside-vsock");
  EXPECT_EQ(socket.read_to_end(), "");
  guest.process().await(Stream::Error, "vsock: the process at its other end is gone");
  EXPECT_FALSE(std::filesystem::exists(path_));
  guest.await_said("fx");
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
}

TEST_F(VsockInProgram, RefuseTheGuestWithoutTheProcessThatConnects) {
  const LocalListener listener(path_ + "_7000");
  GuestProcess guest("sockets", options());
  guest.await_said("!");
  kill_child(child_named(guest.process().pid(), "ringside-vsock"), "ringside-call");
  guest.process().await(Stream::Error, "vsock: the process that connects to programs of this host");
  LocalSocket asks = connect();
  asks.write("call");
  guest.await_said("x");
  switch_off(asks, guest);
}

// A server that says nothing holds the start up.
TEST_F(VsockInProgram, LeaveNothingWhereTheStartIsEnded) {
  const std::string disk = folder_ / "disk";
  const LocalListener server(disk);
  GuestProcess guest("sockets", options({"-d", "nbd+unix:" + disk}));
  LocalSocket silent = server.accept();
  EXPECT_FALSE(std::filesystem::exists(path_));
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace ringside::testing

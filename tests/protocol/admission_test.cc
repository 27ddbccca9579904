// Who may connect, and what a connection does before it has said anything.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/testing/temporary_folder.h"
#include "protocol/protocol_test.h"
#include "support/other_host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kOther = 65534;

enum class Afterwards { Waits, Leaves };

// Another user connects and says something. What it heard up to the end of the connection, unless
// it has left at once.
template <typename Place>  // a port, or a unix socket's path
std::string other_user_says(const Place& place, std::string_view words, Afterwards afterwards) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    (void)!::setgroups(0, nullptr);
    // Before there is a socket of this user.
    if (::setresgid(kOther, kOther, kOther) != 0 || ::setresuid(kOther, kOther, kOther) != 0)
      ::_exit(1);
    std::optional<RawClient> client;
    try {
      client.emplace(place);
    } catch (const std::exception&) {
      ::_exit(2);
    }
    const int own = client->descriptor();
    if (::send(own, words.data(), words.size(), MSG_NOSIGNAL) < 0) ::_exit(0);
    std::array<char, 4096> buffer;
    ssize_t count = 0;
    while (afterwards == Afterwards::Waits && (count = ::read(own, buffer.data(), 4096)) > 0)
      (void)!::write(ends[1], buffer.data(), static_cast<std::size_t>(count));
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string heard;
  std::array<char, 4096> buffer;
  for (ssize_t count = 0; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
    heard.append(buffer.data(), static_cast<std::size_t>(count));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("another user could not connect");
  return heard;
}

std::string change_of(std::uint64_t address) {
  return RawClient::frame("M" + hex_number(address) + ",1:99");
}

class Admission : public Protocol {
 protected:
  // The guest runs, and has not stopped for anybody.
  static void expect_untouched(GuestProcess& guest, std::uint64_t unchanged) {
    DebugClient client = guest.attach();
    EXPECT_EQ(client.read_u64(unchanged) & 0xff, 0u);
  }
  static void await_error(GuestProcess& guest, std::string_view text) {
    guest.process().await(ChildProcess::Stream::Error, text);
  }
  // The port at which the program says that it listens.
  static std::uint16_t await_port(GuestProcess& guest, std::string_view start) {
    const std::string line = guest.process().await_line(ChildProcess::Stream::Error, start);
    return static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
  }
};

class AnotherUser : public Admission {
 protected:
  void SetUp() override {
    SKIP_IF(host::no_other_user());
    Admission::SetUp();
  }
};

TEST_F(AnotherUser, IsClosedUnheardAndTheLogHasTheWayOut) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said_numbers(1);
  const std::uint64_t spare = guest["hold"];
  EXPECT_EQ(other_user_says(guest.port(), change_of(spare), Afterwards::Waits), "");
  await_error(guest,
              "gdb: a client of user 65534 was refused: only root of this host may connect "
              "(--gdb-allow any admits others)\n");
  expect_untouched(guest, spare);
}

// A socket that is closed has no owner any more, and the kernel would say root.
TEST_F(AnotherUser, WhoLeavesAtOnceIsNotTakenForRoot) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said_numbers(1);
  const std::uint64_t spare = guest["hold"];
  for (int i = 0; i < 20; ++i)
    other_user_says(guest.port(), change_of(spare), Afterwards::Leaves);
  expect_untouched(guest, spare);
}

TEST_F(AnotherUser, IsLetInWhereAnybodyMay) {
  GuestProcess guest("counters", {.start = Start::Running, .arguments = {"--gdb-allow", "any"}});
  const std::string packets = RawClient::frame("QStartNoAckMode") + RawClient::frame("D");
  EXPECT_THAT(other_user_says(guest.port(), packets, Afterwards::Waits), HasSubstr("$OK#9a"));
}

TEST_F(AnotherUser, HasNoSerialConsole) {
  GuestProcess guest("silent_serial",
                     {.start = Start::WithoutDebug, .arguments = {"-s", "127.0.0.1:0"}});
  const std::uint16_t port = await_port(guest, "serial: listening on ");
  EXPECT_EQ(other_user_says(port, "text\n", Afterwards::Waits), "");
  await_error(guest, "serial: a client of user 65534 was refused");
}

// The file lets it in, and the kernel says who it is.
TEST_F(AnotherUser, IsClosedOnAUnixSocketWhateverItsModeIs) {
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const std::string path = folder / "gdb";
  GuestProcess guest("counters",
                     {.start = Start::WithoutDebug, .arguments = {"-G", "unix:" + path}});
  await_error(guest, "gdb: listening on unix:");
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(other_user_says(path, change_of(guest["hold"]), Afterwards::Waits), "");
  await_error(guest, "gdb: a client of user 65534 was refused: only root of this host may");
  DebugClient client(path);
  EXPECT_EQ(client.read_u64(guest["hold"]) & 0xff, 0u);
}

TEST_F(AnotherUser, HasNoWayToTheGuestsSockets) {
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const std::string path = folder / "vsock";
  GuestProcess guest("sockets", {.start = Start::WithoutDebug, .arguments = {"--vsock", path}});
  guest.await_said("!");
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(other_user_says(path, "CONNECT 1\n", Afterwards::Waits), "");
  await_error(guest,
              "vsock: a client of user 65534 was refused: only root of this host may connect "
              "(--gdb-allow any, which goes for --vsock too, admits others)");
}

// In the sandbox another process opens the socket.
TEST_F(AnotherUser, IsClosedWhereTheDebugServerCameLate) {
  GuestProcess guest("counters", {.start = Start::WithoutDebug});
  guest.await_said_numbers(1);
  guest.process().kill(SIGUSR1);
  const std::uint16_t port = await_port(guest, "gdb: listening on 127.0.0.1:");
  EXPECT_EQ(other_user_says(port, change_of(guest["hold"]), Afterwards::Waits), "");
  await_error(guest, "gdb: a client of user 65534 was refused: only root of this host may");
  DebugClient client(port);
  EXPECT_EQ(client.read_u64(guest["hold"]) & 0xff, 0u);
}

TEST_F(AnotherUser, IsLetInWhereItHasTakenRootsPlace) {
  const passwd* const user = ::getpwuid(kOther);
  if (user == nullptr) GTEST_SKIP() << "user 65534 has no name";
  GuestProcess guest("counters", {.start = Start::Running, .arguments = {"--user", user->pw_name}});
  guest.await_said_numbers(1);
  const std::string packets = RawClient::frame("QStartNoAckMode") + RawClient::frame("D");
  EXPECT_THAT(other_user_says(guest.port(), packets, Afterwards::Waits), HasSubstr("$OK#9a"));
  guest.attach();  // root still may
}

class AnotherHost : public Admission {
 protected:
  void SetUp() override {
    SKIP_IF(host::no_network_namespaces());
    Admission::SetUp();
  }
  static DebugClient connect(const OtherHost& other) {
    return other.there([&] { return DebugClient(other.port()); });
  }
  static std::string say_token(DebugClient& client, const std::string& token) {
    return unhex(client.request("qRcmd," + hex("auth " + token)));
  }
};

TEST_F(AnotherHost, IsClosedUnheardUnlessAnybodyMayConnect) {
  const OtherHost other;
  GuestProcess guest("counters", other.options());
  await_error(guest, "are refused; --gdb-allow any admits them\ngdb: listening on 0.0.0.0:");
  connect(other).await_close();
  await_error(guest, "was refused: only root of this host may connect (--gdb-allow any admits");
}

// The process sleeps where the guest is stopped.
TEST_F(AnotherHost, HasNoEffectBeforeItSaysTheToken) {
  const OtherHost other;
  GuestProcess guest("counters", other.options({"--gdb-allow", "any"}));
  const std::string token = other.token_in(guest.process());
  guest.await_said_numbers(1);
  DebugClient client = connect(other);
  client.request("qSupported:error-message-");
  EXPECT_EQ(client.request("?"), "W00");
  const std::string place = hex_number(guest["hold"]);
  for (const std::string& packet :
       {"M" + place + ",1:99", "m" + place + ",8", "Z0," + place + ",1", std::string("vAttach;1"),
        std::string("c"), std::string("k"), std::string("vRun;"), std::string("vCont;t"),
        std::string("qXfer:features:read:target.xml:0,100")})
    EXPECT_EQ(client.request(packet), "E02") << packet;
  client.interrupt();
  EXPECT_THAT(unhex(client.request("qRcmd," + hex("quit"))), HasSubstr("monitor auth TOKEN"));
  guest.process().await_busy();
  EXPECT_THAT(say_token(client, token), HasSubstr("Now 'attach 1'"));
  guest.process().await_busy();
  client.request("!");
  parse_stop(client.request("vAttach;1"));
  EXPECT_EQ(client.read_u64(guest["hold"]) & 0xff, 0u);
}

TEST_F(AnotherHost, HasThreeTries) {
  const OtherHost other;
  GuestProcess guest("counters", other.options({"--gdb-allow", "any"}));
  const std::string token = other.token_in(guest.process());
  DebugClient client = connect(other);
  std::string nearly = token;
  nearly.back() = nearly.back() == '0' ? '1' : '0';
  for (const std::string& wrong : {nearly, token.substr(1), token + "0"})
    EXPECT_THAT(say_token(client, wrong), HasSubstr("This is not the token"));
  client.await_close();
  await_error(guest, "gdb: closed a debugger from 127.0.0.1: it said wrong tokens\n");
  DebugClient next = connect(other);
  EXPECT_THAT(say_token(next, token), HasSubstr("Now 'attach 1'"));
}

TEST_F(AnotherHost, IsClosedWhereItIsNoDebugger) {
  const OtherHost other;
  GuestProcess guest("counters", other.options({"--gdb-allow", "any"}));
  RawClient client = connect(other);
  client.send_bytes("GET / HTTP/1.1\r\n" + RawClient::frame("?"));
  client.await_close();
  await_error(guest, "gdb: closed what is no debugger, from 127.0.0.1\n");
}

// What a browser was made to send by a web page, with packets in the body.
TEST_F(Admission, WhatIsNoDebuggerIsClosedAtItsFirstBytes) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said_numbers(1);
  const std::uint64_t spare = guest["hold"];
  const std::string body = change_of(spare);
  for (const std::string begin :
       {"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "OPTIONS * ",
        "\x16\x03\x01", "SSH-2.0-x\r\n", "{\"a\":1}", "Host: x", "++-POST /", "%Stop:", "}", " "}) {
    SCOPED_TRACE(begin);
    RawClient client(guest.port());
    client.send_bytes(begin + body);
    client.await_close();
  }
  await_error(guest, "gdb: closed what is no debugger: it began with 'POST / HTTP/1.1.'\n");
  await_error(guest, "it began with '...");
  expect_untouched(guest, spare);
}

TEST_F(Admission, AWebRequestIsNotTypedIntoTheGuest) {
  GuestProcess guest("silent_serial",
                     {.start = Start::WithoutDebug, .arguments = {"-s", "127.0.0.1:0"}});
  RawClient client(await_port(guest, "serial: listening on "));
  client.send_bytes("POST / HTTP/1.1\r\n\r\nreboot\n");
  client.await_close();
  await_error(guest, "serial: a client that speaks HTTP was closed\n");
}

// The guest runs on beside a client that only connects, and who speaks first is the first.
TEST_F(Admission, WhoConnectsAndSaysNothingStopsNothingAndHoldsNobodyUp) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said_numbers(1);
  RawClient silent = guest.connect();
  RawClient acknowledging = guest.connect();
  acknowledging.send_bytes("+++");
  const std::uint64_t counters = guest["counters"];
  const std::uint64_t before = await_change(guest, counters, 0);
  EXPECT_NE(await_change(guest, counters, before), before);
  EXPECT_FALSE(silent.closed());
  DebugClient client = guest.attach();
  EXPECT_EQ(client.request("M" + hex_number(guest["hold"]) + ",1:00"), "OK") << "it has control";
}

// A seventeenth finds no place within the ten seconds that they have.
TEST_F(Admission, SilentClientsHaveOnlySoManyPlaces) {
  GuestProcess guest("counters", {.start = Start::Running});
  std::vector<DebugClient> silent;
  for (int i = 0; i < 16; ++i)
    silent.push_back(guest.connect());
  RawClient further = guest.connect();
  further.await_close();
  await_error(guest, "gdb: a client was turned away: too many that say nothing have just come\n");
  for (DebugClient& client : silent)
    EXPECT_FALSE(client.closed());
  parse_stop(silent[3].request("?"));
}

}  // namespace
}  // namespace ringside::testing

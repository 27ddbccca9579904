// Listeners and connections over real sockets on this machine.
#include "transport/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "base/testing/host.h"
#include "base/testing/temporary_folder.h"
#include "transport/testing/client.h"
#include "transport/unix_address.h"

namespace ringside::transport {
namespace {

bool wait_for(int fd, short events) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, kPatienceMs) == 1;
}

Listener listen(const Endpoint& endpoint) {
  auto listener = Listener::open(endpoint);
  if (!listener) throw std::runtime_error(listener.error().text());
  return std::move(*listener);
}

Connection accept_one(Listener& listener) {
  EXPECT_TRUE(wait_for(listener.descriptor().value(), POLLIN));
  auto connection = listener.accept();
  if (!connection) throw std::runtime_error("nobody to accept");
  return std::move(*connection);
}

std::string read_some(Connection& connection) {
  EXPECT_TRUE(wait_for(connection.input(), POLLIN));
  char buffer[256];
  return std::string(buffer, connection.read(buffer));
}

void say(const Fd& fd, std::string_view text) {
  ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

std::string hear(const Fd& fd) {
  char buffer[256];
  const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
  return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
}

void check_dialogue(Listener& listener) {
  const Fd client = connect_to(listener.endpoint());
  ASSERT_TRUE(client);
  Connection connection = accept_one(listener);
  char buffer[16];
  EXPECT_EQ(connection.read(buffer), 0u);
  EXPECT_FALSE(connection.gone());
  say(client, "$g#67");
  EXPECT_EQ(read_some(connection), "$g#67");
  EXPECT_EQ(connection.write("+$OK#9a"), 7u);
  EXPECT_EQ(hear(client), "+$OK#9a");
  EXPECT_NE(::fcntl(connection.input(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Listener, ServesTcp) {
  Listener listener = listen(TcpEndpoint{});
  EXPECT_NE(std::get<TcpEndpoint>(listener.endpoint()).port, 0);
  EXPECT_FALSE(listener.reachable_from_outside());
  check_dialogue(listener);
  check_dialogue(listener);
}

TEST(Listener, ServesTcpOverIpv6) {
  if (const std::string why = ringside::testing::host::no_ipv6(); !why.empty()) GTEST_SKIP() << why;
  Listener listener = listen(TcpEndpoint{"::1", 0});
  EXPECT_FALSE(listener.reachable_from_outside());
  check_dialogue(listener);
}

TEST(Listener, SendsAtOnce) {
  Listener listener = listen(TcpEndpoint{});
  const Fd client = connect_to(listener.endpoint());
  const Connection connection = accept_one(listener);
  int on = 0;
  socklen_t size = sizeof on;
  ASSERT_EQ(::getsockopt(connection.input(), IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
  EXPECT_NE(on, 0);
}

// A peer that does not read holds up what is written for it before megabytes of it are on their
// way.
TEST(Listener, KeepsLittleForAPeerThatDoesNotRead) {
  const ringside::testing::TemporaryFolder folder;
  for (const Endpoint& endpoint :
       {Endpoint(TcpEndpoint{}), Endpoint(UnixEndpoint{folder / "gdb"})}) {
    Listener listener = listen(endpoint);
    const Fd client = connect_to(listener.endpoint());
    const Connection connection = accept_one(listener);
    const std::string text(16 * 1024, 'a');
    std::size_t written = 0;
    for (ssize_t count = 1; count > 0; written += count > 0 ? static_cast<std::size_t>(count) : 0)
      count = ::send(connection.output(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    EXPECT_GT(written, 16u * 1024);
    EXPECT_LT(written, 512u * 1024);
  }
}

TEST(Listener, TellsWhetherOthersCanReachIt) {
  EXPECT_TRUE(listen(TcpEndpoint{"0.0.0.0", 0}).reachable_from_outside());
  EXPECT_FALSE(listen(TcpEndpoint{"127.1.2.3", 0}).reachable_from_outside());
  const ringside::testing::TemporaryFolder folder;
  EXPECT_FALSE(listen(UnixEndpoint{folder / "gdb"}).reachable_from_outside());
}

TEST(Listener, NamesTheEndpointThatIsBusy) {
  const Listener first = listen(TcpEndpoint{});
  const auto second = Listener::open(first.endpoint());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::System);
  EXPECT_EQ(second.error().text(),
            "cannot listen on " + to_string(first.endpoint()) + ": Address already in use");
}

TEST(Listener, NamesTheAddressThatIsNone) {
  const auto listener = Listener::open(TcpEndpoint{"300.1.1.1.invalid", 1});
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().text().find("cannot listen on 300.1.1.1.invalid:1: "), 0u);
}

TEST(Listener, TakesItsPortAgainAtOnce) {
  auto first = std::make_optional(listen(TcpEndpoint{}));
  const Endpoint endpoint = first->endpoint();
  const Fd client = connect_to(endpoint);
  {
    // Closed on our side first, so that it is ours that lies in TIME_WAIT.
    const Connection connection = accept_one(*first);
  }
  first.reset();
  EXPECT_TRUE(Listener::open(endpoint));
}

TEST(Listener, ServesAUnixSocketForItsOwnerOnly) {
  const ringside::testing::TemporaryFolder folder;
  const std::string path = folder / "gdb";
  {
    Listener listener = listen(UnixEndpoint{path});
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
    check_dialogue(listener);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listener, ReplacesAStaleUnixSocketOnly) {
  const ringside::testing::TemporaryFolder folder;
  const std::string path = folder / "gdb";
  {
    // What a killed process leaves: the file, with nobody behind it.
    const auto address = unix_address(path);
    const Fd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(dead.get(), address->any(), address->kSize), 0);
  }
  Listener listener = listen(UnixEndpoint{path});
  check_dialogue(listener);

  const auto second = Listener::open(UnixEndpoint{path});
  ASSERT_FALSE(second);
  EXPECT_FALSE(listener.accept());  // it was not disturbed
  EXPECT_EQ(second.error().text(), "cannot listen on unix:" + path + ": Address already in use");
  check_dialogue(listener);

  const std::string file = folder / "file";
  Fd(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).reset();
  EXPECT_FALSE(Listener::open(UnixEndpoint{file}));
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(Listener, LeavesAnotherProcesssSocketFileInPlace) {
  const ringside::testing::TemporaryFolder folder;
  const std::string path = folder / "gdb";
  auto first = std::make_optional(listen(UnixEndpoint{path}));
  std::filesystem::remove(path);
  Listener second = listen(UnixEndpoint{path});
  first.reset();
  check_dialogue(second);
}

TEST(Connection, TellsThatTheClientIsGone) {
  Listener listener = listen(TcpEndpoint{});
  {
    Fd client = connect_to(listener.endpoint());
    Connection connection = accept_one(listener);
    say(client, "bye");
    client.reset();
    EXPECT_EQ(read_some(connection), "bye");
    EXPECT_FALSE(connection.gone());
    EXPECT_EQ(read_some(connection), "");
    EXPECT_TRUE(connection.gone());
    EXPECT_EQ(connection.write("x"), 0u);
  }
  {
    Fd client = connect_to(listener.endpoint());
    Connection connection = accept_one(listener);
    const linger reset{1, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client.reset();
    EXPECT_EQ(read_some(connection), "");
    EXPECT_TRUE(connection.gone());
    // No SIGPIPE, or we would not get here.
    EXPECT_EQ(connection.write("x"), 0u);
  }
}

TEST(Connection, WritesWhatThereIsRoomFor) {
  Listener listener = listen(TcpEndpoint{});
  const Fd client = connect_to(listener.endpoint());
  Connection connection = accept_one(listener);
  const std::string block(1 << 16, 'x');
  std::size_t total = 0;
  while (const std::size_t count = connection.write(block))
    total += count;
  EXPECT_GT(total, block.size());
  EXPECT_FALSE(connection.gone());
  std::size_t heard = 0;
  while (heard < total)
    heard += hear(client).size();
  EXPECT_EQ(heard, total);
}

TEST(Connection, LastWordsReachAClientThatWasStillTalking) {
  Listener listener = listen(TcpEndpoint{});
  const Fd client = connect_to(listener.endpoint());
  {
    Connection connection = accept_one(listener);
    say(client, "never read");
    EXPECT_TRUE(wait_for(connection.input(), POLLIN));
    EXPECT_EQ(connection.write("OK"), 2u);
  }
  EXPECT_EQ(hear(client), "OK");
  char byte = 0;
  EXPECT_EQ(::read(client.get(), &byte, 1), 0);  // an end, no reset
}

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

TEST(Connection, RunsOverPipes) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  const int blocking = ::fcntl(out.write_end.get(), F_GETFL);
  Connection connection =
      Connection::over_descriptors(std::move(in.read_end), std::move(out.write_end));
  char buffer[16];
  EXPECT_EQ(connection.read(buffer), 0u);
  EXPECT_FALSE(connection.gone());
  say(in.write_end, "$g#67");
  EXPECT_EQ(read_some(connection), "$g#67");
  EXPECT_EQ(connection.write("OK"), 2u);
  EXPECT_EQ(hear(out.read_end), "OK");
  EXPECT_EQ(::fcntl(connection.output(), F_GETFL), blocking);
  // Stops at a full pipe instead of blocking.
  const std::string block(1 << 20, 'x');
  const std::size_t count = connection.write(block);
  EXPECT_GT(count, 0u);
  EXPECT_LT(count, block.size());
  EXPECT_FALSE(connection.gone());
  in.write_end.reset();
  EXPECT_EQ(read_some(connection), "");
  EXPECT_TRUE(connection.gone());
}

TEST(Connection, SurvivesABrokenPipe) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Connection connection =
      Connection::over_descriptors(std::move(in.read_end), std::move(out.write_end));
  out.read_end.reset();
  EXPECT_EQ(connection.write("OK"), 0u);
  EXPECT_TRUE(connection.gone());
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(Listener, TakesStandardInputAndOutputOnce) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  const Fd old_input(::dup(STDIN_FILENO));
  const Fd old_output(::dup(STDOUT_FILENO));
  std::fflush(stdout);
  ::dup2(in.read_end.get(), STDIN_FILENO);
  ::dup2(out.write_end.get(), STDOUT_FILENO);
  {
    Listener listener = listen(StdioEndpoint{});
    say(in.write_end, "$g#67");
    Connection connection = accept_one(listener);
    EXPECT_FALSE(listener.descriptor());
    EXPECT_FALSE(listener.accept());
    EXPECT_EQ(read_some(connection), "$g#67");
    EXPECT_EQ(connection.write("OK"), 2u);
  }
  EXPECT_EQ(hear(out.read_end), "OK");
  ::dup2(old_input.get(), STDIN_FILENO);
  ::dup2(old_output.get(), STDOUT_FILENO);
}

}  // namespace
}  // namespace ringside::transport

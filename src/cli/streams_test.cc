// What stands between the guest's bytes and the host's descriptors.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/host_output.h"
#include "cli/single_client.h"
#include "cli/terminal.h"

namespace ringside::cli {
namespace {

using std::chrono::milliseconds;
using transport::Poller;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(KeyFilter, TakesOutTheCommands) {
  KeyFilter keys;
  EXPECT_EQ(text(keys.filter(bytes("plain"))), "plain");
  EXPECT_EQ(text(keys.filter(bytes("a\x01\x01z"))), "a\x01z");
  EXPECT_EQ(text(keys.filter(bytes("\x01qb"))), "b");
  EXPECT_FALSE(keys.quit());
  EXPECT_EQ(text(keys.filter(bytes("x\x01"))), "x");
  EXPECT_FALSE(keys.quit());
  EXPECT_EQ(text(keys.filter(bytes("x"))), "");
  EXPECT_TRUE(keys.quit());
}

TEST(HostOutput, WritesEverythingInOrder) {
  Poller poller = Poller::create().value();
  const std::string path = ::testing::TempDir() + "ringside-output-" + std::to_string(::getpid());
  std::string expected;
  {
    const auto output = HostOutput::file(poller, path).value();
    for (int i = 0; i < 30000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      expected += line;
      output->append(bytes(line));
      if (i % 1000 == 0) output->flush();
    }
  }
  EXPECT_EQ(text(read_file(path, "output").value()), expected);
  ::unlink(path.c_str());
}

TEST(HostOutput, NamesTheFileThatItCannotWrite) {
  Poller poller = Poller::create().value();
  const auto output = HostOutput::file(poller, "/nowhere/at/all");
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().text(), "cannot write '/nowhere/at/all': No such file or directory");
}

TEST(ReadFile, NamesWhatAndWhy) {
  EXPECT_EQ(read_file("/nowhere", "kernel").error().text(),
            "cannot read kernel '/nowhere': No such file or directory");
  EXPECT_EQ(read_file("/", "kernel").error().text(), "cannot read kernel '/': Is a directory");
  EXPECT_EQ(read_file("/dev/null", "kernel").value().size(), 0u);
}

class Recorder final : public ClientHandler {
 public:
  void on_connected() override { log += "["; }
  void on_bytes(std::span<const std::byte> data) override {
    log.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  void on_disconnected() override {
    log += "]";
    out.clear();
  }
  std::string_view output() const override { return out; }
  void wrote(std::size_t count) override { out.erase(0, count); }
  std::size_t room() const override { return room_now; }
  bool wants_close() const override { return close; }

  std::string log, out;
  std::size_t room_now = 1000;
  bool close = false;
};

class SingleClientTest : public ::testing::Test {
 protected:
  SingleClientTest()
      : path_(::testing::TempDir() + "ringside-client-" + std::to_string(::getpid())),
        poller_(Poller::create().value()),
        client_(
            SingleClient::open(poller_, transport::UnixEndpoint{path_}, "test", handler_).value()) {
  }

  Fd connect() {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  // The main loop, until nothing more happens.
  void turn() {
    std::string before;
    do {
      before = handler_.log;
      for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(poller_.wait(milliseconds(0)));
        client_->update();
      }
    } while (handler_.log != before);
  }
  static void send(const Fd& fd, std::string_view text) {
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  static std::string receive(const Fd& fd) {
    char buffer[1000];
    const ssize_t count = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return count < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(count));
  }

  std::string path_;
  Poller poller_;
  Recorder handler_;
  std::unique_ptr<SingleClient> client_;
};

TEST_F(SingleClientTest, MovesBytesBothWays) {
  const Fd peer = connect();
  send(peer, "hello");
  turn();
  EXPECT_EQ(handler_.log, "[hello");
  handler_.out = "answer";
  turn();
  EXPECT_EQ(receive(peer), "answer");
}

TEST_F(SingleClientTest, ASecondClientIsTurnedAwayAndTheFirstDoesNotNotice) {
  const Fd first = connect();
  turn();
  const Fd second = connect();
  turn();
  EXPECT_EQ(receive(second), "");  // end of file
  send(first, "still here");
  turn();
  EXPECT_EQ(handler_.log, "[still here");
  EXPECT_EQ(receive(first), "nothing");
}

TEST_F(SingleClientTest, TheNextComesAtOnceAfterTheLast) {
  Fd first = connect();
  turn();
  send(first, "last words");
  first.reset();
  const Fd second = connect();
  send(second, "next");
  turn();
  EXPECT_EQ(handler_.log, "[last words][next");
}

TEST_F(SingleClientTest, WhatTheLastSentIsReadToItsEndFirst) {
  Fd first = connect();
  turn();
  handler_.room_now = 3;
  send(first, "0123456789");
  first.reset();
  const Fd second = connect();
  turn();
  EXPECT_EQ(handler_.log, "[0123456789][");
}

TEST_F(SingleClientTest, StopsReadingWithoutRoom) {
  const Fd peer = connect();
  turn();
  handler_.room_now = 0;
  client_->update();
  send(peer, "wait");
  turn();
  EXPECT_EQ(handler_.log, "[");
  handler_.room_now = 2;
  client_->update();
  turn();
  EXPECT_EQ(handler_.log, "[wait");
}

TEST_F(SingleClientTest, ClosesWhenTheHandlerIsDone) {
  const Fd peer = connect();
  turn();
  handler_.out = "bye";
  handler_.close = true;
  turn();
  EXPECT_EQ(handler_.log, "[]");
  EXPECT_EQ(receive(peer), "bye");
  EXPECT_EQ(receive(peer), "");
}

}  // namespace
}  // namespace ringside::cli

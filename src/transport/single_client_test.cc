// One client at a time, over a real socket.
#include "transport/single_client.h"

#include "transport/poller.h"
#include "transport/unix_address.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace ringside::transport {
namespace {

using std::chrono::milliseconds;

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
  bool wants_descriptors() const override { return takes_descriptors; }
  void on_descriptors(std::vector<Fd> came) override {
    log += "(" + std::to_string(came.size()) + ")";
    for (Fd& fd : came)
      descriptors.push_back(std::move(fd));
  }

  std::string log, out;
  std::size_t room_now = 1000;
  bool close = false;
  bool takes_descriptors = false;
  std::vector<Fd> descriptors;
};

class SingleClientTest : public ::testing::Test {
 protected:
  SingleClientTest()
      : path_(::testing::TempDir() + "ringside-client-" + std::to_string(::getpid())),
        poller_(Poller::create().value()),
        client_(SingleClient::open(poller_, UnixEndpoint{path_}, "test", handler_).value()) {}

  Fd connect() {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = unix_address(path_);
    EXPECT_EQ(::connect(fd.get(), address->any(), address->kSize), 0);
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

// While the first has something unread nobody knows whether it stays. Who has waited for that comes
// next, and stays, whoever else comes.
TEST_F(SingleClientTest, WhoHasWaitedIsServedThoughOthersWait) {
  for (const std::size_t room : {1000, 0}) {
    SCOPED_TRACE(room);
    Fd first = connect();
    turn();
    handler_.log.clear();
    handler_.room_now = 1000;
    send(first, "first");
    Fd second = connect();
    ASSERT_TRUE(poller_.wait(milliseconds(0)));  // one round: second waits, and first is read
    ASSERT_EQ(handler_.log, "first");
    first.reset();
    handler_.room_now = room;
    const Fd third = connect(), fourth = connect();
    turn();
    ASSERT_EQ(handler_.log, "first][");
    handler_.room_now = 1000;
    client_->update();
    send(second, "second");
    turn();
    EXPECT_EQ(handler_.log, "first][second");
    EXPECT_EQ(receive(second), "nothing");
    EXPECT_EQ(receive(third), "");
    EXPECT_EQ(receive(fourth), "");
    second.reset();
    turn();
    ASSERT_EQ(handler_.log, "first][second]");
  }
}

// Also where its descriptor is among those of the very round in which the first goes.
TEST_F(SingleClientTest, OneThatIsLetWaitIsServedOnceTheFirstHasGone) {
  client_->let_further_wait();
  Fd first = connect();
  turn();
  Fd second = connect();
  send(second, "b");
  turn();
  EXPECT_EQ(handler_.log, "[");
  send(first, "a");
  first.reset();
  turn();
  EXPECT_EQ(handler_.log, "[a][b");
}

TEST_F(SingleClientTest, DescriptorsComeBeforeTheBytesThatTheyCameWith) {
  const auto send_pipe = [](const Fd& socket, Fd& other, char byte) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    other.reset(ends[0]);
    const Fd sent(ends[1]);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec bytes{&byte, 1};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &ends[1], sizeof(int));
    ASSERT_EQ(::sendmsg(socket.get(), &message, 0), 1);
  };
  Fd pipe;
  char byte = 0;
  for (const bool takes : {false, true}) {
    handler_.takes_descriptors = takes;
    handler_.log.clear();
    Fd fd = connect();
    turn();
    send(fd, "a");
    turn();
    ASSERT_NO_FATAL_FAILURE(send_pipe(fd, pipe, 'b'));
    turn();
    send(fd, "c");
    turn();
    EXPECT_EQ(handler_.log, takes ? "[a(1)bc" : "[abc");
    if (!takes) {
      EXPECT_EQ(::read(pipe.get(), &byte, 1), 0) << "it is closed";
    }
    fd.reset();
    turn();
  }
  ASSERT_EQ(handler_.descriptors.size(), 1u);
  EXPECT_EQ(::write(handler_.descriptors[0].get(), "x", 1), 1);
  EXPECT_EQ(::read(pipe.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
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
}  // namespace ringside::transport

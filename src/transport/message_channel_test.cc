#include "transport/message_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <string>

namespace ringside::transport {
namespace {

using namespace std::chrono_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

struct MessageChannelTest : ::testing::Test {
  MessageChannelTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    other.reset(ends[1]);
    channel.emplace(poller, Fd(ends[0]),
                    MessageChannel::Receiver{[this] { return received.size() < room; },
                                             [this](std::vector<std::byte> message) {
                                               received.emplace_back(
                                                   reinterpret_cast<const char*>(message.data()),
                                                   message.size());
                                             },
                                             [this] { ++ends_seen; }});
  }
  void turn() {
    channel->update();
    EXPECT_TRUE(poller.wait(0ns));
  }

  Poller poller = std::move(*Poller::create());
  Fd other;
  std::vector<std::string> received;
  std::size_t room = 100;
  int ends_seen = 0;
  std::optional<MessageChannel> channel;
};

TEST_F(MessageChannelTest, SendsAndReceives) {
  EXPECT_TRUE(channel->send(bytes_of("question")));
  turn();
  const auto question = receive_message(other.get());
  ASSERT_TRUE(question);
  EXPECT_EQ(question->size(), 8u);
  ASSERT_TRUE(send_message(other.get(), bytes_of("answer")));
  EXPECT_TRUE(poller.wait(std::nullopt));
  EXPECT_EQ(received, (std::vector<std::string>{"answer"}));
}

TEST_F(MessageChannelTest, DrainsAsFarAsTheOtherProcessReads) {
  const std::vector<std::byte> large(400'000);
  ASSERT_TRUE(channel->send(large));
  channel->drain(0ms);
  EXPECT_NE(channel->unsent(), 0u);
  auto read = std::async([this] { return receive_message(other.get()); });
  channel->drain(1h);
  EXPECT_EQ(channel->unsent(), 0u);
  EXPECT_EQ(read.get(), large);
}

TEST_F(MessageChannelTest, HandsOnWhatThereIsRoomFor) {
  room = 1;
  for (const char* text : {"one", "two", "three"})
    ASSERT_TRUE(send_message(other.get(), bytes_of(text)));
  turn();
  turn();
  EXPECT_EQ(received, (std::vector<std::string>{"one"}));
  room = 2;
  turn();
  EXPECT_EQ(received, (std::vector<std::string>{"one", "two"}));
  room = 3;
  turn();
  EXPECT_EQ(received, (std::vector<std::string>{"one", "two", "three"}));
}

// Whoever does not read costs so much memory and no more.
TEST_F(MessageChannelTest, KeepsABoundedAmountAndAllOfWhatItTook) {
  const std::string large(100'000, 'x');
  unsigned taken = 0;
  while (channel->send(bytes_of(large))) {
    ++taken;
    turn();
    ASSERT_LT(taken, 1000u);
  }
  EXPECT_GE(taken, 10u);
  for (unsigned i = 0; i < taken; ++i) {
    // What the socket takes at once is less than a message.
    std::size_t got = 0;
    std::vector<std::byte> room_for(large.size() + kMessageHeader);
    while (got != room_for.size()) {
      const ssize_t count =
          ::recv(other.get(), room_for.data() + got, room_for.size() - got, MSG_DONTWAIT);
      if (count > 0) got += static_cast<std::size_t>(count);
      turn();
    }
  }
  EXPECT_TRUE(channel->send(bytes_of("again")));
}

TEST_F(MessageChannelTest, SaysOnceThatTheOtherSideIsGone) {
  ASSERT_TRUE(send_message(other.get(), bytes_of("last words")));
  other.reset();
  turn();
  turn();
  EXPECT_EQ(received, (std::vector<std::string>{"last words"}));
  EXPECT_EQ(ends_seen, 1);
  EXPECT_FALSE(channel->send(bytes_of("late")));
}

TEST_F(MessageChannelTest, EndsWhereTheOtherSideMakesNoSense) {
  const std::string nonsense(8, '\xff');
  ASSERT_EQ(::send(other.get(), nonsense.data(), nonsense.size(), 0), 8);
  turn();
  EXPECT_EQ(ends_seen, 1);
  char byte = 0;
  EXPECT_EQ(::recv(other.get(), &byte, 1, 0), 0);
}

}  // namespace
}  // namespace ringside::transport

#include "transport/message_stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include "base/fd.h"

namespace ringside::transport {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// As they are sent; none of them is long.
std::vector<std::byte> stream_of(std::initializer_list<std::string_view> messages) {
  std::vector<std::byte> stream;
  for (const std::string_view message : messages) {
    const std::byte header[kMessageHeader]{static_cast<std::byte>(message.size())};
    stream.insert(stream.end(), std::begin(header), std::end(header));
    const auto bytes = bytes_of(message);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  return stream;
}

TEST(MessageReader, TakesMessagesApartWhereverTheStreamIsCut) {
  const std::vector<std::byte> stream = stream_of({"one", "", "and a third"});
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    MessageReader reader;
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      reader.append(std::span(stream).subspan(at, std::min(piece, stream.size() - at)));
      while (reader.has_message())
        messages.push_back(text_of(*reader.next()));
      EXPECT_FALSE(reader.next());
    }
    EXPECT_EQ(messages, (std::vector<std::string>{"one", "", "and a third"})) << piece;
    EXPECT_FALSE(reader.is_broken());
  }
}

TEST(MessageReader, IsBrokenByALengthThatNoMessageHas) {
  MessageReader reader;
  std::vector<std::byte> stream = stream_of({"good"});
  const std::byte too_long[]{std::byte{1}, std::byte{0}, std::byte{0x10}, std::byte{0}};
  stream.insert(stream.end(), std::begin(too_long), std::end(too_long));
  reader.append(stream);
  EXPECT_FALSE(reader.is_broken());
  EXPECT_EQ(text_of(*reader.next()), "good");
  EXPECT_TRUE(reader.is_broken());
  EXPECT_FALSE(reader.has_message());
}

struct MessageSocket : ::testing::Test {
  MessageSocket() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    one.reset(ends[0]);
    other.reset(ends[1]);
  }
  bool send_bytes(std::span<const std::byte> bytes) const {
    return ::send(one.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  }
  Fd one, other;
};

TEST_F(MessageSocket, CarriesMessagesThatAreLargerThanItsBuffer) {
  const std::string large(kMaxMessage, 'x');
  std::thread sender([&] {
    EXPECT_TRUE(send_message(one.get(), bytes_of(large)));
    EXPECT_TRUE(send_message(one.get(), {}));
    one.reset();
  });
  EXPECT_EQ(text_of(*receive_message(other.get())), large);
  EXPECT_TRUE(receive_message(other.get())->empty());
  EXPECT_FALSE(receive_message(other.get())) << "the other side is gone";
  sender.join();
  EXPECT_FALSE(send_message(other.get(), bytes_of("late")));
}

TEST_F(MessageSocket, RefusesWhatIsTooLong) {
  EXPECT_FALSE(send_message(one.get(), bytes_of(std::string(kMaxMessage + 1, 'x'))));
  const std::byte header[]{std::byte{1}, std::byte{0}, std::byte{0x10}, std::byte{0}};
  ASSERT_EQ(::send(one.get(), header, sizeof header, 0), 4);
  EXPECT_FALSE(receive_message(other.get()));
}

using Received = MessageReader::Received;
using Waiting = MessageReader::Waiting;

TEST_F(MessageSocket, IsReadWhereItIs) {
  MessageReader reader;
  EXPECT_EQ(reader.receive(other.get(), Waiting::No), Received::Nothing);
  const std::vector<std::byte> stream = stream_of({"one", "two"});
  ASSERT_TRUE(send_bytes(stream));
  EXPECT_EQ(reader.receive(other.get(), Waiting::No), Received::All);
  EXPECT_EQ(text_of(*reader.next()), "one");
  EXPECT_EQ(text_of(*reader.next()), "two");
  EXPECT_FALSE(reader.next());
  one.reset();
  EXPECT_EQ(reader.receive(other.get(), Waiting::No), Received::End);
}

TEST_F(MessageSocket, IsWaitedForUntilAMessageIsWhole) {
  MessageReader reader;
  const std::string large(kMaxMessage, 'x');
  std::thread sender([&] {
    for (const std::byte byte : stream_of({"slow"}))
      EXPECT_TRUE(send_bytes({&byte, 1}));
    EXPECT_TRUE(send_message(one.get(), bytes_of(large)));
    one.reset();
  });
  EXPECT_EQ(text_of(*reader.await(other.get())), "slow");
  EXPECT_EQ(text_of(*reader.await(other.get())), large);
  EXPECT_FALSE(reader.await(other.get())) << "the other side is gone";
  sender.join();
}

TEST_F(MessageSocket, IsNotWaitedForWhereItMakesNoSense) {
  MessageReader reader;
  const std::byte header[]{std::byte{1}, std::byte{0}, std::byte{0x10}, std::byte{0}};
  ASSERT_TRUE(send_bytes(header));
  EXPECT_FALSE(reader.await(other.get()));
}

TEST_F(MessageSocket, TakesWhatHasBeenWritten) {
  MessageWriter writer(1000);
  EXPECT_TRUE(writer.empty());
  EXPECT_TRUE(writer.add(bytes_of("one")));
  EXPECT_TRUE(writer.add({}));
  EXPECT_EQ(writer.size(), 3 + 2 * kMessageHeader);
  EXPECT_TRUE(writer.flush(one.get()));
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(text_of(*receive_message(other.get())), "one");
  EXPECT_TRUE(receive_message(other.get())->empty());
  other.reset();
  EXPECT_TRUE(writer.add(bytes_of("late")));
  EXPECT_FALSE(writer.flush(one.get()));
}

// Whatever the socket takes at a time, all that was taken comes, in its order and once.
TEST_F(MessageSocket, TakesAllOfWhatIsKeptMeanwhile) {
  constexpr std::size_t kRoom = std::size_t{3} << 20;
  MessageWriter writer(kRoom);
  MessageReader reader;
  std::size_t written = 0, read = 0;
  const auto message = [](std::size_t number) {
    return std::to_string(number) + std::string(number * 7919 % 100'000, 'x');
  };
  for (unsigned round = 0; round < 50; ++round) {
    while (writer.add(bytes_of(message(written))))
      ++written;
    EXPECT_LE(writer.size(), kRoom);
    ASSERT_TRUE(writer.flush(one.get()));
    EXPECT_FALSE(writer.empty()) << "a socket does not take so much";
    ASSERT_NE(reader.receive(other.get(), Waiting::No), Received::End);
    while (const auto next = reader.next())
      ASSERT_EQ(text_of(*next), message(read++));
  }
  while (read < written) {
    ASSERT_TRUE(writer.flush(one.get()));
    ASSERT_EQ(text_of(*reader.await(other.get())), message(read++));
  }
  EXPECT_TRUE(writer.empty());
}

TEST(MessageWriter, HasRoomForSoMuchAndNoMore) {
  const std::string text(10, 'x');
  MessageWriter writer(2 * (kMessageHeader + text.size()));
  EXPECT_TRUE(writer.add(bytes_of(text)));
  EXPECT_FALSE(writer.add(bytes_of(text + "x")));
  EXPECT_TRUE(writer.add(bytes_of(text)));
  EXPECT_FALSE(writer.add({}));
  writer.clear();
  EXPECT_TRUE(writer.empty());
  EXPECT_TRUE(writer.add(bytes_of(text)));
}

TEST(MessageWriter, TakesNothingThatIsTooLong) {
  MessageWriter writer(std::size_t{4} << 20);
  EXPECT_FALSE(writer.add(bytes_of(std::string(kMaxMessage + 1, 'x'))));
  EXPECT_TRUE(writer.add(bytes_of(std::string(kMaxMessage, 'x'))));
}

}  // namespace
}  // namespace ringside::transport

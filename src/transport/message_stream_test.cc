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

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> stream_of(std::initializer_list<std::string_view> messages) {
  std::vector<std::byte> stream;
  for (const std::string_view message : messages) {
    const std::vector<std::byte> bytes = framed(bytes_of(message));
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

}  // namespace
}  // namespace ringside::transport

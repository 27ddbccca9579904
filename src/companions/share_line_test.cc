#include "companions/share_line.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"
#include "transport/message_stream.h"

namespace ringside::companions {
namespace {

using namespace std::chrono_literals;
using Message = std::vector<std::byte>;

Message message(std::uint8_t type, std::uint16_t tag) {
  Message bytes(7);
  bytes[0] = std::byte{7};
  bytes[4] = std::byte{type};
  bytes[5] = static_cast<std::byte>(tag);
  bytes[6] = static_cast<std::byte>(tag >> 8);
  return bytes;
}

struct ShareLineTest : ::testing::Test {
  ShareLineTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    server.reset(ends[1]);
    line.emplace(poller, Fd(ends[0]), "test",
                 [this](Message answer) { answers.push_back(std::move(answer)); });
  }
  void turn() {
    line->update();
    EXPECT_TRUE(poller.wait(0ns));
    line->update();
  }
  void expect_error(const Message& answer, std::uint16_t tag) {
    ASSERT_EQ(answer.size(), 11u);
    EXPECT_EQ(answer[0], std::byte{11});
    EXPECT_EQ(answer[4], std::byte{7}) << "Rlerror";
    EXPECT_EQ(answer[5], static_cast<std::byte>(tag));
    EXPECT_EQ(answer[6], static_cast<std::byte>(tag >> 8));
    EXPECT_EQ(answer[7], std::byte{EIO});
  }

  transport::Poller poller = std::move(*transport::Poller::create());
  Fd server;
  std::vector<Message> answers;
  std::optional<ShareLine> line;
};

TEST_F(ShareLineTest, CarriesRequestsAndAnswers) {
  line->request(message(100, 0x1234));
  EXPECT_TRUE(line->awaits_answer());
  turn();
  EXPECT_EQ(transport::receive_message(server.get()), message(100, 0x1234));
  ASSERT_TRUE(transport::send_message(server.get(), message(101, 0x1234)));
  turn();
  EXPECT_EQ(answers, (std::vector<Message>{message(101, 0x1234)}));
  EXPECT_FALSE(line->awaits_answer());
}

TEST_F(ShareLineTest, IsTakenForNoOtherAnswer) {
  ASSERT_TRUE(transport::send_message(server.get(), message(101, 1)));
  turn();
  EXPECT_TRUE(answers.empty()) << "nobody has asked";
}

TEST_F(ShareLineTest, AnswersWithErrorsWhenTheServerIsGone) {
  line->request(message(100, 1));
  line->request(message(100, 0x1502));
  turn();
  server.reset();
  turn();
  ASSERT_EQ(answers.size(), 2u);
  expect_error(answers[0], 1);
  expect_error(answers[1], 0x1502);
  line->request(message(100, 3));
  line->request({});
  turn();
  ASSERT_EQ(answers.size(), 4u);
  expect_error(answers[2], 3);
  expect_error(answers[3], 0xffff);
}

TEST_F(ShareLineTest, TellsOnceThatTheDirectoryWasRemoved) {
  std::vector<std::string> said;
  log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); },
                log::Level::Warning);
  line->request(message(100, 1));
  line->request(message(100, 2));
  turn();
  for (const std::uint16_t tag : {1, 2}) {
    ASSERT_TRUE(transport::send_message(server.get(), message(7, tag)));
    ASSERT_TRUE(transport::send_message(server.get(), {}));
  }
  turn();
  log::set_sink({}, log::Level::Off);
  EXPECT_EQ(answers, (std::vector<Message>{message(7, 1), message(7, 2)}));
  EXPECT_EQ(said, (std::vector<std::string>{
                      "shared folder test: somebody has removed it, and the guest gets "
                      "errors; one that is made anew is shared by a new start"}));
}

// As long as it takes nothing, there is no end to what a guest may ask.
TEST_F(ShareLineTest, GivesUpAServerThatTakesNothing) {
  const Message large(200'000);
  for (unsigned i = 0; i < 20; ++i) {
    line->request(large);
    turn();
  }
  EXPECT_EQ(answers.size(), 20u);
  EXPECT_FALSE(line->awaits_answer());
}

}  // namespace
}  // namespace ringside::companions

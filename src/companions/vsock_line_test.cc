#include "companions/vsock_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <optional>
#include <utility>

#include "base/log.h"
#include "transport/message_stream.h"
#include "vsock/line.h"

namespace ringside::companions {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using Message = std::vector<std::byte>;

Message packet(unsigned char what) { return Message(44, std::byte{what}); }

struct VsockLineTest : ::testing::Test {
  VsockLineTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    process.reset(ends[1]);
    line.emplace(poller, Fd(ends[0]), Admission{},
                 VsockLine::Guest{[this] { return has_room; },
                                  [this](Message message) { come.push_back(std::move(message)); },
                                  [this] { ++rooms; }});
  }
  void turn() {
    line->update();
    EXPECT_TRUE(poller.wait(0ns));
    line->update();
  }
  void say(const Message& message) { ASSERT_TRUE(transport::send_message(process.get(), message)); }

  transport::Poller poller = std::move(*transport::Poller::create());
  Fd process;
  bool has_room = true;
  unsigned rooms = 0;
  std::vector<Message> come;
  std::optional<VsockLine> line;
};

TEST_F(VsockLineTest, CarriesPacketsBothWays) {
  line->send(packet(1));
  turn();
  EXPECT_EQ(transport::receive_message(process.get()), packet(1));
  has_room = false;
  say(packet(2));
  turn();
  EXPECT_TRUE(come.empty());
  has_room = true;
  turn();
  EXPECT_THAT(come, ElementsAre(packet(2)));
}

TEST_F(VsockLineTest, WhatWasSaidBeforeTheGuestForgotIsOfNoConnection) {
  say(packet(1));
  line->send({});
  has_room = false;  // a guest that has been reset need not have any
  say(packet(2));
  turn();
  EXPECT_EQ(transport::receive_message(process.get()), Message());
  say({});
  has_room = true;
  say(packet(3));
  turn();
  EXPECT_THAT(come, ElementsAre(packet(3)));
}

TEST_F(VsockLineTest, BothForgetWhereTheMachineGoesOnFromAnotherMoment) {
  has_room = false;  // it is in its past still
  line->forget();
  turn();
  EXPECT_EQ(transport::receive_message(process.get()), Message());
  EXPECT_TRUE(come.empty());
  has_room = true;
  turn();
  turn();
  EXPECT_THAT(come, ElementsAre(Message()));
}

TEST_F(VsockLineTest, TheGuestWaitsForAProcessThatTakesNothing) {
  const Message large(100'000);
  unsigned count = 0;
  for (; !line->is_full(); ++count)
    line->send(large);
  EXPECT_GE(count, 3u);
  turn();
  EXPECT_EQ(rooms, 0u);
  for (unsigned i = 0; i < count; ++i) {
    turn();
    EXPECT_EQ(transport::receive_message(process.get()), large) << "nothing is lost";
  }
  turn();
  EXPECT_FALSE(line->is_full());
  EXPECT_EQ(rooms, 1u);
}

TEST_F(VsockLineTest, TheGuestForgetsWhenTheProcessIsGone) {
  while (!line->is_full())
    line->send(packet(1));
  process.reset();
  turn();
  turn();
  EXPECT_TRUE(line->is_gone());
  EXPECT_THAT(come, ElementsAre(Message()));
  EXPECT_FALSE(line->is_full()) << "nobody waits for it";
  EXPECT_EQ(rooms, 1u);
  line->send(packet(2));
  line->send({});
  turn();
  EXPECT_EQ(come.size(), 1u);
}

TEST_F(VsockLineTest, TheProcessGetsAllThatWasSentBeforeTheMachineEnds) {
  const Message large(100'000);
  unsigned count = 0;
  for (; !line->is_full(); ++count)
    line->send(large);
  auto read = std::async([this] {
    std::vector<Message> all;
    while (auto message = transport::receive_message(process.get()))
      all.push_back(*std::move(message));
    return all;
  });
  line.reset();
  std::vector<Message> all = read.get();
  ASSERT_EQ(all.size(), count + 1);
  EXPECT_TRUE(vsock::says_that_machine_has_ended(all.back()));
  all.pop_back();
  for (const Message& message : all)
    EXPECT_EQ(message, large);
}

TEST_F(VsockLineTest, TellsWhoWasRefused) {
  std::vector<std::string> said;
  log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); },
                log::Level::Warning);
  const std::uint32_t user = ::geteuid() + 1;
  say(Message(reinterpret_cast<const std::byte*>(&user),
              reinterpret_cast<const std::byte*>(&user) + sizeof user));
  turn();
  log::set_sink({}, log::Level::Off);
  EXPECT_TRUE(come.empty());
  EXPECT_THAT(said, ElementsAre(::testing::StartsWith("vsock: a client of user " +
                                                      std::to_string(user) + " was refused")));
}

}  // namespace
}  // namespace ringside::companions

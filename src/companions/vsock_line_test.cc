#include "companions/vsock_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <optional>
#include <utility>

#include "base/log.h"
#include "transport/message_stream.h"
#include "vsock/line.h"

namespace ringside::companions {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre, ::testing::StartsWith;
using Message = std::vector<std::byte>;

Message packet(unsigned char what) { return Message(44, std::byte{what}); }

struct VsockLineTest : ::testing::Test {
  VsockLineTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    process.reset(ends[1]);
    open(Fd(ends[0]));
  }
  void open(Fd socket) {
    line.emplace(poller, std::move(socket), Admission{},
                 VsockLine::Guest{[this] { return has_room; },
                                  [this](Message message) { come.push_back(std::move(message)); },
                                  [this] { ++rooms; },
                                  [this] {
                                    EXPECT_TRUE(come.empty());
                                    is_gone = true;
                                  }});
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
  bool is_gone = false;
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
  EXPECT_TRUE(is_gone);
  EXPECT_THAT(come, ElementsAre(Message()));
  EXPECT_FALSE(line->is_full()) << "nobody waits for it";
  EXPECT_EQ(rooms, 1u);
}

// At once, and not after the time that a guest waits for an answer.
TEST_F(VsockLineTest, TheGuestIsRefusedWhereTheProcessIsGone) {
  process.reset();
  has_room = false;
  turn();
  machine::VsockHeader request;
  request.source_cid = 3;
  request.destination_cid = machine::kHostCid;
  request.source_port = 100;
  request.destination_port = 200;
  request.type = machine::kVsockStream;
  request.operation = machine::VsockOperation::Request;
  const auto send = [&] { line->send(std::as_bytes(std::span(&request, 1))); };
  send();
  line->send({});  // and has forgotten it
  send();
  EXPECT_TRUE(poller.wait(std::nullopt)) << "the main loop is to look";
  turn();
  EXPECT_TRUE(come.empty());
  has_room = true;
  turn();
  ASSERT_EQ(come.size(), 2u);
  EXPECT_EQ(come[0], Message());
  machine::VsockHeader reset;
  ASSERT_EQ(come[1].size(), sizeof reset);
  std::memcpy(&reset, come[1].data(), sizeof reset);
  EXPECT_EQ(reset.operation, machine::VsockOperation::Reset);
  EXPECT_EQ(reset.destination_cid, 3u);
  EXPECT_EQ(reset.destination_port, 100u);
  EXPECT_EQ(reset.source_port, 200u);
}

// Of a machine that was saved and goes on without them.
TEST_F(VsockLineTest, TheGuestIsRefusedWhereThereHasNeverBeenAProcess) {
  open({});
  machine::VsockHeader request;
  request.source_port = 100;
  request.operation = machine::VsockOperation::Request;
  line->send(std::as_bytes(std::span(&request, 1)));
  EXPECT_TRUE(poller.wait(std::nullopt)) << "the main loop is to look";
  turn();
  ASSERT_EQ(come.size(), 1u);
  machine::VsockHeader reset;
  ASSERT_EQ(come[0].size(), sizeof reset);
  std::memcpy(&reset, come[0].data(), sizeof reset);
  EXPECT_EQ(reset.operation, machine::VsockOperation::Reset);
  EXPECT_EQ(reset.destination_port, 100u);
  EXPECT_FALSE(line->is_full());
  line->forget();
  turn();
  EXPECT_EQ(come.size(), 2u);
  EXPECT_FALSE(is_gone) << "nobody listened who could be gone";
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

TEST_F(VsockLineTest, TellsWhatTheProcessNotices) {
  using vsock::Notice;
  std::vector<std::string> said;
  log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); },
                log::Level::Warning);
  const std::uint32_t user = ::geteuid() + 1;
  const auto notice = [&](Notice::What what) {
    const Notice all{what, user};
    say({all.bytes().begin(), all.bytes().end()});
  };
  notice(Notice::What::Refused);
  notice(Notice::What::NobodyCalls);
  notice(static_cast<Notice::What>(7));  // of a process that somebody has taken over
  turn();
  log::set_sink({}, log::Level::Off);
  EXPECT_TRUE(come.empty());
  EXPECT_THAT(said, ElementsAre(StartsWith("vsock: a client of user " + std::to_string(user) +
                                           " was refused"),
                                StartsWith("vsock: the process that connects to programs of this "
                                           "host is gone")));
}

}  // namespace
}  // namespace ringside::companions

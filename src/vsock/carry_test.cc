// The end of the line: what the guest had sent before it is the programs' when the machine has
// ended in order, as quickly as they read, but not for ever.
#include "vsock/carry.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <string>

#include "transport/message_stream.h"
#include "vsock/line.h"
#include "vsock/testing/bench.h"

namespace ringside::vsock {
namespace {

using testing::Operation, testing::VsockHeader;
using namespace std::chrono_literals;

struct NoDoor final : Door {
  int descriptor() const override { return -1; }
  void open(Exchange&) override {}
};

struct CarryTest : ::testing::Test {
  CarryTest() {
    // So that little is enough for something to be left.
    const int least = 1;
    ::setsockopt(socket.second.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
  }
  static std::string packet(Operation operation, std::string_view data = {}) {
    VsockHeader header;
    header.source_cid = testing::kGuest;
    header.destination_cid = machine::kHostCid;
    header.source_port = 100;
    header.destination_port = 200;
    header.type = machine::kVsockStream;
    header.operation = operation;
    header.length = static_cast<std::uint32_t>(data.size());
    return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(data);
  }
  void say(std::string_view message) {
    ASSERT_TRUE(transport::send_message(line.first.get(), std::as_bytes(std::span(message))));
  }
  void say_what_the_guest_sends() {
    say(packet(Operation::Request));
    say(packet(Operation::Data, words));
  }
  LineEnd end_of_line() {
    line.first.reset();
    NoDoor door;
    return carry(line.second.get(), exchange, door, -1);
  }

  const std::string words = std::string(50'000, 'a') + "and no more";
  std::pair<Fd, Fd> line = testing::socket_pair(), socket = testing::socket_pair();
  Exchange exchange{testing::kGuest, 4, [this](std::uint32_t) { return std::move(socket.second); }};
};

TEST_F(CarryTest, WhatTheGuestHadSentIsGivenToASlowProgram) {
  say_what_the_guest_sends();
  ASSERT_TRUE(transport::send_message(line.first.get(), kMachineHasEnded));
  ASSERT_EQ(end_of_line(), LineEnd::InOrder);
  auto given = std::async([this] { give_what_is_left(exchange, Clock::now() + 1h); });
  std::string found;
  pollfd entry{socket.first.get(), POLLIN, 0};
  for (testing::Read read; !read.is_end && ::poll(&entry, 1, 60'000) == 1; found += read.text)
    read = testing::read_all(socket.first);
  EXPECT_EQ(found, words);
  socket.first.reset();
  given.get();
}

TEST_F(CarryTest, AProgramThatDoesNotReadIsNotWaitedFor) {
  say_what_the_guest_sends();
  ASSERT_TRUE(transport::send_message(line.first.get(), kMachineHasEnded));
  ASSERT_EQ(end_of_line(), LineEnd::InOrder);
  give_what_is_left(exchange, Clock::now());
  EXPECT_TRUE(exchange.owes());
}

// The other side takes nothing any more, and has said its last.
TEST_F(CarryTest, AllIsHeardBeforeTheLineIsGivenUp) {
  const std::string request = packet(Operation::Request);
  exchange.take(std::as_bytes(std::span(request)), Clock::now());
  EXPECT_FALSE(exchange.out().empty());
  say(packet(Operation::Data, "words"));
  ASSERT_TRUE(transport::send_message(line.first.get(), kMachineHasEnded));
  EXPECT_EQ(end_of_line(), LineEnd::InOrder);
  EXPECT_EQ(testing::read_all(socket.first).text, "words");
}

// Once, and then the guest has its answers as ever.
TEST_F(CarryTest, TellsThatNobodyCallsAnyMore) {
  socket.second.reset();
  auto caller = testing::socket_pair();
  caller.second.reset();
  auto end = std::async([&] {
    NoDoor door;
    return carry(line.second.get(), exchange, door, caller.first.get());
  });
  const auto receive = [&] {
    pollfd entry{line.first.get(), POLLIN, 0};
    const bool has_come = ::poll(&entry, 1, 60'000) == 1;
    return (has_come ? transport::receive_message(line.first.get()) : std::nullopt)
        .value_or(std::vector<std::byte>());
  };
  EXPECT_EQ(Notice::in(receive()).value_or(Notice{}).what, Notice::What::NobodyCalls);
  say(packet(Operation::Request));
  std::vector<std::byte> answer = receive();
  EXPECT_EQ(answer.size(), sizeof(VsockHeader));
  answer.resize(sizeof(VsockHeader));
  VsockHeader header;
  std::memcpy(&header, answer.data(), sizeof header);
  EXPECT_EQ(header.operation, Operation::Reset);
  EXPECT_TRUE(transport::send_message(line.first.get(), kMachineHasEnded));
  EXPECT_EQ(end.get(), LineEnd::InOrder);
}

TEST_F(CarryTest, ALineThatIsCutIsNoEndInOrder) {
  say_what_the_guest_sends();
  EXPECT_EQ(end_of_line(), LineEnd::Cut);
}

}  // namespace
}  // namespace ringside::vsock

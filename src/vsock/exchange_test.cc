// Connections one at a time, by hand: how they begin, what goes back and forth, how they end, and
// what a guest or a program of the host may not do.
#include "vsock/exchange.h"

#include <gtest/gtest.h>

#include "vsock/testing/bench.h"

namespace ringside::vsock {
namespace {

using testing::kGuest, testing::Operation, testing::Packet, testing::read_all, testing::VsockHeader,
    testing::write_text;

constexpr std::uint32_t kReceives = 1, kSends = 2, kBoth = 3;  // of a shutdown's flags

struct ExchangeTest : ::testing::Test, testing::Bench {
  ~ExchangeTest() override { EXPECT_FALSE(spins) << "it waits for what is there already"; }

  void shut_down(std::uint32_t flags, std::uint32_t guest = 100, std::uint32_t host = 200) {
    VsockHeader packet = header(Operation::Shutdown, guest, host);
    packet.flags = flags;
    send(packet);
  }
  void data(std::string_view text, std::uint32_t guest = 100, std::uint32_t host = 200) {
    send(header(Operation::Data, guest, host), text);
  }
  Operation answer() { return take_packet().header.operation; }
};

TEST_F(ExchangeTest, TheGuestReachesAProgram) {
  const Fd program = open(100, 200);
  ASSERT_TRUE(program);
  data("question");
  EXPECT_EQ(read_all(program).text, "question");
  write_text(program, "answer");
  pump();
  const Packet packet = take_packet();
  EXPECT_EQ(packet.data, "answer");
  EXPECT_EQ(packet.header.source_cid, machine::kHostCid);
  EXPECT_EQ(packet.header.destination_cid, kGuest);
  EXPECT_EQ(packet.header.source_port, 200u);
  EXPECT_EQ(packet.header.destination_port, 100u);
  EXPECT_EQ(packet.header.length, 6u);
  EXPECT_EQ(packet.header.type, machine::kVsockStream);
  EXPECT_EQ(packet.header.room, machine::kVsockRoom);
  EXPECT_EQ(packet.header.taken, 8u) << "what the program's socket took";
}

TEST_F(ExchangeTest, RefusesWhereNobodyListens) {
  send(header(Operation::Request, 100, 200));
  const Packet refusal = take_packet();
  EXPECT_EQ(refusal.header.operation, Operation::Reset);
  EXPECT_EQ(refusal.header.source_port, 200u);
  EXPECT_EQ(refusal.header.destination_port, 100u);
  EXPECT_EQ(exchange.size(), 0u);
}

TEST_F(ExchangeTest, RefusesWhatIsForNobody) {
  listened.insert(200);
  VsockHeader elsewhere = header(Operation::Request, 100, 200);
  elsewhere.destination_cid = 7;
  send(elsewhere);
  const Packet refusal = take_packet();
  EXPECT_EQ(refusal.header.operation, Operation::Reset);
  EXPECT_EQ(refusal.header.source_cid, 7u);
  VsockHeader other_type = header(Operation::Request, 100, 200);
  other_type.type = 2;
  send(other_type);
  EXPECT_EQ(take_packet().header.type, 2u);
  for (const Operation operation : {Operation::Response, Operation::Data, Operation::Shutdown}) {
    send(header(operation, 100, 200));
    EXPECT_EQ(answer(), Operation::Reset) << "there is no such connection";
  }
  send(header(Operation::Reset, 100, 200));
  VsockHeader another = header(Operation::Request, 100, 200);
  another.source_cid = 9;
  send(another);
  EXPECT_TRUE(take_packets().empty()) << "a reset, and a packet that is not the guest's";
  EXPECT_TRUE(accepted.empty());
}

TEST_F(ExchangeTest, AProgramReachesTheGuest) {
  const Fd program = connect();
  write_text(program, "CONNECT 80\nearly");
  pump();
  const Packet request = take_packet();
  EXPECT_EQ(request.header.operation, Operation::Request);
  EXPECT_EQ(request.header.destination_port, 80u);
  EXPECT_EQ(read_all(program).text, "");
  const std::uint32_t port = request.header.source_port;
  send(header(Operation::Response, 80, port));
  EXPECT_EQ(read_all(program).text, "OK " + std::to_string(port) + "\n");
  EXPECT_EQ(take_packet().data, "early");
  data("words", 80, port);
  EXPECT_EQ(read_all(program).text, "words");
  const Fd other = connect();
  write_text(other, "CONNECT 80\n");
  pump();
  EXPECT_NE(take_packet().header.source_port, port);
}

TEST_F(ExchangeTest, AGuestThatRefusesClosesTheProgramsSocket) {
  const Fd program = connect();
  write_text(program, "CONNECT 80\n");
  pump();
  send(header(Operation::Reset, 80, take_packet().header.source_port));
  EXPECT_TRUE(read_all(program).is_end);
  EXPECT_EQ(exchange.size(), 0u);
}

TEST_F(ExchangeTest, WhoSaysSomethingElseIsClosed) {
  for (const std::string_view said :
       {"GET / HTTP/1.0\n", "CONNECT\n", "CONNECT \n", "CONNECT -1\n", "CONNECT 4294967296\n",
        "CONNECT 1 \n", "connect 1\n", "CONNECT 00000000000001\n", "CONNECT 1\r\r\n", "\n"}) {
    const Fd program = connect();
    write_text(program, said);
    pump();
    EXPECT_TRUE(read_all(program).is_end) << said;
  }
  EXPECT_EQ(exchange.size(), 0u);
  EXPECT_TRUE(packets.empty());
}

TEST_F(ExchangeTest, ALineMayHaveACarriageReturn) {
  const Fd program = connect();
  write_text(program, "CONNECT 4294967295\r\n");
  pump();
  EXPECT_EQ(take_packet().header.destination_port, 4294967295u);
}

TEST_F(ExchangeTest, ALineMayComeInPieces) {
  const Fd program = connect();
  for (const char c : std::string("CONNECT 4294967295")) {
    write_text(program, std::string(1, c));
    pump();
  }
  EXPECT_TRUE(packets.empty());
  write_text(program, "\n");
  pump();
  EXPECT_EQ(take_packet().header.destination_port, 4294967295u);
}

TEST_F(ExchangeTest, NobodyWaitsForEver) {
  const Fd silent = connect();
  const Fd program = connect();
  write_text(program, "CONNECT 80\n");
  pump();
  (void)take_packets();
  now += kHostsTime - std::chrono::seconds(1);
  pump();
  EXPECT_FALSE(read_all(silent).is_end);
  now += std::chrono::seconds(1);
  pump();
  EXPECT_TRUE(read_all(silent).is_end);
  EXPECT_FALSE(read_all(program).is_end);
  std::vector<pollfd> polled;
  EXPECT_EQ(exchange.prepare(polled, now), 50'000) << "milliseconds until the next";
  now += kGuestsTime;
  pump();
  EXPECT_TRUE(read_all(program).is_end);
  EXPECT_EQ(answer(), Operation::Reset);
  EXPECT_EQ(exchange.size(), 0u);
}

TEST_F(ExchangeTest, TheGuestGetsNoMoreThanItHasRoomFor) {
  const Fd program = open(100, 200, 4);
  write_text(program, "0123456789");
  pump();
  const std::vector<Packet> first = take_packets();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].data, "0123");
  EXPECT_EQ(first[1].header.operation, Operation::CreditRequest);
  VsockHeader update = header(Operation::CreditUpdate, 100, 200);
  update.room = 4;
  update.taken = 3;
  send(update);
  EXPECT_EQ(take_packets().front().data, "456");
  update.taken = 1000;  // what never came
  send(update);
  update.taken = 0;
  send(update);
  EXPECT_TRUE(take_packets().empty());
  update.room = 7 + 2;
  send(update);
  EXPECT_EQ(take_packets().front().data, "78");
}

TEST_F(ExchangeTest, TheGuestHearsHowMuchItMaySend) {
  const Fd program = open(100, 200);
  const std::string piece(machine::kVsockRoom / 4, 'x');
  data(piece);
  EXPECT_TRUE(take_packets().empty());
  data(piece);
  const Packet update = take_packet();
  EXPECT_EQ(update.header.operation, Operation::CreditUpdate);
  EXPECT_EQ(update.header.taken, machine::kVsockRoom / 2);
  send(header(Operation::CreditRequest, 100, 200));
  EXPECT_EQ(answer(), Operation::CreditUpdate);
  EXPECT_EQ(read_all(program).text.size(), machine::kVsockRoom / 2);
}

// A program that takes nothing: its socket's buffer fills, then what is kept here.
TEST_F(ExchangeTest, AGuestThatSendsMoreThanItMayIsReset) {
  const Fd program = open(100, 200);
  const std::string piece(16384, 'x');
  std::string sent;
  std::uint32_t taken = 0;
  while (sent.size() - taken + piece.size() <= machine::kVsockRoom) {
    data(piece);
    sent += piece;
    (void)take_packets();  // perhaps of more room
    send(header(Operation::CreditRequest, 100, 200));
    taken = take_packet().header.taken;
  }
  data(std::string(machine::kVsockRoom - (sent.size() - taken) + 1, 'y'));
  EXPECT_EQ(answer(), Operation::Reset);
  EXPECT_EQ(exchange.size(), 1u) << "what it had sent before is still the program's";
  std::string found;
  for (testing::Read read; !read.is_end; found += read.text) {
    read = read_all(program);
    pump();
  }
  EXPECT_EQ(found, sent);
  EXPECT_EQ(exchange.size(), 0u);
}

TEST_F(ExchangeTest, WhatMakesNoSenseEndsAConnection) {
  const auto expect_reset = [&](const VsockHeader& packet, std::string_view with) {
    const Fd program = open(100, 200);
    data("before");
    send_as_it_is(packet, with);
    EXPECT_EQ(answer(), Operation::Reset);
    const testing::Read read = read_all(program);
    EXPECT_EQ(read.text, "before");
    EXPECT_TRUE(read.is_end);
    EXPECT_EQ(exchange.size(), 0u);
  };
  for (const Operation operation : {Operation::Invalid, Operation::Request, Operation::Response,
                                    static_cast<Operation>(8), static_cast<Operation>(0xffff)})
    expect_reset(header(operation, 100, 200), "");
  VsockHeader lies = header(Operation::Data, 100, 200);
  lies.length = 5;
  expect_reset(lies, "four");
  lies.length = 0xffffffff;
  expect_reset(lies, "");
  const std::byte little[20] = {};
  exchange.take(little, now);
  pump();
  EXPECT_TRUE(packets.empty()) << "that is no packet";
}

TEST_F(ExchangeTest, TheGuestEndsOneSideAndThenTheOther) {
  const Fd program = open(100, 200);
  data("last words");
  shut_down(kSends);
  const testing::Read read = read_all(program);
  EXPECT_EQ(read.text, "last words");
  EXPECT_TRUE(read.is_end);
  write_text(program, "and an answer");
  pump();
  EXPECT_EQ(take_packet().data, "and an answer");
  data("more");
  EXPECT_EQ(answer(), Operation::Reset) << "it had said that there would be nothing";
}

TEST_F(ExchangeTest, TheGuestEndsBothSides) {
  const Fd program = open(100, 200);
  shut_down(kSends);
  shut_down(kReceives);
  EXPECT_EQ(answer(), Operation::Reset);
  EXPECT_EQ(exchange.size(), 0u);
  EXPECT_TRUE(read_all(program).is_end);
}

TEST_F(ExchangeTest, AProgramCannotWriteToAGuestThatReadsNoMore) {
  const Fd program = open(100, 200);
  shut_down(kReceives);
  EXPECT_EQ(::send(program.get(), "x", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
  data("this way still");
  EXPECT_EQ(read_all(program).text, "this way still");
}

TEST_F(ExchangeTest, AProgramEndsItsSide) {
  Fd program = open(100, 200);
  write_text(program, "that is all");
  ::shutdown(program.get(), SHUT_WR);
  pump();
  const std::vector<Packet> said = take_packets();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0].data, "that is all");
  EXPECT_EQ(said[1].header.operation, Operation::Shutdown);
  EXPECT_EQ(said[1].header.flags, kSends);
  data("thanks");
  EXPECT_EQ(read_all(program).text, "thanks");
  program.reset();
  pump();
  EXPECT_EQ(take_packet().header.flags, kBoth);
  data("too late");
  EXPECT_TRUE(take_packets().empty());
  send(header(Operation::Reset, 100, 200));
  EXPECT_EQ(exchange.size(), 0u);
}

TEST_F(ExchangeTest, AProgramThatGoesIsSaidToHaveGone) {
  Fd program = open(100, 200);
  write_text(program, "bye");
  program.reset();
  pump();
  std::vector<Packet> said = take_packets();
  ASSERT_GE(said.size(), 2u);
  EXPECT_EQ(said.front().data, "bye");
  EXPECT_EQ(said.back().header.operation, Operation::Shutdown);
  EXPECT_EQ(said.back().header.flags, kBoth);
  EXPECT_EQ(exchange.size(), 1u) << "until the guest agrees";
  now += kGuestsTime;
  pump();
  EXPECT_EQ(answer(), Operation::Reset);
  EXPECT_EQ(exchange.size(), 0u);
}

// That it is gone cannot be said before its last bytes, for which the guest has no room.
TEST_F(ExchangeTest, NothingSpinsWhileTheGuestHasNoRoom) {
  Fd program = open(100, 200, 2);
  write_text(program, "abcd");
  program.reset();
  pump();
  EXPECT_EQ(take_packets().front().data, "ab");
  VsockHeader update = header(Operation::CreditUpdate, 100, 200);
  update.taken = 2;
  send(update);
  const std::vector<Packet> said = take_packets();
  EXPECT_EQ(said.front().data, "cd");
  EXPECT_EQ(said.back().header.flags, kBoth);
}

TEST_F(ExchangeTest, ForgetsAllThatTheGuestHasForgotten) {
  const Fd program = open(100, 200);
  const Fd asking = connect();
  write_text(asking, "CONNECT 80\n");
  const Fd silent = connect();
  pump();
  (void)take_packets();
  forget();
  EXPECT_EQ(answers, 1u);
  EXPECT_TRUE(read_all(program).is_end);
  EXPECT_TRUE(read_all(asking).is_end);
  EXPECT_EQ(exchange.size(), 1u) << "one that nobody knows of yet";
  data("to nobody");
  EXPECT_EQ(answer(), Operation::Reset);
}

// The guest has ended, and is told nothing. Who has not been connected is not any more.
TEST_F(ExchangeTest, OwesWhatTheGuestHadSentWhenItIsGone) {
  const Fd program = open(100, 200);
  const Fd silent = connect();
  const Fd asking = connect();
  write_text(asking, "CONNECT 80\n");
  pump();
  std::string sent;
  for (char c = 'a'; sent.size() < 2 * machine::kVsockRoom; ++c) {
    const std::string piece(16384, c);
    data(piece);
    sent += piece;
    send(header(Operation::CreditRequest, 100, 200));
    if (sent.size() - take_packets().back().header.taken > machine::kVsockRoom / 2) break;
  }
  exchange.end();
  pump();
  EXPECT_TRUE(packets.empty());
  EXPECT_TRUE(read_all(silent).is_end && read_all(asking).is_end);
  ASSERT_TRUE(exchange.owes()) << "a socket takes less than that";
  std::string found;
  for (testing::Read read; !read.is_end; found += read.text) {
    read = read_all(program);
    pump();
  }
  EXPECT_EQ(found, sent);
  EXPECT_FALSE(exchange.owes());
  EXPECT_EQ(exchange.size(), 0u);
}

TEST_F(ExchangeTest, ThereAreNoMoreThanSoMany) {
  listened.insert(200);
  for (std::uint32_t guest = 0; guest < 20; ++guest)
    send(header(Operation::Request, guest, 200));
  unsigned accepted_by_us = 0;
  for (const Packet& packet : take_packets())
    accepted_by_us += packet.header.operation == Operation::Response ? 1 : 0;
  EXPECT_EQ(accepted_by_us, 16u);
  EXPECT_EQ(accepted.size(), 16u);
  EXPECT_FALSE(exchange.has_place());
  send(header(Operation::Reset, 3, 200));
  EXPECT_TRUE(exchange.has_place());
}

}  // namespace
}  // namespace ringside::vsock

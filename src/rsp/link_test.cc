// The conversation of framing rules, item by item: acknowledgements, resending, pipelining, bounds.
#include "rsp/link.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringside::rsp {
namespace {

std::string frame(std::string_view payload) {
  std::string out;
  append_frame(out, payload, RunLengthOutput::Off);
  return out;
}

std::string written(Link& link) {
  std::string bytes(link.output());
  link.wrote(bytes.size());
  return bytes;
}

// A server that answers every packet with `reply`; what it wrote.
std::string serve(Link& link, std::string_view input, std::string_view reply = "OK") {
  while (auto event = link.receive(input)) {
    if (event->kind == Event::Kind::Packet) link.send(reply);
  }
  return written(link);
}

TEST(Link, AcknowledgesThenReplies) {
  Link link;
  EXPECT_EQ(serve(link, frame("g")), "+$OK#9a");
}

TEST(Link, AsksAgainForABadPacket) {
  Link link;
  EXPECT_EQ(serve(link, "$g#00"), "-");
  EXPECT_EQ(serve(link, frame("g")), "+$OK#9a");
}

TEST(Link, ResendsTheLastReplyWithoutItsAcknowledgement) {
  Link link;
  serve(link, frame("g"), "first");
  EXPECT_EQ(serve(link, "-"), frame("first"));
  EXPECT_EQ(serve(link, "--"), frame("first") + frame("first"));
  EXPECT_EQ(serve(link, "+-"), "");
  // Of two frames it is the last.
  link.send("O41");
  link.send("T05");
  written(link);
  EXPECT_EQ(serve(link, "-"), frame("T05"));
}

// A handshake that a client sends again, having waited too long for the first answer.
TEST(Link, AnswersARepeatedHandshakeOnce) {
  Link link;
  const std::string supported = frame("qSupported:swbreak+");
  EXPECT_EQ(serve(link, supported + supported), "+$OK#9a+");
  // Once something was written it is a question of its own.
  EXPECT_EQ(serve(link, supported), "+$OK#9a");
  EXPECT_EQ(serve(link, frame("vMustReplyEmpty") + frame("vMustReplyEmpty"), ""), "+$#00+");
  // What counts is counted.
  EXPECT_EQ(serve(link, frame("s") + frame("s")), "+$OK#9a+$OK#9a");
  EXPECT_EQ(serve(link, supported + frame("qSupported")), "+$OK#9a+$OK#9a");
}

TEST(Link, HasNothingToResendAtFirst) {
  Link link;
  EXPECT_EQ(serve(link, "-+-"), "");
}

TEST(Link, ServesClientsThatNeverAcknowledge) {
  Link link;
  std::string input;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    input += frame("g");
    expected += "+$OK#9a";
  }
  EXPECT_EQ(serve(link, input), expected);
}

TEST(Link, DropsEmptyHandedWhatIsNoPacket) {
  Link link;
  EXPECT_EQ(serve(link, "garbage\r\n" + frame("g") + "more#00"), "+$OK#9a");
}

TEST(Link, HandsInterruptsOn) {
  Link link;
  std::string_view input = "\x03";
  const auto event = link.receive(input);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Event::Kind::Interrupt);
  EXPECT_TRUE(link.output().empty());
}

TEST(Link, RefusesSequenceIdsWithAnEmptyReply) {
  Link link;
  EXPECT_EQ(serve(link, frame("05:g")), "+$#00");
  // The third character alone does not make one.
  EXPECT_EQ(serve(link, frame("vA:")), "+$OK#9a");
}

TEST(Link, AnswersAnOverlongPacketWithOneError) {
  Link link(16);
  std::string input = std::string("$") + std::string(100'000, 'x') + "#00" + frame("g");
  EXPECT_EQ(serve(link, input), "+$E16#ac+$OK#9a");
}

TEST(Link, TakesAPacketOfExactlyTheAdvertisedSize) {
  Link link(16);
  EXPECT_EQ(serve(link, frame(std::string(16, 'x'))), "+$OK#9a");
}

TEST(Link, StopsAcknowledgingWhereAgreed) {
  Link link;
  std::string request = frame("QStartNoAckMode");
  std::string_view input = request;
  ASSERT_TRUE(link.receive(input));
  link.send("OK");
  link.start_no_ack_mode();
  EXPECT_EQ(written(link), "+$OK#9a");
  EXPECT_EQ(serve(link, std::string("+") + frame("g")), "$OK#9a");
  // A reply is not kept, a checksum not compared.
  EXPECT_EQ(serve(link, "-"), "");
  EXPECT_EQ(serve(link, "$g#00"), "$OK#9a");
}

TEST(Link, UsesRunLengthsForLongRepliesInNoAckModeOnly) {
  const std::string zeros(1000, '0');
  Link link;
  EXPECT_EQ(serve(link, frame("m"), zeros), std::string("+") + frame(zeros));
  link.start_no_ack_mode();
  EXPECT_LT(serve(link, frame("m"), zeros).size(), 50u);
  EXPECT_EQ(serve(link, frame("m"), zeros.substr(0, 100)), frame(zeros.substr(0, 100)));
  Link plain(kPacketSize, RunLengthOutput::Off);
  plain.start_no_ack_mode();
  EXPECT_EQ(serve(plain, frame("m"), zeros), frame(zeros));
}

TEST(Link, StopsTakingPacketsFromAClientThatDoesNotRead) {
  Link link(100);
  std::string input;
  for (int i = 0; i < 1000; ++i)
    input += frame("m");
  std::string_view rest = input;
  const std::string reply(100, 'x');
  std::size_t served = 0;
  while (link.receive(rest)) {
    link.send(reply);
    ++served;
  }
  EXPECT_TRUE(link.full());
  EXPECT_LT(served, 5u);
  EXPECT_LT(link.output().size(), 1000u);
  // Goes on where it was once there is room, and loses nothing.
  while (!rest.empty()) {
    written(link);
    while (link.receive(rest)) {
      link.send(reply);
      ++served;
    }
  }
  EXPECT_EQ(served, 1000u);
}

TEST(Link, BoundsWhatNacksMakeItResend) {
  Link link(100);
  link.send(std::string(100, 'x'));
  const std::string nacks(100'000, '-');
  std::string_view rest = nacks;
  EXPECT_FALSE(link.receive(rest));
  EXPECT_LT(link.output().size(), 1000u);
}

TEST(Link, WritesInAnyPieces) {
  Link link;
  std::string expected;
  std::string seen;
  for (int i = 0; i < 200; ++i) {
    const std::string payload(static_cast<std::size_t>(i), 'x');
    link.send(payload);
    expected += frame(payload);
    const std::string_view part = link.output().substr(0, static_cast<std::size_t>(i % 97));
    seen += part;
    link.wrote(part.size());
  }
  seen += written(link);
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace ringside::rsp

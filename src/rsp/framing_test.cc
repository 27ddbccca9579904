// Framing against the bytes of the manual, and as a round trip over arbitrary payloads, splittings
// and junk.
#include "rsp/framing.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

namespace ringside::rsp {
namespace {

using Kind = Event::Kind;

struct Seen {
  Kind kind;
  std::string payload;
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  return out << static_cast<int>(seen.kind) << ":" << seen.payload;
}

std::vector<Seen> feed(Decoder& decoder, std::string_view bytes) {
  std::vector<Seen> seen;
  while (auto event = decoder.next(bytes))
    seen.push_back({event->kind, std::string(event->payload)});
  EXPECT_TRUE(bytes.empty());
  return seen;
}

std::vector<Seen> decode(std::string_view bytes) {
  Decoder decoder;
  return feed(decoder, bytes);
}

std::string frame(std::string_view payload, RunLengthOutput run_lengths = RunLengthOutput::Off) {
  std::string out;
  append_frame(out, payload, run_lengths);
  return out;
}

std::vector<Seen> packets(std::initializer_list<std::string> payloads) {
  std::vector<Seen> seen;
  for (const std::string& payload : payloads)
    seen.push_back({Kind::Packet, payload});
  return seen;
}

TEST(Decoder, TakesPacketsAcksAndInterrupts) {
  EXPECT_EQ(decode("$OK#9a"), packets({"OK"}));
  EXPECT_EQ(decode("$OK#9A"), packets({"OK"}));
  EXPECT_EQ(decode("$#00"), packets({""}));
  EXPECT_EQ(decode("+"), (std::vector<Seen>{{Kind::Ack, ""}}));
  EXPECT_EQ(decode("-"), (std::vector<Seen>{{Kind::Nack, ""}}));
  EXPECT_EQ(decode("\x03"), (std::vector<Seen>{{Kind::Interrupt, ""}}));
  EXPECT_EQ(decode("+$OK#9a\x03-"),
            (std::vector<Seen>{
                {Kind::Ack, ""}, {Kind::Packet, "OK"}, {Kind::Interrupt, ""}, {Kind::Nack, ""}}));
}

TEST(Decoder, DropsJunkBetweenPackets) {
  EXPECT_EQ(decode("abc#99\n$OK#9a}*%$OK#9a"), packets({"OK", "OK"}));
}

TEST(Decoder, TellsABadChecksum) {
  EXPECT_EQ(decode("$OK#9b"), (std::vector<Seen>{{Kind::BadChecksum, ""}}));
  EXPECT_EQ(decode("$OK#zz"), (std::vector<Seen>{{Kind::BadChecksum, ""}}));
  // The model reads anything that is not a digit as f, and takes this one.
  EXPECT_EQ(decode("$\x7f\x70#xx"), (std::vector<Seen>{{Kind::BadChecksum, ""}}));
  EXPECT_EQ(decode("$OK#9b$OK#9a"),
            (std::vector<Seen>{{Kind::BadChecksum, ""}, {Kind::Packet, "OK"}}));
}

TEST(Decoder, IgnoresChecksumsWhereAgreed) {
  Decoder decoder;
  decoder.ignore_checksums();
  EXPECT_EQ(feed(decoder, "$OK#00$OK#zz"), packets({"OK", "OK"}));
}

TEST(Decoder, TakesAnInterruptByteInABodyAsData) {
  EXPECT_EQ(decode("$a\x03z#de"), packets({"a\x03z"}));
}

TEST(Decoder, Unescapes) {
  EXPECT_EQ(decode(frame("#$}*")), packets({"#$}*"}));
  EXPECT_EQ(frame("#$}*"), "$}\x03}\x04}]}\n#62");
  // Any character may come escaped.
  EXPECT_EQ(decode("$}aB#20"), packets({"AB"}));
  // An escape with nothing to escape.
  EXPECT_EQ(decode("$B}#bf"), packets({"B}"}));
}

TEST(Decoder, TakesAnAsteriskAsItIsUnlessToldToExpand) {
  EXPECT_EQ(decode("$0* #7a"), packets({"0* "}));
  Decoder client(100, Decoder::RunLengths::Expand);
  EXPECT_EQ(feed(client, "$0* #7a"), packets({"0000"}));
  // 5 zeros and a 1; nothing to repeat; no count; counts out of range; growth beyond the limit
  EXPECT_EQ(feed(client, "$0*!1#ac"), packets({"000001"}));
  client.ignore_checksums();
  for (const char* bad : {"$* #00", "$0*#00", "$0*\x1f#00", "$0*\x7f#00", "$0*~0*~#00"}) {
    EXPECT_EQ(feed(client, bad), (std::vector<Seen>{{Kind::BadChecksum, ""}})) << bad;
  }
}

TEST(Decoder, SwallowsAPacketBeyondTheLimit) {
  Decoder decoder(4);
  EXPECT_EQ(feed(decoder, "$abcd#8a"), packets({"abcd"}));
  EXPECT_EQ(feed(decoder, "$abcde#ef$OK#9a"),
            (std::vector<Seen>{{Kind::TooLong, ""}, {Kind::Packet, "OK"}}));
  // In pieces, and for long.
  EXPECT_TRUE(feed(decoder, "$abc").empty());
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(feed(decoder, "abc$+-\x03").empty());
  EXPECT_EQ(feed(decoder, "#00"), (std::vector<Seen>{{Kind::TooLong, ""}}));
  EXPECT_EQ(feed(decoder, "$OK#9a"), packets({"OK"}));
}

TEST(Frame, EncodesRuns) {
  const auto on = RunLengthOutput::On;
  EXPECT_EQ(frame("000", on), "$000#90");
  EXPECT_EQ(frame("0000", on), "$0* #7a");
  // Six and seven repeats would be # and $, 14 and 16 + and -, 96 }.
  EXPECT_EQ(frame(std::string(7, '0'), on).substr(0, 5), "$0*\"0");
  EXPECT_EQ(frame(std::string(8, '0'), on).substr(0, 6), "$0*\"00");
  EXPECT_EQ(frame(std::string(9, '0'), on).substr(0, 4), "$0*%");
  EXPECT_EQ(frame(std::string(98, '0'), on).substr(0, 4), "$0*~");
}

TEST(Frame, NeverWritesAForbiddenRepeatCount) {
  for (std::size_t length = 0; length < 600; ++length) {
    const std::string payload(length, '0');
    const std::string bytes = frame(payload, RunLengthOutput::On);
    for (std::size_t i = 1; i + 3 < bytes.size(); ++i) {
      if (bytes[i] != '*') continue;
      const char count = bytes[i + 1];
      EXPECT_GE(count, ' ');
      EXPECT_LE(count, '~');
      EXPECT_EQ(std::string("#$*+-}").find(count), std::string::npos) << length;
    }
    Decoder client(kPacketSize, Decoder::RunLengths::Expand);
    EXPECT_EQ(feed(client, bytes), packets({payload}));
  }
}

// Payloads with runs, escapes and everything else.
rc::Gen<std::string> payloads() {
  const auto character = rc::gen::oneOf(rc::gen::element('#', '$', '}', '*', '0', '\x03', '+', '-'),
                                        rc::gen::arbitrary<char>());
  const auto run = rc::gen::map(rc::gen::pair(character, rc::gen::inRange<std::size_t>(1, 220)),
                                [](const std::pair<char, std::size_t>& p) {
                                  return std::string(p.second % 3 == 0 ? p.second : 1, p.first);
                                });
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(run),
                      [](const std::vector<std::string>& runs) {
                        std::string text;
                        for (const std::string& part : runs)
                          text += part;
                        return text;
                      });
}

// Bytes that begin nothing.
rc::Gen<std::string> junk() {
  return rc::gen::container<std::string>(rc::gen::suchThat(rc::gen::arbitrary<char>(), [](char c) {
    return c != '$' && c != '+' && c != '-' && c != '\x03';
  }));
}

void check_round_trip(RunLengthOutput output, Decoder::RunLengths input) {
  const auto sent = *rc::gen::container<std::vector<std::string>>(payloads());
  std::string bytes = *junk();
  for (const std::string& payload : sent) {
    append_frame(bytes, payload, output);
    bytes += *junk();
  }
  Decoder decoder(kPacketSize, input);
  std::vector<Seen> seen;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
    const std::vector<Seen> part = feed(decoder, rest.substr(0, size));
    seen.insert(seen.end(), part.begin(), part.end());
    rest.remove_prefix(size);
  }
  RC_ASSERT(seen.size() == sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    RC_ASSERT(seen[i].kind == Kind::Packet);
    RC_ASSERT(seen[i].payload == sent[i]);
  }
}

TEST(Framing, RoundTrips) {
  rc::check([] { check_round_trip(RunLengthOutput::Off, Decoder::RunLengths::Literal); });
}

TEST(Framing, RoundTripsWithRunLengths) {
  rc::check([] { check_round_trip(RunLengthOutput::On, Decoder::RunLengths::Expand); });
}

TEST(Framing, ByteByByteIsTheSame) {
  const std::string bytes =
      std::string("+") + frame("m0,4") + "junk-\x03" + frame("X0,1:}") + "$bad#00";
  Decoder decoder;
  std::vector<Seen> seen;
  for (const char c : bytes) {
    for (Seen& one : feed(decoder, std::string_view(&c, 1)))
      seen.push_back(std::move(one));
  }
  EXPECT_EQ(seen, decode(bytes));
}

TEST(Framing, AnyBytesAreSurvived) {
  rc::check([](const std::string& bytes) {
    for (const auto run_lengths : {Decoder::RunLengths::Literal, Decoder::RunLengths::Expand}) {
      Decoder decoder(16, run_lengths);
      for (const Seen& one : feed(decoder, bytes))
        RC_ASSERT(one.payload.size() <= 16u);
    }
  });
}

}  // namespace
}  // namespace ringside::rsp

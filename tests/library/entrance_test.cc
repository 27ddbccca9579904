// From the socket to the debug server: silent clients' places, by a clock of the test's own, and
// the token that debuggers of other hosts have to say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "library/reception.h"
#include "library/serving.h"
#include "library/strangers.h"
#include "support/raw_client.h"
#include "transport/poller.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class AtTheEntrance : public ::testing::Test {
 protected:
  transport::Connection connect(Fd& client) {
    auto [server, socket] = connected_sockets();
    client = std::move(socket);
    return transport::Connection::over_socket(std::move(server));
  }
  void turn() {
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(poller_.wait(0ns));
  }
  static bool closed(const Fd& fd) {
    char byte = 0;
    return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
  }
  static void send(const Fd& fd, std::string_view bytes) {
    ASSERT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  transport::Poller poller_ = transport::Poller::create().value();
  transport::Refusals refusals_{"test"};
  std::chrono::steady_clock::time_point now_{};
};

class Receptions : public AtTheEntrance {
 protected:
  std::vector<transport::Connection> came_;
  Reception reception_{poller_, refusals_,
                       [this](transport::Connection c) { came_.push_back(std::move(c)); },
                       [this] { return now_; }};
};

TEST_F(Receptions, WhoSpeaksComesWithAllThatItHasSent) {
  Fd silent, acknowledging, debugger;
  reception_.take(connect(silent));
  reception_.take(connect(acknowledging));
  reception_.take(connect(debugger));
  send(acknowledging, "+");
  turn();
  EXPECT_TRUE(came_.empty());
  send(debugger, "++$qSupported#37");
  turn();
  ASSERT_EQ(came_.size(), 1u);
  std::array<char, 100> buffer;
  EXPECT_THAT(std::string(buffer.data(), came_[0].read(buffer)), HasSubstr("$qSupported#37"));
  send(acknowledging, "\x03");
  turn();
  EXPECT_EQ(came_.size(), 2u);
  EXPECT_FALSE(closed(silent));
}

TEST_F(Receptions, WhatIsNoDebuggerIsClosedUnread) {
  Fd client;
  reception_.take(connect(client));
  send(client, "GET / HTTP/1.1\r\n$?#3f");
  turn();
  EXPECT_TRUE(came_.empty());
  EXPECT_TRUE(closed(client));
}

TEST_F(Receptions, WhoIsSilentLosesItsPlaceAfterTenSecondsWhenSomebodyElseWaits) {
  std::vector<Fd> silent(kPlaces);
  for (Fd& client : silent) {
    reception_.take(connect(client));
    now_ += 100ms;
  }
  Fd early, late, latest;
  reception_.take(connect(early));
  EXPECT_TRUE(closed(early));
  now_ = std::chrono::steady_clock::time_point(10s);
  EXPECT_FALSE(closed(silent[0])) << "nobody waits";
  reception_.take(connect(late));
  EXPECT_TRUE(closed(silent[0]));
  EXPECT_FALSE(closed(late));
  EXPECT_FALSE(closed(silent[1]));
  reception_.take(connect(latest));
  EXPECT_TRUE(closed(latest)) << "the next has been there for less";
}

TEST_F(Receptions, WhoHasHungUpHasNoPlace) {
  for (unsigned i = 0; i < 3 * kPlaces; ++i) {
    Fd client;
    reception_.take(connect(client));
    client.reset();
    turn();
  }
  Fd client;
  reception_.take(connect(client));
  EXPECT_FALSE(closed(client));
}

class StrangersTest : public AtTheEntrance {
 protected:
  StrangersTest() { strangers_.take(connect(client_), "192.0.2.1"); }
  // Sends it, and gives what has come by then.
  std::string say(std::string_view payload) { return say_raw(RawClient::frame(payload)); }
  std::string say_raw(const std::string& bytes) {
    send(client_, bytes);
    for (int i = 0; i < 4; ++i) {
      (void)poller_.wait(0ns);
      strangers_.update();
    }
    std::array<char, 4096> buffer;
    const ssize_t count = ::recv(client_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return count < 0 ? "nothing" : std::string(buffer.data(), static_cast<std::size_t>(count));
  }
  std::string monitor(std::string_view command) { return say("qRcmd," + hex(command)); }

  static constexpr const char* kToken = "00112233445566778899aabbccddeeff";
  Fd client_;
  Strangers strangers_{poller_, refusals_, kToken, [] { return debug::Abilities(); },
                       [this] { return now_; }};
};

TEST_F(StrangersTest, HearWhatTheServerCanDoAndNothingOfTheGuest) {
  EXPECT_THAT(say("qSupported:multiprocess+"), HasSubstr("vContSupported+"));
  EXPECT_EQ(say("!"), "+$OK#9a");
  EXPECT_EQ(say("QNonStop:0"), "+$OK#9a");
  EXPECT_EQ(say("?"), "+$W00#b7");
  EXPECT_EQ(say("vMustReplyEmpty"), "+$#00");
  for (const char* list : {"qTfP", "qTsP", "qTfV", "qTsV"})
    EXPECT_EQ(say(list), "+$l#6c") << list;
  for (const char* payload :
       {"g", "m0,8", "M0,1:00", "Z0,0,1", "c", "s", "vCont;c", "D", "k", "vAttach;1", "vRun;",
        "R00", "qXfer:features:read:target.xml:0,100", "x0,8", "p0", "Hg1", "qC", "qfThreadInfo"}) {
    const std::string answer = say(payload);
    EXPECT_EQ(answer.substr(0, 5), "+$E02") << payload << ": " << answer;
  }
  EXPECT_EQ(say_raw("\x03"), "nothing");
  EXPECT_FALSE(strangers_.take_admitted());
}

TEST_F(StrangersTest, WhoSaysTheTokenIsAdmittedWithWhatItHasAgreed) {
  say("qSupported:swbreak+;error-message+");
  say("QStartNoAckMode");
  send(client_, "+");
  EXPECT_THAT(monitor("registers"), HasSubstr(hex("monitor auth TOKEN")));
  EXPECT_THAT(monitor("auth 00112233445566778899aabbccddeefe"), HasSubstr(hex("not the token")));
  send(client_, RawClient::frame("qRcmd," + hex(std::string("auth ") + kToken)) +
                    RawClient::frame("vAttach;1"));
  turn();
  auto admitted = strangers_.take_admitted();
  ASSERT_TRUE(admitted);
  EXPECT_EQ(admitted->said.answered.size(), 2u);
  EXPECT_TRUE(admitted->said.link.no_ack_mode());
  EXPECT_EQ(admitted->said.input, RawClient::frame("vAttach;1"));
  EXPECT_FALSE(strangers_.take_admitted());
}

TEST_F(StrangersTest, ThreeWrongTokensAreTheEnd) {
  for (const char* wrong : {"", "00112233445566778899aabbccddee"})
    EXPECT_THAT(monitor(std::string("auth ") + wrong + "0"), HasSubstr(hex("This is not")));
  EXPECT_THAT(monitor("auth 00112233445566778899aabbccddeeff0"), HasSubstr(hex("third time")));
  EXPECT_TRUE(closed(client_));
  EXPECT_FALSE(strangers_.take_admitted());
}

TEST_F(StrangersTest, WhatIsNoDebuggerIsClosed) {
  EXPECT_EQ(say_raw("+++"), "nothing");
  EXPECT_EQ(say_raw("GET / HTTP/1.1\r\n" + RawClient::frame("?")), "");
}

TEST_F(StrangersTest, WithoutATokenNobodyIsAdmitted) {
  Strangers nobody(poller_, refusals_, "", [] { return debug::Abilities(); });
  Fd client;
  nobody.take(connect(client), "192.0.2.1");
  send(client, RawClient::frame("qRcmd," + hex("auth ")));
  turn();
  EXPECT_FALSE(nobody.take_admitted());
}

}  // namespace
}  // namespace ringside::testing

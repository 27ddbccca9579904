// What the owner of an endpoint is told of a debugger, and in which order; and what he tells it.
#include <gtest/gtest.h>

#include "library/serving.h"

namespace ringside::testing {
namespace {

using Log = std::vector<std::string>;

class Hooks : public ::testing::Test {
 protected:
  Hooks() {
    debug::ServerOptions options;
    options.hooks.guest_stopped = [this] { log_.push_back("stopped"); };
    options.hooks.guest_resumed = [this] { log_.push_back("resumed"); };
    options.hooks.client_came = [this] { log_.push_back("came"); };
    options.hooks.client_went = [this] { log_.push_back("went"); };
    options.hooks.client_acts = [this] { acts_ = true; };
    // The embedder's own way back to power-on, with a debugger that looks on.
    options.commands.push_back({"begin_again", "", "", [this](std::string_view) {
                                  for (const std::uint32_t i : {0u, 1u})
                                    PlayedVm::power_on(vm_.vcpu({i}).cpu);
                                  endpoint_->machine_was_reset();
                                  return std::string("done\n");
                                }});
    endpoint_ = *DebugEndpoint::open(vm_, "", std::move(options));
  }
  void start() {
    endpoint_->start();
    serving_.emplace(*endpoint_);
  }
  Fd adopt() {
    auto [server, client] = connected_sockets();
    EXPECT_TRUE(endpoint_->adopt(server.release()));
    return std::move(client);
  }
  DebugClient attach() {
    Fd socket;
    serving_->call([&] { socket = adopt(); });
    DebugClient client(std::move(socket));
    greet(client);
    return client;
  }
  // Since the last look.
  Log news() {
    Log result;
    serving_->call([&] { result = std::exchange(log_, {}); });
    return result;
  }
  // Until the server has taken the client's end.
  void await_end() {
    for (const Deadline deadline; !deadline.passed();) {
      bool connected = true;
      serving_->call([&] { connected = endpoint_->connected(); });
      if (!connected) return;
    }
    FAIL() << "the client's end was not noticed";
  }

  PlayedVm vm_{2};
  Log log_;
  bool acts_ = false;
  std::unique_ptr<DebugEndpoint> endpoint_;
  std::optional<Serving> serving_;
};

TEST_F(Hooks, ComeInTheOrderInWhichADebuggerActs) {
  start();
  EXPECT_EQ(news(), Log());
  DebugClient client = attach();
  EXPECT_EQ(news(), (Log{"came", "stopped"}));
  client.insert(kCode + 4);
  EXPECT_EQ(news(), Log());
  client.send("vCont;c");
  EXPECT_EQ(news(), (Log{"resumed"}));
  serving_->call([&] { vm_.hit({0}, kCode + 4); });
  EXPECT_EQ(client.await_stop().signal, 5u);
  EXPECT_EQ(news(), (Log{"stopped"}));
  client.remove(kCode + 4);
  client.send("vCont;c");
  EXPECT_EQ(client.stop().signal, 2u);
  EXPECT_EQ(news(), (Log{"resumed", "stopped"}));
  detach(client);
  await_end();
  EXPECT_EQ(news(), (Log{"resumed", "went"}));
  EXPECT_TRUE(acts_);
}

TEST_F(Hooks, ADroppedConnectionLetsTheGuestRun) {
  start();
  {
    DebugClient client = attach();
    client.insert(kCode);
    EXPECT_EQ(news(), (Log{"came", "stopped"}));
  }
  await_end();
  EXPECT_EQ(news(), (Log{"resumed", "went"}));
  serving_->call([&] {
    EXPECT_TRUE(vm_.vcpu({0}).in_guest());
    EXPECT_EQ(vm_.memory().peek<std::uint8_t>(Gpa{kCode}), 0);
  });
  {
    DebugClient client = attach();
    client.send("vCont;c");
    EXPECT_EQ(news(), (Log{"came", "stopped", "resumed"}));
  }
  await_end();
  EXPECT_EQ(news(), (Log{"went"}));
}

// The guest is out for a moment only, which is nobody's stop.
TEST_F(Hooks, ARequestWhileTheGuestRunsIsNoStop) {
  start();
  DebugClient client = attach();
  client.send("vCont;c");
  EXPECT_EQ(news(), (Log{"came", "stopped", "resumed"}));
  EXPECT_EQ(client.request("m0,1"), "00");
  EXPECT_EQ(news(), Log());
  EXPECT_EQ(client.stop().signal, 2u);
  EXPECT_EQ(news(), (Log{"stopped"}));
}

TEST_F(Hooks, AClientBeforeTheStartIsServedFromThereOn) {
  DebugClient client(adopt());
  client.set_acks(Acks::Manual);
  client.send_bytes(RawClient::frame("qSupported:swbreak+") + RawClient::frame("?"));
  EXPECT_TRUE(endpoint_->serve(std::chrono::nanoseconds(0)));
  EXPECT_EQ(log_, Log());
  EXPECT_EQ(vm_.vcpu({0}).resumes, 0u);
  start();
  EXPECT_EQ(client.receive_byte(), '+');
  EXPECT_NE(client.receive().find("PacketSize="), std::string::npos);
  client.send_bytes("+");
  EXPECT_EQ(client.receive_byte(), '+');
  parse_stop(client.receive());
  EXPECT_EQ(news(), (Log{"came", "stopped"}));
}

// What a client is told at its first packet it does not ask again.
TEST(Greeting, SpeaksOfAPastThatTheMachineWillHave) {
  for (const bool expected : {false, true}) {
    const auto endpoint = DebugEndpoint::open("");
    ASSERT_TRUE(endpoint);
    if (expected) (*endpoint)->expect_time_travel();
    auto [server, socket] = connected_sockets();
    ASSERT_TRUE((*endpoint)->adopt(server.release()));
    DebugClient client(std::move(socket));
    client.set_acks(Acks::Manual);
    client.send_bytes(RawClient::frame("qSupported:swbreak+"));
    EXPECT_TRUE((*endpoint)->serve(std::chrono::nanoseconds(0)));
    EXPECT_EQ(client.receive_byte(), '+');
    const bool told = client.receive().find(";ReverseStep+;ReverseContinue+") != std::string::npos;
    EXPECT_EQ(told, expected);
  }
}

TEST_F(Hooks, WhoGoesBeforeTheStartHasNotBeenThere) {
  adopt();
  EXPECT_TRUE(endpoint_->serve(std::chrono::nanoseconds(0)));
  start();
  EXPECT_EQ(news(), Log());
  attach();
  await_end();
  EXPECT_EQ(news(), (Log{"came", "stopped", "resumed", "went"}));
}

// Two vCPUs have hit, and one of them is told. The other's hit is of a machine that is no more.
TEST_F(Hooks, WhatHasHappenedBeforeAResetIsVoid) {
  start();
  DebugClient client = attach();
  client.insert(kCode + 4);
  client.send("vCont;c");
  news();
  serving_->call([&] {
    vm_.hit({0}, kCode + 4);
    vm_.hit({1}, kCode + 4);
  });
  EXPECT_EQ(client.await_stop().signal, 5u);
  EXPECT_EQ(unhex(client.request("qRcmd," + hex("begin_again"))), "done\n");
  EXPECT_EQ(client.rip(), kCode);
  news();
  client.send("vCont;c");
  EXPECT_EQ(news(), (Log{"resumed"}));
  EXPECT_EQ(client.stop().signal, 2u);
}

TEST_F(Hooks, AnAnnouncedEndIsToldToWhoWaits) {
  start();
  DebugClient client = attach();
  client.send("vCont;c");
  news();
  serving_->call([&] { endpoint_->announce_end(5); });
  EXPECT_EQ(client.receive(), "W05");
}

}  // namespace
}  // namespace ringside::testing

// Journeys through the past and what comes between: interrupts, clients that leave, requests that
// would change the past, failures, and what the owner hears of it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "debug/testing/travel_bench.h"

namespace ringside::debug {
namespace {

using namespace testing;

class Slices : public ::testing::TestWithParam<unsigned> {};

TEST_P(Slices, AnInterruptInTheMiddleStopsThere) {
  for (const bool as_packet : {false, true}) {
    TravelBench machine;
    machine.stop_after(12);
    machine.client.send("bc");
    for (unsigned i = 0; i < GetParam(); ++i)
      machine.server.drain_events();
    EXPECT_TRUE(machine.server.has_work());
    if (as_packet) {
      machine.client.send("vCtrlC");
      EXPECT_EQ(machine.client.receive(), "OK");
    } else {
      machine.client.interrupt();
    }
    EXPECT_EQ(machine.client.receive(), "T02thread:01;");
    EXPECT_FALSE(machine.server.has_work());
    EXPECT_EQ(machine.client.receive(), "(nothing)");
    EXPECT_EQ(machine.ask("?"), "T02thread:01;");
    EXPECT_EQ(machine.travel.given_up, 1u);
    EXPECT_EQ(machine.travel.position(), 11 - GetParam());
    EXPECT_TRUE(machine.travel.is_right());
    EXPECT_EQ(machine.go("bs"), GetParam() == 11 ? kBegin : "T05thread:01;");
    EXPECT_TRUE(machine.travel.is_right());
    // Forwards as well.
    machine.client.send("c");
    machine.client.interrupt();
    EXPECT_EQ(machine.client.receive(), "T02thread:01;");
    EXPECT_TRUE(machine.travel.is_right());
  }
}

enum class Leaving { Disconnect, Detach, Kill, ExtendedDetach };

TEST_P(Slices, WhoLeavesInTheMiddleLeavesAMachineInThePresent) {
  for (const Leaving how :
       {Leaving::Disconnect, Leaving::Detach, Leaving::Kill, Leaving::ExtendedDetach}) {
    TravelBench machine;
    machine.stop_after(12);
    const std::string before = machine.ask("g");
    EXPECT_EQ(machine.ask("Z0,1050,1"), "OK");
    if (how == Leaving::ExtendedDetach) machine.ask("!");
    machine.client.send("bc");
    for (unsigned i = 0; i < GetParam(); ++i)
      machine.server.drain_events();
    if (how == Leaving::Disconnect) {
      machine.client.disconnect();
    } else {
      machine.client.interrupt();
      machine.client.send(how == Leaving::Kill ? "k" : "D");
    }
    EXPECT_EQ(machine.travel.returns, 1u);
    EXPECT_FALSE(machine.travel.in_past());
    EXPECT_TRUE(machine.travel.is_right());
    EXPECT_TRUE(machine.engine.linear.empty());
    EXPECT_TRUE(machine.guest.vm.vcpu({0}).in_guest());
    EXPECT_EQ(machine.guest.rip(0), kLoop);
    EXPECT_FALSE(machine.server.has_work());
    if (how != Leaving::Disconnect) machine.client.disconnect();
    // The next one finds it as if the first had never gone anywhere.
    machine.client.connect();
    machine.client.take_raw();
    EXPECT_EQ(machine.ask("g"), before);
    EXPECT_EQ(machine.travel.returns, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(TimeTravel, Slices, ::testing::Range(0u, 12u));

// An engine without breakpoints of its own; what is in memory then would be in no state of the
// past.
TEST(TimeTravel, BytesInGuestMemoryHaveNoPast) {
  TravelBench machine;
  machine.guest.vm.offer = {};
  machine.stop_after(10);
  EXPECT_EQ(machine.ask("Z0,1050,1"), "OK");
  ASSERT_EQ(machine.guest.byte(0x1050), 0xcc);
  EXPECT_EQ(text_of(machine.go("bc")),
            "there is no way through the past while breakpoints are bytes in guest memory\n");
  EXPECT_EQ(machine.client.receive(), "T02thread:01;");
  EXPECT_EQ(machine.ask("z0,1050,1"), "OK");
  EXPECT_EQ(machine.go("bc"), kBegin);
}

TEST(TimeTravel, WhatWouldChangeThePastIsRefused) {
  ServerOptions options;
  options.restart = [] { return Result<void>{}; };
  TravelBench machine(1, options);
  machine.guest.vm.vcpu({0}).msrs[0x10] = 1;
  machine.stop_after(10);
  machine.ask("!");
  const std::string registers = machine.ask("g");
  EXPECT_EQ(machine.ask("P0=0500000000000000"), "OK");
  EXPECT_EQ(machine.ask("G" + registers), "OK");
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
  const std::string no = "E.the past cannot be changed";
  EXPECT_EQ(machine.ask("P0=0700000000000000"), no);
  EXPECT_EQ(machine.ask("G" + machine.ask("g")), no);
  EXPECT_EQ(machine.ask("M3000,1:77"), no);
  EXPECT_EQ(machine.ask("X3000,1:w"), no);
  EXPECT_EQ(machine.ask("vRun;"), no);
  EXPECT_NE(text_of("O" + machine.ask("qRcmd," + to_hex(std::string_view("msr 0x10 2"))))
                .find("the past cannot be changed"),
            std::string::npos);
  machine.client.send("R00");
  EXPECT_EQ(machine.ask("?"), "T05thread:01;");
  EXPECT_TRUE(machine.travel.is_right());
  EXPECT_EQ(machine.guest.vm.vcpu({0}).msrs[0x10], 1u);
  // Not breakpoints, nor what only looks.
  EXPECT_EQ(machine.ask("Z0,1000,1"), "OK");
  EXPECT_EQ(machine.ask("z0,1000,1"), "OK");
  EXPECT_EQ(machine.ask("m3000,1"), "01");
  EXPECT_EQ(machine.ask("qRcmd," + to_hex(std::string_view("msr 0x10"))),
            to_hex(std::string_view("msr 0x10 = 0x0000000000000001 (IA32_TIME_STAMP_COUNTER)\n")));
  EXPECT_EQ(machine.ask("qSupported"), machine.ask("qSupported"));
  EXPECT_EQ(machine.ask("M3000,1:77"), "E2d");
}

TEST(TimeTravel, AJourneyThatFailsEndsInAStopAndASentence) {
  TravelBench machine;
  machine.stop_after(10);
  machine.travel.refuses = "there is no room for a past";
  for (const char* resume : {"bs", "bc"}) {
    EXPECT_EQ(text_of(machine.go(resume)), "there is no room for a past\n");
    EXPECT_EQ(machine.client.receive(), "T02thread:01;");
    EXPECT_EQ(machine.travel.position(), 10u);
  }
  machine.travel.refuses.clear();
  machine.travel.breaks = "the journal cannot be read";
  machine.travel.breaks_after = 3;
  EXPECT_EQ(text_of(machine.go("bc")), "the journal cannot be read\n");
  EXPECT_EQ(machine.client.receive(), "T02thread:01;");
  EXPECT_EQ(machine.travel.position(), 7u);
  EXPECT_TRUE(machine.travel.is_right());
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
}

TEST(TimeTravel, TheOwnerHearsOfRunsOfTheGuestAlone) {
  std::string heard;
  ServerOptions options;
  options.hooks.guest_stopped = [&] { heard += 's'; };
  options.hooks.guest_resumed = [&] { heard += 'r'; };
  TravelBench machine(1, options);
  machine.stop_after(10);
  heard.clear();
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.go("s"), "T05thread:01;");
  EXPECT_EQ(heard, "");
  machine.client.send("c");
  machine.settle(3);
  EXPECT_EQ(heard, "r");
  machine.client.interrupt();
  EXPECT_EQ(heard, "rs");
  machine.go("bs");
  machine.client.disconnect();
  EXPECT_EQ(heard, "rsr");
}

TEST(TimeTravel, TheEndOfTheMachineAnswersAJourney) {
  TravelBench machine;
  machine.stop_after(10);
  machine.client.send("bc");
  machine.server.announce_end(1);
  EXPECT_EQ(machine.client.receive(), "W01");
}

TEST(TimeTravel, ByteByByteItIsTheSame) {
  TravelBench machine;
  machine.stop_after(10);
  machine.ask("Z0,1000,1");
  const auto byte_by_byte = [&](std::string_view payload) {
    std::string frame, reply;
    rsp::append_frame(frame, payload, rsp::RunLengthOutput::Off);
    for (const char c : frame) {
      machine.client.send_raw(std::string_view(&c, 1));
      machine.server.drain_events();
    }
    while (machine.server.has_work() || !machine.server.output().empty()) {
      if (machine.server.output().empty()) {
        machine.server.drain_events();
        continue;
      }
      reply += machine.server.output().front();
      machine.server.wrote(1);
    }
    machine.client.send_raw("+");
    return reply.substr(0, reply.find('#'));
  };
  EXPECT_EQ(byte_by_byte("bc"), "+$T05thread:01;swbreak:;");
  EXPECT_EQ(byte_by_byte("bs"), "+$T05thread:01;");
  EXPECT_EQ(byte_by_byte("vCont;s:1;c"), "+$T05thread:01;");
  EXPECT_EQ(byte_by_byte("bc"), "+$T05thread:01;swbreak:;");
  EXPECT_EQ(machine.travel.position(), 4u);
  EXPECT_TRUE(machine.travel.is_right());
}

// What follows a resume waits until that is answered.
TEST(TimeTravel, RequestsWaitForTheEndOfAJourney) {
  TravelBench machine;
  machine.stop_after(10);
  machine.client.send("bc");
  machine.client.send("qC");
  machine.settle();
  EXPECT_EQ(machine.client.receive(), kBegin);
  EXPECT_EQ(machine.client.receive(), "QC01");
}

// Each call of the server's does a slice, however much a client sends at once.
TEST(TimeTravel, ManyResumesInOnePieceKeepNobodyFromBeingServed) {
  TravelBench machine;
  machine.stop_after(10);
  std::string frames;
  for (int i = 0; i < 5; ++i)
    rsp::append_frame(frames, "bs", rsp::RunLengthOutput::Off);
  machine.client.send_raw(frames);
  EXPECT_EQ(machine.travel.position(), 9u);
  for (std::size_t at = 9; at > 5; --at) {
    EXPECT_EQ(machine.travel.position(), at);
    EXPECT_TRUE(machine.server.has_work());
    machine.server.drain_events();
  }
  EXPECT_EQ(machine.travel.position(), 5u);
  EXPECT_FALSE(machine.server.has_work());
}

// What a journey forwards prints waits for a client that does not read, and so does the journey.
TEST(TimeTravel, AClientThatDoesNotReadHoldsItsJourneyUp) {
  TravelBench machine;
  machine.stop_after(4000);
  machine.travel.slice = 10'000;
  EXPECT_EQ(machine.go("bc"), kBegin);
  machine.travel.slice = 1;
  const std::string text(1000, 'x');
  const std::string program = "22002200340003e9" + to_hex(text) + "0027";
  EXPECT_EQ(
      machine.ask("Z0,1000,1;cmds:0,X" + fmt::format("{:x}", program.size() / 2) + "," + program),
      "OK");
  EXPECT_EQ(machine.ask("Z1,1002,1;X8,2600002303e81327"), "OK");
  machine.client.send("c");
  while (machine.server.has_work())
    machine.server.drain_events();
  const std::size_t position = machine.travel.position();
  EXPECT_LT(position, 2000u);
  for (int i = 0; i < 3000; ++i)
    machine.server.drain_events();
  EXPECT_EQ(machine.travel.position(), position);
  EXPECT_TRUE(machine.travel.is_travelling());
  EXPECT_LT(machine.server.output().size(), 600'000u);
  std::string all, packet = machine.client.receive();
  while (packet[0] == 'O' || machine.server.has_work()) {
    if (packet[0] == 'O') all += text_of(packet);
    machine.server.drain_events();
    packet = machine.client.receive();
  }
  EXPECT_EQ(packet, "T05thread:01;hwbreak:;");
  EXPECT_EQ(all.size(), 1000u * 1000);
}

// A machine that is under way is not looked at, and who waits for it hears that it lives.
TEST(TimeTravel, WhoLooksHearsThatTheMachineIsUnderWay) {
  std::chrono::steady_clock::time_point now{};
  ServerOptions options;
  options.clock = [&now] { return now; };
  TravelBench machine(1, options);
  machine.stop_after(10);
  Client other(machine.server);
  other.connect_to_look();
  machine.client.send("bc");
  other.send("m1000,1");
  bool is_written = false;
  while (machine.server.has_work()) {
    now += std::chrono::milliseconds(300);
    machine.server.drain_events();
    is_written |= machine.travel.is_travelling() && !machine.server.observers_rest();
  }
  EXPECT_TRUE(is_written) << "its socket's owner is told that there is something to write";
  now += std::chrono::seconds(10);
  machine.server.drain_events();
  const std::string all = other.take_raw();
  EXPECT_THAT(all, ::testing::HasSubstr("%Ringside:working#"));
  EXPECT_THAT(all, ::testing::ContainsRegex("%Ringside:working#..[$]40#"));
}

TEST(TimeTravel, NoPacketComesBeforeTheReport) {
  std::chrono::steady_clock::time_point now{};
  ServerOptions options;
  options.clock = [&now] { return now; };
  TravelBench machine(1, options);
  machine.stop_after(10);
  machine.client.send("bc");
  while (machine.server.has_work()) {
    now += std::chrono::seconds(10);
    machine.server.drain_events();
  }
  const std::string all = machine.client.take_raw();
  EXPECT_EQ(all.substr(0, all.find('#')), "+$" + kBegin);
}

}  // namespace
}  // namespace ringside::debug

// Text of a guest that runs and prints all the time, and a client that has to read it: GDB is asked
// what it has read, so that a stop does not come to it behind much text.
#include <gtest/gtest.h>

#include "debug/packets/greeter.h"
#include "debug/testing/fixture.h"
#include "rsp/file_io.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using testing::Bench;
namespace opcode = testing::opcode;

constexpr const char* kGdb = "qSupported:swbreak+;vContSupported+";
constexpr std::size_t kLittle = 16 * 1024;

// printf("%d\n", rax) at each round, of which each has another number.
std::string print_rax() {
  const std::string code =
      "260000"
      "2200"
      "2200"
      "340100"
      "04" +
      rsp::reply::hex(std::string("%d\n") + '\0') + "27";
  EXPECT_EQ(code.size(), 2u * 0x10);
  return "X10," + code;
}

class Printing : public ::testing::Test {
 protected:
  Printing() {
    bench_.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfd});
    bench_.attach();
  }
  void begin(std::string_view hello) {
    bench_.ask(hello);
    EXPECT_EQ(bench_.ask("Z0,1000,1;cmds:0," + print_rax()), "OK");
    bench_.client.send("c");
  }
  // Lets the guest run and takes text, until something else comes: that, or nothing while the guest
  // stands.
  std::string run_and_read() {
    for (std::uint64_t before = ~std::uint64_t{0};; bench_.run(100)) {
      for (std::string packet; (packet = bench_.client.receive()) != "(nothing)";) {
        if (packet[0] != 'O') return packet;
        for (std::size_t i = 1; i + 1 < packet.size(); i += 2)
          text_ += static_cast<char>(std::stoi(packet.substr(i, 2), nullptr, 16));
      }
      if (std::exchange(before, bench_.guest.rax(0)) == bench_.guest.rax(0)) return "(nothing)";
      if (text_.size() > 4 * kLittle) return "(much text)";
    }
  }
  // Each number once and in order.
  void expect_nothing_lost() const {
    std::string expected;
    for (int i = 0; expected.size() < text_.size(); ++i)
      expected += std::to_string(i) + "\n";
    EXPECT_EQ(text_, expected);
  }

  Bench bench_;
  std::string text_;
};

TEST_F(Printing, WaitsUntilGdbHasReadIt) {
  begin(kGdb);
  for (int i = 0; i < 5; ++i) {
    const std::size_t before = text_.size();
    EXPECT_EQ(run_and_read(), rsp::kCall);
    EXPECT_EQ(run_and_read(), "(nothing)") << "the guest stands";
    EXPECT_GT(text_.size(), before);
    EXPECT_LT(text_.size(), before + kLittle);
    bench_.client.send("F1");
  }
  expect_nothing_lost();
}

TEST_F(Printing, IsToldBeforeAStop) {
  begin(kGdb);
  for (int i = 0; i < 3; ++i) {
    const std::size_t before = text_.size();
    EXPECT_EQ(run_and_read(), rsp::kCall);
    run_and_read();
    bench_.client.interrupt();
    // What GDB has not answered yet it answers before it does anything else.
    EXPECT_EQ(run_and_read(), "S05");
    EXPECT_LT(text_.size(), before + kLittle);
    EXPECT_EQ(bench_.ask("F1"), "(nothing)");
    EXPECT_EQ(bench_.ask("m1001,1"), "eb");
    bench_.client.send("c");
  }
  expect_nothing_lost();
}

// GDB manual, "The Ctrl-C Message".
TEST_F(Printing, AnInterruptMayComeWithTheAnswer) {
  begin(kGdb);
  EXPECT_EQ(run_and_read(), rsp::kCall);
  bench_.client.send("F-1,4,C");
  EXPECT_EQ(run_and_read(), "S05");
  expect_nothing_lost();
  // The interrupt has been told by itself already.
  bench_.client.send("c");
  EXPECT_EQ(run_and_read(), rsp::kCall);
  bench_.client.interrupt();
  EXPECT_EQ(run_and_read(), "S05");
  EXPECT_EQ(bench_.ask("F-1,4,C"), "(nothing)");
  bench_.client.send("c");
  EXPECT_EQ(run_and_read(), rsp::kCall);
}

TEST_F(Printing, OthersAreNotAsked) {
  begin("qSupported:swbreak+;multiprocess+;xmlRegisters=i386");
  EXPECT_EQ(run_and_read(), "(much text)");
  expect_nothing_lost();
}

TEST_F(Printing, WhoDoesNotAnswerIsNotAskedAgain) {
  begin(kGdb);
  EXPECT_EQ(run_and_read(), rsp::kCall);
  bench_.client.interrupt();
  EXPECT_EQ(run_and_read(), "S05");
  EXPECT_EQ(bench_.ask("m1001,1"), "eb");
  bench_.client.send("c");
  EXPECT_EQ(run_and_read(), "(much text)");
}

// An answer to nothing is a packet like any other that nobody knows.
TEST_F(Printing, AnAnswerThatWasNotAskedForIsUnknown) { EXPECT_EQ(bench_.ask("F1"), ""); }

// A client that came before the machine was there has said who it is to the greeter.
TEST(PrintingLater, GdbIsKnownByWhatItToldTheGreeter) {
  Bench bench;
  bench.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfd});
  bench.server.start();
  Greeter greeter;
  std::string hello;
  rsp::append_frame(hello, kGdb, rsp::RunLengthOutput::Off);
  greeter.on_bytes(std::as_bytes(std::span(hello)));
  greeter.wrote(greeter.output().size());
  bench.server.take_over(std::move(greeter).introduction());
  bench.run(1);
  EXPECT_EQ(bench.ask("Z0,1000,1;cmds:0," + print_rax()), "OK");
  bench.client.send("c");
  std::string packet;
  for (int i = 0; i < 100 && packet != rsp::kCall; ++i) {
    bench.run(1000);
    for (std::string next; (next = bench.client.receive()) != "(nothing)";)
      packet = next;
  }
  EXPECT_EQ(packet, rsp::kCall);
}

}  // namespace
}  // namespace ringside::debug

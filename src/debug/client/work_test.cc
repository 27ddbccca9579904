// Requests that take long: the client hears that they are worked on, by a clock of the test's.
#include <algorithm>

#include "base/hex.h"
#include "debug/server/server.h"
#include "debug/testing/fixture.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using Time = std::chrono::steady_clock::time_point;

// Ten slices of work, or many; each takes as long as the test says.
class Slices final : public MonitorWork {
 public:
  Slices(unsigned total, std::string text) : total_(total), text_(std::move(text)) {}
  std::optional<std::string> advance() override {
    if (++done_ < total_) return std::nullopt;
    return text_;
  }
  std::string progress() const override { return "slices: " + std::to_string(done_) + " of 10"; }

 private:
  unsigned total_;
  std::string text_;
  unsigned done_ = 0;
};

class LongWork : public ::testing::Test {
 protected:
  static constexpr unsigned kMany = 40'000;
  static ServerOptions options(const Time& now) {
    ServerOptions options;
    MonitorCommand command;
    command.name = "slices";
    command.begin = [](std::string_view text) {
      return std::make_unique<Slices>(text == "many" ? kMany : 10,
                                      text == "all" ? std::string(200'000, 'x') : "done\n");
    };
    options.commands.push_back(command);
    options.clock = [&now] { return now; };
    return options;
  }
  static std::string command(std::string_view text) { return "qRcmd," + to_hex(text); }
  // All that comes until there is no more work, each slice taking `each`. To take it earlier would
  // let the server work on.
  std::string work_through(std::chrono::milliseconds each) {
    while (bench.server.has_work()) {
      now += each;
      bench.server.drain_events();
    }
    return bench.client.take_raw();
  }
  static std::size_t count(std::string_view all, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = all.find(part); at != all.npos; at = all.find(part, at + 1))
      ++found;
    return found;
  }

  Time now{};
  Bench bench{1, options(now)};
};

TEST_F(LongWork, AMonitorCommandIsServedInSlicesAndSaysSo) {
  bench.attach();
  bench.client.send(command("slices"));
  EXPECT_TRUE(bench.server.has_work());
  const std::string all = work_through(std::chrono::milliseconds(500));
  // Two slices of ten at once, then seven signs of life half a second apart, then the answer. Every
  // fourth sign is a line.
  EXPECT_EQ(count(all, "$O#4f"), 6u);
  EXPECT_EQ(count(all, "$O" + to_hex("slices: ")), 1u);
  const std::string reply = "$" + to_hex("done\n") + "#";
  EXPECT_EQ(all.substr(all.rfind('$'), reply.size()), reply);
  EXPECT_EQ(bench.ask("qC"), "QC01");
}

TEST_F(LongWork, WhatIsQuickSaysNothingMeanwhile) {
  bench.attach();
  bench.client.send(command("slices"));
  const std::string all = work_through(std::chrono::milliseconds(49));
  EXPECT_EQ(count(all, "$"), 1u);
}

TEST_F(LongWork, AClientThatReadsNothingIsNotFlooded) {
  bench.attach();
  bench.client.send(command("slices many"));
  while (bench.server.has_work()) {
    now += std::chrono::seconds(1);
    bench.server.drain_events();
  }
  // Its answer is there, at a bound that does not grow with the work.
  EXPECT_LT(bench.server.output().size(), 2 * rsp::kPacketSize + 1000);
  EXPECT_EQ(count(bench.client.take_raw(), "$" + to_hex("done\n") + "#"), 1u);
}

TEST_F(LongWork, ALongTextComesBeforeTheReply) {
  bench.attach();
  bench.client.send(command("slices all"));
  const std::string all = work_through(std::chrono::milliseconds(0));
  EXPECT_EQ(count(all, "$O78"), 3u);
  EXPECT_EQ(count(all, "78"), 200'000u);
}

TEST_F(LongWork, CtrlCEndsAMonitorCommand) {
  bench.attach();
  bench.client.send(command("slices"));
  bench.client.take_raw();
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), to_hex("Interrupted.\n"));
  EXPECT_FALSE(bench.server.has_work());
}

// A page table that leads to itself maps the same for ever, or as here nothing.
TEST_F(LongWork, ListingsOfPageTablesAreServedInSlicesToo) {
  bench.attach();
  x86::CpuState& cpu = bench.guest.vm.vcpu({0}).cpu;
  for (std::uint64_t at = 0; at < 0x1000; at += 8) {
    for (const std::uint64_t table : {0x8000u, 0x9000u, 0xa000u}) {
      const bool last = table == 0xa000;
      bench.guest.vm.memory().poke<std::uint64_t>(Gpa{table + at},
                                                  (last ? table : table + 0x1000) | 3);
    }
  }
  bench.guest.vm.memory().poke<std::uint64_t>(Gpa{0xa000}, 0);
  cpu.cr0 |= x86::cr0::PG;
  cpu.cr3 = 0x8000;
  cpu.cr4 |= x86::cr4::PAE;
  cpu.efer |= x86::efer::LME | x86::efer::LMA;
  bench.client.send(command("info mem"));
  ASSERT_TRUE(bench.server.has_work());
  bench.client.take_raw();
  for (int i = 0; i < 4; ++i) {
    now += std::chrono::seconds(1);
    bench.server.drain_events();
  }
  EXPECT_EQ(count(bench.client.take_raw(), "$O" + to_hex("at 0x")), 1u);
  ASSERT_TRUE(bench.server.has_work());
  bench.client.interrupt();
  EXPECT_FALSE(bench.server.has_work());
}

// 514 tables, of which a slice has 200: the listing is that of one piece.
TEST_F(LongWork, AListingGoesOnWhereItsSliceEnded) {
  bench.attach();
  auto& memory = bench.guest.vm.memory();
  memory.poke<std::uint64_t>(Gpa{0x8000}, 0x9003);
  memory.poke<std::uint64_t>(Gpa{0x9000}, 0xa003);
  for (std::uint64_t at = 0; at < 0x1000; at += 8) {
    memory.poke<std::uint64_t>(Gpa{0xa000 + at}, 0xb003);
    memory.poke<std::uint64_t>(Gpa{0xb000 + at}, 0xc003);
  }
  x86::CpuState& cpu = bench.guest.vm.vcpu({0}).cpu;
  cpu.cr0 |= x86::cr0::PG;
  cpu.cr3 = 0x8000;
  cpu.cr4 |= x86::cr4::PAE;
  cpu.efer |= x86::efer::LME | x86::efer::LMA;
  bench.client.send(command("info mem"));
  ASSERT_TRUE(bench.server.has_work());
  const std::string whole = work_through(std::chrono::milliseconds(0));
  // A page that was met twice, or left out, would divide the range.
  const std::string line = "0000000000000000-0000000040000000 0000000040000000 -rw\n";
  EXPECT_EQ(count(whole, "$" + to_hex(line) + "#"), 1u);
}

// Console output belongs before the answer of a monitor command and nowhere else. Other packets
// have notifications, which a client drops without a word.
TEST_F(LongWork, APacketIsKeptAliveByNotifications) {
  bench.guest.vm.memory().add_ram(Gpa{0x1000000}, 24u << 20);
  bench.attach();
  for (const char* mode : {"with acknowledgements", "without"}) {
    bench.client.send("qCRC:1000000,1800000");
    EXPECT_TRUE(bench.server.has_work()) << mode;
    const std::string all = work_through(std::chrono::milliseconds(600));
    EXPECT_GE(count(all, "%Ringside:working#"), 3u) << mode;
    EXPECT_EQ(count(all, "$C"), 1u) << mode;
    EXPECT_EQ(count(all, "$"), 1u) << mode;
    EXPECT_EQ(bench.ask("QStartNoAckMode"), "OK");
  }
}

}  // namespace
}  // namespace ringside::debug

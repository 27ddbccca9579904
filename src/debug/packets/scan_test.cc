// qSearch and qCRC: right in every place, and a slice at a time.
#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "debug/server/server.h"
#include "debug/testing/fixture.h"
#include "ringside/x86/bits.h"

namespace ringside::debug {
namespace {

using testing::Bench;

constexpr std::uint64_t kLarge = 0x1000000;  // where the long ranges of these tests are
constexpr std::uint64_t kLargeSize = 24u << 20;

std::string hex_number(std::uint64_t value) { return fmt::format("{:x}", value); }

void write_text(Bench& bench, std::uint64_t address, std::string_view text) {
  for (const char c : text)
    bench.guest.write(address++, {static_cast<std::uint8_t>(c)});
}

// Several slices of work.
struct LongBench : Bench {
  LongBench() {
    guest.vm.memory().add_ram(Gpa{kLarge}, kLargeSize);
    attach();
  }
  std::string await_answer() {
    for (int rounds = 0; rounds < 1000; ++rounds) {
      const std::string reply = client.receive();
      if (reply != "(nothing)") return reply;
      if (!server.has_work()) break;
      server.drain_events();
    }
    return "(nothing)";
  }
  static std::string search(std::string_view pattern) {
    return "qSearch:memory:1000000;1800000;" + std::string(pattern);
  }
};

TEST(Search, FindsTheFirstThatLiesWithinTheRange) {
  Bench bench;
  bench.attach();
  write_text(bench, 0x2ffe, "needle");
  EXPECT_EQ(bench.ask("qSearch:memory:1000;8000;needle"), "1,2ffe");
  EXPECT_EQ(bench.ask("qSearch:memory:1000;2003;needle"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:1000;2004;needle"), "1,2ffe");
  EXPECT_EQ(bench.ask("qSearch:memory:3000;1000;needle"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:2fff;1000;needle"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:1000;0;needle"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:2ffe;3;needle"), "0");
}

// RAM is from 0 to 0xffff.
TEST(Search, HolesAreSteppedOver) {
  Bench bench;
  bench.guest.vm.memory().add_ram(Gpa{0x100000}, 0x2000);
  bench.attach();
  EXPECT_EQ(bench.ask("qSearch:memory:0;ffffffffffffffff;needle"), "0");
  write_text(bench, 0x100ffe, "needle");
  for (const char* physical : {"0", "1"}) {
    bench.ask(std::string("Qqemu.PhyMemMode:") + physical);
    EXPECT_EQ(bench.ask("qSearch:memory:0;ffffffffffffffff;needle"), "1,100ffe");
    EXPECT_EQ(bench.ask("qSearch:memory:20000;ffffff;needle"), "1,100ffe");
    EXPECT_EQ(bench.ask("qSearch:memory:20000;e1003;needle"), "0");
    EXPECT_EQ(bench.ask("qSearch:memory:100fff;ffffffffffffffff;needle"), "0");
    // Nothing of it is memory.
    EXPECT_EQ(bench.ask("qSearch:memory:90000;10;needle"), "E0e");
    EXPECT_EQ(bench.ask("qSearch:memory:103000;ffffffffffffffff;needle"), "E0e");
    // A sum over a hole would be a sum over something else.
    EXPECT_EQ(bench.ask("qCRC:2000,ffffff"), "E0e");
  }
}

TEST(Search, AnOccurrenceHasNoHole) {
  Bench bench;
  bench.guest.vm.memory().add_ram(Gpa{0x100000}, 0x1000);
  bench.attach();
  write_text(bench, 0xfffd, "nee");
  write_text(bench, 0x100000, "dle");
  EXPECT_EQ(bench.ask("qSearch:memory:0;200000;needle"), "0");
  bench.ask("Z0,100000,1");  // what is copied, because it has bytes of ours, is no other
  EXPECT_EQ(bench.ask("qSearch:memory:0;200000;needle"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:0;200000;dle"), "1,100000");
}

// Two pages far apart, in a space of which most is not mapped and a part is not canonical.
TEST(Search, WhatIsNotMappedIsSteppedOver) {
  Bench bench;
  constexpr std::uint64_t kTable = 3;
  const auto entry = [&](std::uint64_t table, std::uint64_t index, std::uint64_t value) {
    bench.guest.vm.memory().poke<std::uint64_t>(Gpa{table + index * 8}, value | kTable);
  };
  entry(0x8000, 0, 0x9000);
  entry(0x8000, 511, 0x9000);
  entry(0x9000, 1, 0xa000);
  entry(0xa000, 2, 0xb000);
  entry(0xb000, 3, 0x2000);
  entry(0xb000, 5, 0x90000);  // leads to nothing
  entry(0xb000, 7, 0x3000);
  bench.attach();
  x86::CpuState& cpu = bench.guest.vm.vcpu({0}).cpu;
  cpu.cr0 |= x86::cr0::PG;
  cpu.cr3 = 0x8000;
  cpu.cr4 |= x86::cr4::PAE;
  cpu.efer |= x86::efer::LME | x86::efer::LMA;
  write_text(bench, 0x3ffa, "needle");
  EXPECT_EQ(bench.ask("qSearch:memory:0;ffffffffffffffff;needle"), "1,40407ffa");
  EXPECT_EQ(bench.ask("qSearch:memory:40407ffb;ffffffffffffffff;needle"), "1,ffffff8040407ffa");
  EXPECT_EQ(bench.ask("qSearch:memory:ffffff8040407ffb;ffffffffffffffff;needle"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:40405000;1000;needle"), "E0e");
  EXPECT_EQ(bench.ask("qSearch:memory:800000000000;1000;needle"), "E0e");
}

TEST(Search, AtTheEndOfAllAddresses) {
  Bench bench;
  bench.attach();
  bench.ask("Qqemu.PhyMemMode:1");
  EXPECT_EQ(bench.ask("qSearch:memory:ffffffffffffffff;1;x"), "E0e");
  EXPECT_EQ(bench.ask("qCRC:ffffffffffffffff,ffffffffffffffff"), "E0e");
  EXPECT_FALSE(bench.server.has_work());
}

TEST(Search, DoesNotSeeOurBytes) {
  Bench bench;
  bench.attach();
  write_text(bench, 0x2ffe, "needle");
  bench.ask("Z0,3001,1");
  EXPECT_EQ(bench.guest.byte(0x3001), 0xcc);
  EXPECT_EQ(bench.ask("qSearch:memory:1000;8000;needle"), "1,2ffe");
  EXPECT_EQ(bench.ask("qSearch:memory:1000;8000;\xcc"), "0");
  const std::string with = bench.ask("qCRC:2ff0,20");
  bench.ask("z0,3001,1");
  EXPECT_EQ(bench.ask("qCRC:2ff0,20"), with);
}

TEST(Search, DevicesAreLeftAlone) {
  Bench bench;
  bench.attach();
  bench.guest.vm.memory().add_device(Gpa{0x10000}, 0x1000);
  EXPECT_EQ(bench.ask("qSearch:memory:f000;2001;x"), "0");
  EXPECT_EQ(bench.ask("qSearch:memory:10000;1000;x"), "E0e");
  EXPECT_TRUE(bench.guest.vm.memory().mmio_log.empty());
}

// Against the obvious way, with few different bytes so that near misses abound.
TEST(Search, IsTheFirstOccurrence) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    Bench bench;
    bench.guest.vm.memory().views = round % 2 == 0;
    bench.attach();
    const std::uint8_t letters = round % 3 == 0 ? 1 : 2;
    std::vector<std::uint8_t> text(6000);
    for (std::size_t i = 0; i < text.size(); ++i) {
      text[i] = static_cast<std::uint8_t>(random() % (letters + 1u));
      bench.guest.write(0x2800 + i, {text[i]});
    }
    const std::size_t size = 1 + random() % 14, from = random() % 100;
    std::string pattern;
    for (std::size_t i = 0; i < size; ++i)
      pattern += static_cast<char>(random() % (letters + 1u));
    const auto found = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(),
                                   pattern.begin(), pattern.end());
    std::string expected = "0";
    if (found != text.end())
      expected = "1," + hex_number(0x2800 + static_cast<std::uint64_t>(found - text.begin()));
    const std::string range = hex_number(0x2800 + from) + ";" + hex_number(6000 - from);
    EXPECT_EQ(bench.ask("qSearch:memory:" + range + ";" + pattern), expected) << round;
  }
}

TEST(Checksum, IsThePublishedOne) {
  Bench bench;
  bench.attach();
  // CRC-32/MPEG-2 of the nine digits, a published check value.
  write_text(bench, 0x2000, "123456789");
  EXPECT_EQ(bench.ask("qCRC:2000,9"), "C0376e6e7");
  EXPECT_EQ(bench.ask("qCRC:2000,0"), "Cffffffff");
  EXPECT_EQ(bench.ask("qC"), "QC01");
}

TEST(Checksum, OfAnyLength) {
  Bench bench;
  bench.attach();
  std::mt19937 random(2);
  std::uint32_t crc = 0xffffffff;
  for (std::uint64_t length = 0; length < 200; ++length) {
    EXPECT_EQ(bench.ask("qCRC:2fb0," + hex_number(length)), fmt::format("C{:08x}", crc));
    const auto byte = static_cast<std::uint8_t>(random());
    bench.guest.write(0x2fb0 + length, {byte});
    crc ^= std::uint32_t{byte} << 24;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc << 1 ^ ((crc & 0x80000000) != 0 ? 0x04c11db7 : 0);
  }
}

TEST(LongScan, ComesInSlices) {
  LongBench bench;
  write_text(bench, kLarge + kLargeSize - 6, "needle");
  bench.client.send(LongBench::search("needle"));
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_TRUE(bench.server.has_work());
  EXPECT_EQ(bench.await_answer(), "1,27ffffa");
  EXPECT_FALSE(bench.server.has_work());
}

TEST(LongScan, AcrossSlices) {
  for (int shift = -7; shift <= 1; ++shift) {
    LongBench bench;
    const std::uint64_t place = kLarge + (4u << 20) + static_cast<std::uint64_t>(shift);
    write_text(bench, place, "needle");
    bench.client.send(LongBench::search("needle"));
    EXPECT_EQ(bench.await_answer(), "1," + hex_number(place));
  }
}

TEST(LongScan, CtrlCEndsIt) {
  LongBench bench;
  bench.client.send("qCRC:1000000,1800000");
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "E16");
  EXPECT_FALSE(bench.server.has_work());
  EXPECT_EQ(bench.ask("m1000,1"), "00");
}

TEST(LongScan, PacketsWaitForTheirTurn) {
  LongBench bench;
  bench.client.send(LongBench::search("needle"));
  bench.client.send("qC");
  EXPECT_EQ(bench.await_answer(), "0");
  EXPECT_EQ(bench.client.receive(), "QC01");
}

TEST(LongScan, EndsWithItsClient) {
  LongBench bench;
  bench.client.send(LongBench::search("needle"));
  bench.client.disconnect();
  EXPECT_FALSE(bench.server.has_work());
  EXPECT_TRUE(bench.in_guest(0));
  bench.client.connect();
  EXPECT_EQ(bench.ask("qC"), "QC01");
}

TEST(LongScan, ARunningGuestWaitsForItsEnd) {
  LongBench bench;
  bench.client.send("c");
  bench.client.send(LongBench::search("needle"));
  EXPECT_FALSE(bench.in_guest(0));
  EXPECT_EQ(bench.await_answer(), "0");
  EXPECT_TRUE(bench.in_guest(0));
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "S05");
}

}  // namespace
}  // namespace ringside::debug

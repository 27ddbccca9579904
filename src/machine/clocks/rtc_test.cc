#include "machine/clocks/rtc.h"

#include <gtest/gtest.h>

#include "machine/clocks/calendar.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr std::int64_t kStart = 1704067200;  // Monday 2024-01-01 00:00:00

TEST(Calendar, GoesThereAndBack) {
  EXPECT_EQ(civil_time(0).weekday, 4u);
  const CivilTime leap = civil_time(951782400);  // 2000-02-29
  EXPECT_EQ(leap.year, 2000);
  EXPECT_EQ(leap.month, 2u);
  EXPECT_EQ(leap.day, 29u);
  EXPECT_EQ(leap.weekday, 2u);
  for (std::int64_t s = -5'000'000'000; s < 20'000'000'000; s += 86'399'977) {
    EXPECT_EQ(seconds_of(civil_time(s)), s);
  }
}

struct RtcTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  EventQueue events{cpus};
  Rtc rtc{events, cpus, {lines, 8}, kStart, {3ull << 30, 2ull << 30}, 4};

  RtcTest() { rtc.reset(); }
  unsigned read(unsigned index) {
    rtc.write_port(0x70, static_cast<std::uint8_t>(index));
    return rtc.read_port(0x71);
  }
  void write(unsigned index, unsigned value) {
    rtc.write_port(0x70, static_cast<std::uint8_t>(index));
    rtc.write_port(0x71, static_cast<std::uint8_t>(value));
  }
  void go_to(std::uint64_t ns) {
    while (events.next().ns <= ns) {
      cpus.time = events.next();
      events.run(cpus.time);
    }
    cpus.time = {ns};
  }
  std::vector<unsigned> time() {  // century, year, month, day, weekday, hour, minute, second
    return {read(0x32), read(9), read(8), read(7), read(6), read(4), read(2), read(0)};
  }
};

using Time = std::vector<unsigned>;
constexpr std::uint64_t kSecond = 1'000'000'000;

TEST_F(RtcTest, StartsAtTheGivenTimeInBcd) {
  EXPECT_EQ(time(), (Time{0x20, 0x24, 1, 1, 2, 0, 0, 0}));
  go_to((23 * 3600 + 59 * 60 + 59) * kSecond);
  EXPECT_EQ(time(), (Time{0x20, 0x24, 1, 1, 2, 0x23, 0x59, 0x59}));
  go_to(86400 * kSecond);
  EXPECT_EQ(time(), (Time{0x20, 0x24, 1, 2, 3, 0, 0, 0}));
}

TEST_F(RtcTest, SpeaksBinaryAndTwelveHours) {
  go_to(13 * 3600 * kSecond);
  write(0xb, 0x06);
  EXPECT_EQ(read(4), 13u);
  write(0xb, 0x04);
  EXPECT_EQ(read(4), 0x81u);
  write(0xb, 0x00);
  EXPECT_EQ(read(4), 0x81u);
  go_to(24 * 3600 * kSecond);
  EXPECT_EQ(read(4), 0x12u);
}

TEST_F(RtcTest, CanBeSet) {
  write(0xb, 0x82);
  write(9, 0x31);
  write(8, 0x12);
  write(7, 0x31);
  write(4, 0x23);
  write(2, 0x59);
  write(0, 0x58);
  go_to(5 * kSecond);  // stopped meanwhile
  EXPECT_EQ(read(0), 0x58u);
  write(0xb, 0x02);
  go_to(7 * kSecond);
  EXPECT_EQ(time(), (Time{0x20, 0x32, 1, 1, 5, 0, 0, 0}));
}

TEST_F(RtcTest, ASetOfOneFieldKeepsTheOthers) {
  go_to(5 * kSecond);
  write(4, 0x07);
  EXPECT_EQ(time(), (Time{0x20, 0x24, 1, 1, 2, 7, 0, 5}));
}

TEST_F(RtcTest, WarnsBeforeTheUpdate) {
  EXPECT_EQ(read(0xa), 0x26u);
  go_to(kSecond - 244'000);
  EXPECT_EQ(read(0xa), 0xa6u);
  go_to(kSecond);
  EXPECT_EQ(read(0xa), 0x26u);
}

TEST_F(RtcTest, UpdateInterruptComesEachSecond) {
  write(0xb, 0x12);
  go_to(kSecond);
  EXPECT_TRUE(lines.level[8]);
  EXPECT_EQ(read(0xc) & 0x90, 0x90u);
  EXPECT_FALSE(lines.level[8]);
  EXPECT_EQ(read(0xc), 0u);
  go_to(2 * kSecond);
  EXPECT_EQ(lines.rises[8], 2u);
}

TEST_F(RtcTest, PeriodicInterruptHasItsRate) {
  write(0xb, 0x42);
  for (unsigned i = 1; i <= 1024; ++i) {
    cpus.time = events.next();
    events.run(cpus.time);
    EXPECT_EQ(read(0xc) & 0xc0, 0xc0u);
  }
  EXPECT_EQ(lines.rises[8], 1024u);
  EXPECT_NEAR(static_cast<double>(cpus.time.ns), 1e9, 1e6);
}

TEST_F(RtcTest, AlarmRingsAtItsTime) {
  write(1, 0x03);
  write(3, 0xff);
  write(5, 0xff);
  write(0xb, 0x22);
  go_to(2 * kSecond);
  EXPECT_FALSE(lines.level[8]);
  go_to(3 * kSecond);
  EXPECT_EQ(read(0xc) & 0xa0, 0xa0u);
  go_to(62 * kSecond);
  EXPECT_EQ(lines.rises[8], 1u);
  go_to(63 * kSecond);
  EXPECT_EQ(lines.rises[8], 2u);
}

TEST_F(RtcTest, FlagsCanBePolled) {
  EXPECT_EQ(read(0xc) & 0xf0, 0u);
  go_to(kSecond);
  EXPECT_EQ(read(0xc), 0x50u);  // periodic and update; the alarm is set for midnight
}

TEST_F(RtcTest, ReleasingTheDividerStartsHalfASecondBeforeTheUpdate) {
  go_to(kSecond / 4);
  write(0xa, 0x76);
  go_to(3 * kSecond);
  write(0xa, 0x26);
  const unsigned before = read(0);
  go_to(3 * kSecond + kSecond / 2 - 1);
  EXPECT_EQ(read(0), before);
  go_to(3 * kSecond + kSecond / 2);
  EXPECT_EQ(read(0), before + 1);
}

TEST_F(RtcTest, HoldsTheMemorySizeForFirmware) {
  EXPECT_EQ(read(0x34) | read(0x35) << 8, ((3u << 30) - (16u << 20)) >> 16);
  EXPECT_EQ(read(0x5b) | read(0x5c) << 8, (2u << 30) >> 16);
  EXPECT_EQ(read(0x5f), 3u);
  write(0x40, 0x77);
  EXPECT_EQ(read(0x40), 0x77u);
  EXPECT_EQ(read(0xd), 0x80u);
}

TEST_F(RtcTest, StateMoves) {
  write(0xb, 0x52);
  go_to(kSecond / 3);
  EventQueue other_events(cpus);
  Rtc other{other_events, cpus, {lines, 9}, 0, {1 << 20, 0}, 1};
  EXPECT_TRUE(testing::load(other, testing::save(rtc)));
  EXPECT_TRUE(testing::load(other_events, testing::save(events)));
  EXPECT_EQ(other_events.next(), events.next());
  EXPECT_EQ(testing::save(other), testing::save(rtc));
}

}  // namespace
}  // namespace ringside::machine

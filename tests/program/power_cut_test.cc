// A power cut. First ringside alone is lost: it is killed in the moment in which it has told the
// guest that a flush is done. Then the host is lost with it, at every moment of a recorded run: of
// what was not brought to the disk by then, the disk may have any sectors.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <vector>

#include "program/write_log.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

// The guest `flush` writes as much in each round, and the image has room for so many.
constexpr std::size_t kRound = 65536, kRounds = 12;

std::string content_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(PowerCut, LosesNothingThatWasFlushed) {
  const std::string image =
      ::testing::TempDir() + "ringside-power-cut-" + std::to_string(::getpid());
  for (const std::size_t rounds : {std::size_t{1}, std::size_t{7}, kRounds}) {
    std::ofstream(image, std::ios::binary | std::ios::trunc) << std::string(kRounds * kRound, '.');
    GuestProcess guest("flush",
                       {.start = GuestOptions::Start::WithoutDebug, .arguments = {"-d", image}});
    std::string letters;
    for (std::size_t round = 0; round < rounds; ++round) {
      guest.process().write_input("x");
      letters += static_cast<char>('a' + round);
      guest.process().await(ChildProcess::Stream::Output, letters);
    }
    guest.process().kill(SIGKILL);
    EXPECT_EQ(guest.process().await_exit(), 128 + SIGKILL);

    std::string expected;
    for (std::size_t round = 0; round < kRounds; ++round)
      expected += std::string(kRound, round < rounds ? letters[round] : '.');
    EXPECT_TRUE(content_of(image) == expected) << "after " << rounds << " rounds";
  }
  ::unlink(image.c_str());
}

#ifdef RINGSIDE_WRITE_LOG

// A disk with a cache that is lost with the power. What is in it may have reached the disk all the
// same, sector by sector, in any order.
class Disk {
 public:
  explicit Disk(std::size_t size) : safe_(size, '.'), cached_(safe_) {}

  void write(std::size_t offset, std::string_view bytes) {
    cached_.replace(offset, bytes.size(), bytes);
  }
  void sync() { safe_ = cached_; }
  const std::string& after_losing_the_cache() const { return safe_; }
  std::string after_losing_some_of_it(std::minstd_rand& random) const {
    constexpr std::size_t kSector = 512;
    std::string image = safe_;
    for (std::size_t at = 0; at < image.size(); at += kSector) {
      if (random() % 2 == 0) image.replace(at, kSector, cached_, at, kSector);
    }
    return image;
  }

 private:
  std::string safe_, cached_;
};

void expect_rounds(const std::string& image, std::size_t rounds) {
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::string written(kRound, static_cast<char>('a' + round));
    EXPECT_EQ(image.compare(round * kRound, kRound, written), 0) << "of round " << round;
  }
}

TEST(PowerCut, OfTheHostLosesNothingThatWasFlushed) {
  const std::string image =
                        ::testing::TempDir() + "ringside-power-cut-" + std::to_string(::getpid()),
                    log = image + ".log";
  std::ofstream(image, std::ios::binary) << std::string(kRounds * kRound, '.');
  {
    ChildProcess process({"env", "LD_PRELOAD=" RINGSIDE_WRITE_LOG, "WRITE_LOG=" + log,
                          RINGSIDE_PROGRAM, "-e", engine(), "-m", "32M", "-d", image, "--virtio",
                          "mmio", GuestImage("flush").path()});
    std::string letters;
    for (std::size_t round = 0; round < kRounds; ++round) {
      process.write_input("x");
      letters += static_cast<char>('a' + round);
      process.await(Stream::Output, letters);
    }
  }
  Disk disk(kRounds * kRound);
  std::minstd_rand random;
  std::size_t told = 0, syncs = 0, cuts = 0;
  const std::string all = content_of(log);
  for (std::size_t at = 0; at + sizeof(LoggedWrite) <= all.size();) {
    LoggedWrite record;
    std::memcpy(&record, all.data() + at, sizeof record);
    at += sizeof record;
    const std::string_view bytes = std::string_view(all).substr(at, record.size);
    at += record.size;
    if (record.kind == LoggedWrite::Kind::Write) disk.write(record.offset, bytes);
    if (record.kind == LoggedWrite::Kind::Sync) {
      disk.sync();
      ++syncs;
    }
    if (record.kind == LoggedWrite::Kind::Said)
      told += static_cast<std::size_t>(
          std::count_if(bytes.begin(), bytes.end(), [](char c) { return c >= 'a' && c <= 'z'; }));
    // Here the power is cut.
    SCOPED_TRACE("after " + std::to_string(++cuts) + " records, at round " + std::to_string(told));
    expect_rounds(disk.after_losing_the_cache(), told);
    expect_rounds(disk.after_losing_some_of_it(random), told);
  }
  // The process may have ended between the last letter and its note.
  EXPECT_GE(told + 1, kRounds);
  EXPECT_GE(syncs, kRounds);
  std::printf("the power was cut at %zu moments, with %zu flushes\n", cuts, syncs);
  ::unlink(image.c_str());
  ::unlink(log.c_str());
}

#endif

}  // namespace
}  // namespace ringside::testing

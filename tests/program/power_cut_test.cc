// A power cut: ringside is killed in the moment in which it has told the guest that a flush is
// done. What was flushed is in the image. (That the flush reaches the host's disk:
// raw_disk_test.cc.)
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

TEST(PowerCut, LosesNothingThatWasFlushed) {
  constexpr std::size_t kRound = 65536, kRounds = 12;
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
    std::ifstream stream(image, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_TRUE(content == expected) << "after " << rounds << " rounds";
  }
  ::unlink(image.c_str());
}

}  // namespace
}  // namespace ringside::testing

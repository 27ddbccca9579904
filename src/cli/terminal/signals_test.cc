#include "cli/terminal/signals.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace ringside::cli {
namespace {

// The kernel's answer is a signal whose default is death, and then nothing is said or cleaned up.
TEST(EndSignals, AFileBeyondTheLimitOfTheProcessIsAnErrorOfTheWrite) {
  auto poller = transport::Poller::create();
  ASSERT_TRUE(poller);
  const EndSignals signals(*poller, InterruptKey::Ends);
  const Fd file(::open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_TRUE(file);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const ssize_t count = ::pwrite(file.get(), "x", 1, 4096);
  const int problem = errno;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(count, -1);
  EXPECT_EQ(problem, EFBIG);
  EXPECT_TRUE(signals.received().empty());
}

TEST(EndSignals, WhileAMachineIsLoadedASignalEndsTheProcessOnTheSpot) {
  auto poller = transport::Poller::create();
  ASSERT_TRUE(poller);
  EXPECT_EXIT(
      {
        EndSignals signals(*poller, InterruptKey::Ends);
        signals.end_at_once(true);
        ::raise(SIGTERM);
      },
      ::testing::ExitedWithCode(4), "^ringside: ended by SIGTERM\n$");
  EXPECT_EXIT(
      {
        EndSignals signals(*poller, InterruptKey::Ends);
        signals.end_at_once(true);
        signals.end_at_once(false);
        ::raise(SIGINT);
        ::_exit(signals.received() == "SIGINT" ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(EndSignals, FromTheStartASignalEndsTheProcessOnTheSpotAndAnotherOneIsKept) {
  auto poller = transport::Poller::create();
  ASSERT_TRUE(poller);
  EXPECT_EXIT(
      {
        handle_signals_from_the_start();
        ::raise(SIGUSR1);
        ::raise(SIGHUP);
      },
      ::testing::ExitedWithCode(4), "^ringside: ended by SIGHUP\n$");
  EXPECT_EXIT(
      {
        handle_signals_from_the_start();
        ::raise(SIGUSR1);
        EndSignals signals(*poller, InterruptKey::Ends);
        ::_exit(signals.take_user_signal() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(EndSignals, WhoIsStartedByNohupGoesOn) {
  auto poller = transport::Poller::create();
  ASSERT_TRUE(poller);
  EXPECT_EXIT(
      {
        ::signal(SIGHUP, SIG_IGN);
        handle_signals_from_the_start();
        ::raise(SIGHUP);
        { EndSignals signals(*poller, InterruptKey::Ends); }
        ::raise(SIGHUP);
        EndSignals signals(*poller, InterruptKey::Ends);
        ::raise(SIGHUP);
        ::_exit(signals.received().empty() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(EndSignals, WhenTheMachineHasEndedASignalIsNoOtherEnd) {
  auto poller = transport::Poller::create();
  ASSERT_TRUE(poller);
  EXPECT_EXIT(
      {
        { const EndSignals signals(*poller, InterruptKey::Ends); }
        ::raise(SIGUSR1);
        ::raise(SIGTERM);
      },
      ::testing::ExitedWithCode(4), "^ringside: ended by SIGTERM\n$");
}

}  // namespace
}  // namespace ringside::cli

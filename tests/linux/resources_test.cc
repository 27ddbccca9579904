// What a guest costs its host: memory, and processor time while it is idle; and how its time runs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "linux/guest_checks.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

class LinuxResources : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }
  const LinuxFiles files_{"cloud-amd64"};
};

// Processor time of a process so far: fields 14 and 15 of stat (proc(5)).
Seconds processor_time(pid_t pid) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stream, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i)
    fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return Seconds((user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

TEST_F(LinuxResources, MemoryIsWhatTheGuestTouchesAndLittleMore) {
  constexpr std::uint64_t kMiB = 1024;  // in KiB
  LinuxGuest guest(files_, {.cpus = 4, .memory = "2G"});
  guest.shell().await_prompt();
  for (const char* part : {"forks", "threads", "signals"})
    guest.shell().output_of(std::string("exercise ") + part);
  const HostMemory before = memory_of(guest.process().pid(), 2048 * kMiB);
  EXPECT_GT(before.guest_ram, 40 * kMiB);
  EXPECT_LT(before.guest_ram, 512 * kMiB) << "RAM is touched that the guest did not";
  EXPECT_LE(before.peak, before.guest_ram + 96 * kMiB);

  // A file of 300 MiB comes to the kernel and its programs, which have 40 at least. Some of it lies
  // on pages that were touched before and are free again: how much the two numbers differ is the
  // guest's affair.
  guest.shell().output_of("dd if=/dev/zero of=/tmp/large bs=1M count=300 2>&1");
  const HostMemory after = memory_of(guest.process().pid(), 2048 * kMiB);
  EXPECT_GE(after.guest_ram, 340 * kMiB);
  EXPECT_LE(after.guest_ram, before.guest_ram + 320 * kMiB)
      << "RAM is touched that the guest did not";
  EXPECT_LE(after.peak, after.guest_ram + 96 * kMiB);
  RecordProperty("overhead_kib", std::to_string(after.peak - after.guest_ram));
}

TEST_F(LinuxResources, ASleepingGuestSleepsAsLongOnTheHostAndCostsNothing) {
  LinuxGuest guest(files_, {.cpus = 2});
  guest.shell().await_prompt();
  guest.shell().output_of("sleep 1");  // what the boot left to be done is done
  const auto start = Clock::now();
  const Seconds used = processor_time(guest.process().pid());
  guest.shell().output_of("sleep 5");
  const Seconds passed = Clock::now() - start;
  EXPECT_GT(passed.count(), 4.5);
  EXPECT_LT(passed.count(), 5 * 4);  // the host may be busy
  EXPECT_LT((processor_time(guest.process().pid()) - used).count(), 0.5);
}

TEST_F(LinuxResources, UnpacedTimeRunsAhead) {
  LinuxGuest guest(files_, {.arguments = {"--pace", "off"}});
  guest.shell().await_prompt();
  const auto start = Clock::now();
  guest.shell().output_of(
      "before=$(date +%s); sleep 300; after=$(date +%s); "
      "[ $((after - before)) -ge 300 ] && [ $((after - before)) -le 310 ]");
  EXPECT_LT(Seconds(Clock::now() - start).count(), 150);
}

}  // namespace
}  // namespace ringside::testing

// Stops wherever a vCPU may be: in a loop, in HLT, in the midst of a transfer to a device. What it
// costs is printed.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "conformance/test_vm.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

class Stops : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override { SKIP_IF(GetParam().missing()); }
  // From the request to the report, each time after the guest has run for a moment.
  static void measure(TestVm& vm, const char* where) {
    std::vector<Microseconds> times;
    for (int i = 0; i < 200; ++i) {
      vm.resume();
      ASSERT_TRUE(vm.runs_quietly(2));
      const Clock::time_point start = Clock::now();
      vm.engine().suspend({0});
      vm.expect<exit::Parked>();
      times.emplace_back(Clock::now() - start);
    }
    std::sort(times.begin(), times.end());
    const Microseconds median = times[times.size() / 2];
    std::printf("a stop %s: median %.0f us, most %.0f us\n", where, median.count(),
                times.back().count());
    // A busy host may keep the thread waiting for its turn.
    EXPECT_LT(median, patience(std::chrono::milliseconds(200)));
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, Stops, ::testing::ValuesIn(engine_kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(Stops, InALoop) {
  TestVm vm(GetParam(), "counters");
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  measure(vm, "in a loop");
}

// Nobody polls while the guest waits for an interrupt.
TEST_P(Stops, AnIdleGuestTakesNoProcessorTime) {
  TestVm vm(GetParam(), "halt");
  if (vm.engine().event_fd() < 0) GTEST_SKIP() << "the engine does nothing by itself";
  vm.resume();
  vm.run_until_said("0");
  const std::clock_t before = std::clock();
  const auto from = std::chrono::steady_clock::now();
  for (const Deadline second(std::chrono::seconds(1)); !second.passed();)
    ASSERT_TRUE(vm.runs_quietly(100));
  // Patience makes the second longer.
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - from;
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC / passed.count();
  std::printf("processor time of an idle guest: %.1f %%\n", 100 * used);
  EXPECT_LT(used, 0.2);
}

TEST_P(Stops, InHlt) {
  TestVm vm(GetParam(), "halt");
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  measure(vm, "in HLT");
  EXPECT_TRUE(vm.vcpu().halted());
  EXPECT_EQ(vm.rip(), vm["after_hlt"]);
}

// The registers agree with each other and with what the device has got: nothing is lost or done
// twice, and no instruction is seen half executed.
TEST_P(Stops, InTheMidstOfATransfer) {
  TestVm vm(GetParam(), "transfers");
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  const std::string block = vm.memory(vm["block"], vm["block_end"] - vm["block"]);
  unsigned in_transfer = 0;
  for (int i = 0; i < 50; ++i) {
    vm.resume();
    ASSERT_TRUE(vm.runs_quietly(1));
    vm.suspend_all();
    const std::uint64_t left = vm.read(x86::Register::Rcx), at = vm.read(x86::Register::Rsi);
    const std::uint64_t blocks = vm.memory_u64(vm["blocks"]);
    if (vm.rip() != vm["transfer"]) continue;
    ++in_transfer;
    ASSERT_EQ(at + left, vm["block_end"]);
    ASSERT_EQ(vm.debug_output().size(), blocks * block.size() + (block.size() - left));
  }
  EXPECT_GT(in_transfer, 0u);
  const std::string got = vm.debug_output();
  std::size_t right = 0;
  while (right < got.size() && got[right] == block[right % block.size()])
    ++right;
  EXPECT_EQ(right, got.size());
  measure(vm, "in a transfer");
}

// A device that does not come back until it is told to.
class SlowDevice {
 public:
  void access() {
    std::unique_lock lock(lock_);
    entered_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
  }
  bool await_access() {
    std::unique_lock lock(lock_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [this] { return entered_; });
  }
  void release() {
    const std::lock_guard lock(lock_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  bool entered_ = false, released_ = false;
};

// The stop waits for the device, and the access is complete.
TEST_P(Stops, InASlowDevice) {
  SlowDevice device;
  TestVm vm(GetParam(), "transfers");
  if (vm.engine().event_fd() < 0) GTEST_SKIP() << "devices run on the debugger's own thread";
  vm.when_in_debug_port([&] { device.access(); });
  vm.resume();
  EXPECT_TRUE(device.await_access());
  EXPECT_EQ(vm.debug_output().size(), 0u);
  vm.engine().suspend({0});
  EXPECT_TRUE(vm.runs_quietly(20));
  EXPECT_TRUE(vm.vcpu().in_guest());
  device.release();
  vm.expect<exit::Parked>();
  const std::string block = vm.memory(vm["block"], vm["block_end"] - vm["block"]);
  const std::string got = vm.debug_output();
  ASSERT_GT(got.size(), 0u);
  EXPECT_EQ(got, block.substr(0, got.size()));
  EXPECT_EQ(vm.rip(), got.size() == block.size() ? vm["after_transfer"] : vm["transfer"]);
  EXPECT_EQ(vm.read(x86::Register::Rcx), block.size() - got.size());
  EXPECT_EQ(vm.read(x86::Register::Rsi), vm["block"] + got.size());
  // And goes on where it was.
  vm.resume();
  EXPECT_TRUE(vm.runs_until([&] { return vm.debug_output().size() > 3 * block.size(); }));
  vm.suspend_all();
  EXPECT_EQ(vm.debug_output().substr(0, 2 * block.size()), block + block);
}

// Of the machine's devices: as long as no vCPU is in the guest.
TEST_P(Stops, TheClockStandsStillMeanwhile) {
  TestVm vm(GetParam(), "counters");
  if (vm.engine().event_fd() < 0) GTEST_SKIP() << "the software CPU's time is not the host's";
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  const VirtualTime stopped = vm.engine().now();
  for (const Deadline pause(std::chrono::milliseconds(50)); !pause.passed();)
    ASSERT_EQ(vm.engine().now(), stopped);
  vm.resume();
  const auto later = [&] { return vm.engine().now().ns > stopped.ns + 1'000'000; };
  EXPECT_TRUE(vm.runs_until(later));
  vm.suspend_all();
}

// And so does the guest's own, which runs with the host's. What is compared are two clocks of one
// guest, so that a busy host changes nothing.
TEST_P(Stops, TheTimeStampCounterStandsStillMeanwhile) {
  SKIP_IF(GetParam().lacks(Feature::HeldCounter));
  constexpr std::uint32_t kCounter = 0x10;
  constexpr double kPause = 0.3;  // seconds
  TestVm vm(GetParam(), "counters");
  if (vm.engine().event_fd() < 0) GTEST_SKIP() << "the software CPU's time is not the host's";
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  const auto counter = [&] { return vm.vcpu().read_msr(kCounter).value(); };
  const std::uint64_t before = counter();
  const VirtualTime stopped = vm.engine().now();
  std::this_thread::sleep_for(std::chrono::duration<double>(kPause));
  const double ticks = static_cast<double>(counter() - before);  // in kPause: it is set back later
  vm.resume();
  ASSERT_TRUE(vm.runs_quietly(2));
  vm.suspend_all();
  const double ran = static_cast<double>(counter() - before) / ticks * kPause;
  const double expected = static_cast<double>(vm.engine().now().ns - stopped.ns) / 1e9;
  EXPECT_NEAR(ran, expected, kPause / 2);
}

}  // namespace
}  // namespace ringside::testing

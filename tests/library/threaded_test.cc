// examples/unicorn_vmm.cc, whose vCPUs have threads of their own, at its limits: many hits on many
// vCPUs, conditions that are seldom or never true, interrupts. Each vCPU counts in guest memory
// before it arrives at one address, so that a hit that is lost or told twice shows at once.
// RINGSIDE_TEST_EVENTS says how many there are of each.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/effort.h"

namespace ringside::testing {
namespace {

// inc eax; mov [kCounters + edi * 4], eax; kTick: nop; jmp to the inc
constexpr std::uint64_t kTick = 0x1008, kCounters = 0x2000;

class Threaded : public ::testing::TestWithParam<unsigned> {
 protected:
  using Counts = std::vector<std::uint32_t>;

  Threaded()
      : process_({RINGSIDE_UNICORN, "0", std::to_string(GetParam())}), client_(port()), told_(0) {
    client_.request("qSupported:swbreak+");
    client_.request("vCont?");
    parse_stop(client_.request("?"));
    // All have started, and none stands where the breakpoint will be.
    while (std::ranges::min(counters()) == 0) {
      client_.send("vCont;c");
      client_.stop();
    }
    for (unsigned i = 0; i < GetParam(); ++i) {
      client_.select(i);
      if (client_.rip() == kTick) client_.request("vCont;s:" + hex_number(i + 1));
    }
    told_ = counters();
  }

  // How often each vCPU has counted.
  Counts counters() {
    const std::string bytes = client_.read(kCounters, 4 * GetParam());
    Counts result;
    for (std::size_t i = 0; i < GetParam(); ++i) {
      std::uint32_t count = 0;
      for (std::size_t byte = 4; byte-- > 0;)
        count = count << 8 | static_cast<unsigned char>(bytes.at(4 * i + byte));
      result.push_back(count);
    }
    return result;
  }
  void insert(const std::string& condition = "") {
    ASSERT_EQ(client_.request("Z0," + hex_number(kTick) + ",1" + condition), "OK");
  }
  // A stop at the breakpoint, every `step` arrivals of a vCPU. The others may have arrived too, of
  // which will be told later, but not twice.
  void check_hit(const StopReply& stop, unsigned step) {
    ASSERT_TRUE(stop.swbreak) << stop.text;
    const unsigned vcpu = stop.vcpu.value();
    ASSERT_EQ(client_.rip(), kTick);
    told_[vcpu] += step - told_[vcpu] % step;
    const Counts counted = counters();
    ASSERT_EQ(counted[vcpu], told_[vcpu]) << "vCPU " << vcpu;
    for (unsigned i = 0; i < GetParam(); ++i)
      ASSERT_LE(counted[i] - told_[i], step) << "vCPU " << i;
    hit_.resize(GetParam());
    hit_[vcpu] = true;
  }
  // So many, and further until two vCPUs have hit. Not all: on a busy host one may be parked each
  // time before it has executed anything.
  void run_to_hits(unsigned count, unsigned step) {
    const Deadline deadline;
    const auto heard = [this] { return std::ranges::count(hit_, true); };
    for (unsigned hit = 0; (hit < count || heard() < 2) && !HasFailure(); ++hit) {
      SCOPED_TRACE(hit);
      ASSERT_TRUE(hit < count || !deadline.passed()) << "only one vCPU was ever heard of";
      client_.send("vCont;c");
      check_hit(client_.await_stop(), step);
    }
    RecordProperty("vcpus_that_hit", static_cast<int>(heard()));
  }
  // Nothing that the client has not been told is still under way, and the guest is as it was.
  void finish() {
    client_.remove(kTick);
    client_.send("vCont;c");
    EXPECT_EQ(client_.stop().signal, 2u);
    client_.detach();
    EXPECT_TRUE(process_.running());
  }

  ChildProcess process_;
  DebugClient client_;
  Counts told_;  // the last count of each vCPU that a hit was told for
  std::vector<bool> hit_;

 private:
  std::uint16_t port() {
    const std::string line =
        process_.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
    return static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
  }
};

INSTANTIATE_TEST_SUITE_P(Vcpus, Threaded, ::testing::Values(2u, 4u));

TEST_P(Threaded, NoHitIsLostOrDoubled) {
  insert();
  run_to_hits(test_events(200), 1);
  finish();
}

// True for every eighth arrival. reg rax, const16 7, bit_and, log_not, end.
TEST_P(Threaded, ATrueConditionStopsEachTimeAndAFalseOneNever) {
  insert(";X9,2600002300070f0e27");
  run_to_hits(test_events(100), 8);
  finish();
}

// Each continue has one answer, whether the interrupt or a hit comes first.
TEST_P(Threaded, AnInterruptAmongHitsHasOneAnswer) {
  insert();
  unsigned interrupts = 0;
  for (unsigned i = 0; i < test_events(200) && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    client_.send("vCont;c");
    client_.interrupt();
    const StopReply stop = client_.await_stop();
    if (stop.signal == 2) {
      ++interrupts;
    } else {
      check_hit(stop, 1);
    }
  }
  RecordProperty("interrupts", static_cast<int>(interrupts));
  finish();
}

// What a vCPU has come by, as `monitor breakpoints` says it; it names those alone that have.
std::uint32_t arrivals(const std::string& text, unsigned vcpu) {
  const std::string name = "vCPU " + std::to_string(vcpu) + ": ";
  const std::size_t at = text.find(name);
  return at == std::string::npos
             ? 0
             : static_cast<std::uint32_t>(std::stoul(text.substr(at + name.size())));
}

// While every vCPU is stepped over a breakpoint all the time, whose condition is never true. const8
// 0, end. What the server says it has seen is what the guest has counted.
TEST_P(Threaded, AnInterruptAmongFalseConditionsStopsAndEveryArrivalIsCounted) {
  const Counts before = told_;
  insert(";X3,220027");
  for (unsigned i = 0; i < test_events(200) && !HasFailure(); ++i) {
    client_.send("vCont;c");
    EXPECT_EQ(client_.stop().signal, 2u);
  }
  const std::string seen = unhex(client_.request("qRcmd," + hex("breakpoints")));
  const Counts counted = counters();
  for (unsigned i = 0; i < GetParam(); ++i)
    EXPECT_LE(counted[i] - before[i] - arrivals(seen, i), 1u) << "vCPU " << i << ": " << seen;
  finish();
}

TEST_P(Threaded, AnInterruptOfAFreeRunHasOneAnswer) {
  for (unsigned i = 0; i < test_events(200); ++i) {
    client_.send("vCont;c");
    const StopReply stop = client_.stop();
    ASSERT_EQ(stop.signal, 2u);
  }
  finish();
}

}  // namespace
}  // namespace ringside::testing

// What comes before a fault from fetching an instruction (SDM 3A table 6-2): breakpoints by linear
// address, the debugger's and the guest's own. What the debugger has set elsewhere changes nothing.
#include <gtest/gtest.h>

#include <functional>

#include "base/state_hash.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
namespace exit = hypervisor::exit;
using Mode = TestCpu::Mode;

constexpr std::uint64_t kTarget = 0x28000;

// A reason why code at kTarget cannot be fetched, and the vector of that.
struct Reason {
  const char* name;
  std::function<void(TestCpu&)> arrange;
  int vector;
};

void set_entry(TestCpu& cpu, std::uint64_t value) {
  cpu.small_pages();
  cpu.put<std::uint64_t>(at::kPt + 8 * (kTarget >> 12), value);
  cpu->flush_tlb();
}

const Reason kReasons[] = {
    {"not present", [](TestCpu& cpu) { set_entry(cpu, 0); }, 14},
    {"no-execute", [](TestCpu& cpu) { set_entry(cpu, 1ull << 63 | kTarget | 7); }, 14},
    {"a reserved bit", [](TestCpu& cpu) { set_entry(cpu, 1ull << 51 | kTarget | 7); }, 14},
    {"the supervisor's",
     [](TestCpu& cpu) {
       set_entry(cpu, kTarget | 3);
       cpu.enter_user();
     },
     14},
    {"the user's, with SMEP",
     [](TestCpu& cpu) {
       set_entry(cpu, kTarget | 7);
       cpu->cr4 |= x86::cr4::SMEP;
     },
     14},
};

class CountingFilter final : public hypervisor::StopFilter {
 public:
  explicit CountingFilter(bool answer) : answer_(answer) {}
  bool wants_stop(VcpuId, const hypervisor::Exit& hit) override {
    ++asked;
    EXPECT_EQ(std::get<exit::HardwareBreakpoint>(hit).address, Gva{kTarget});
    return answer_;
  }
  int asked = 0;

 private:
  const bool answer_;
};

void begin(TestCpu& cpu, const Reason& reason) {
  reason.arrange(cpu);
  cpu.put<std::uint8_t>(kTarget, 0x90);
  cpu->rip() = kTarget;
}

TEST(FetchFaults, ABreakpointByLinearAddressComesBefore) {
  for (const Reason& reason : kReasons) {
    for (const bool guest_breaks : {false, true}) {
      SCOPED_TRACE(std::string(reason.name) + (guest_breaks ? ", with the guest's own" : ""));
      TestCpu cpu(Mode::Long64);
      begin(cpu, reason);
      if (guest_breaks) {
        cpu->dr[0] = kTarget;
        cpu->dr7 = x86::dr7::kReset | 1;
      }
      cpu.board().breakpoints.insert(kTarget);
      cpu->breakpoints_changed(kTarget & kPageMask);
      run(*cpu, cpu->icount + 5);
      ASSERT_TRUE(cpu->pending_exit);
      EXPECT_EQ(std::get<exit::HardwareBreakpoint>(*cpu->pending_exit).address, Gva{kTarget});
      EXPECT_EQ(cpu->icount, 0u);
      EXPECT_EQ(cpu->rip(), kTarget);
      // Passed, what is wrong is found.
      cpu->pending_exit.reset();
      cpu->breakpoint_passed = kTarget;
      run(*cpu, cpu->icount + 1);
      EXPECT_FALSE(cpu->pending_exit);
      EXPECT_EQ(cpu.arrived(), guest_breaks ? 1 : reason.vector);
      EXPECT_EQ(cpu.stack<std::uint64_t>(guest_breaks ? 0 : 1), kTarget);
    }
  }
}

TEST(FetchFaults, ABreakpointThatDoesNotCountIsAskedForOnce) {
  for (const bool mapped : {false, true}) {
    TestCpu cpu(Mode::Long64);
    begin(cpu, {"", [&](TestCpu& c) { set_entry(c, mapped ? kTarget | 7 : 0); }, 14});
    CountingFilter filter(false);
    cpu.board().filter = &filter;
    cpu.board().breakpoints.insert(kTarget);
    cpu.board().physical_breakpoints.insert(kTarget);
    run(*cpu, cpu->icount + 1);
    EXPECT_EQ(filter.asked, 1);
    EXPECT_EQ(cpu.arrived(), mapped ? -1 : 14);
    // Whoever comes again, has come again.
    cpu->rip() = kTarget;
    run(*cpu, cpu->icount + 1);
    EXPECT_EQ(filter.asked, 2);
  }
}

// By address and by the byte: one arrival.
TEST(FetchFaults, OneExitForBothKinds) {
  TestCpu cpu(Mode::Long64);
  begin(cpu, {"", [](TestCpu& c) { set_entry(c, kTarget | 7); }, 14});
  cpu.code("90 90 eb fc", kTarget);
  for (const std::uint64_t address : {kTarget, kTarget + 1}) {
    cpu.board().breakpoints.insert(address);
    cpu.board().physical_breakpoints.insert(address);
  }
  for (std::uint64_t i = 0; i < 6; ++i) {
    run(*cpu, cpu->icount + 10);
    ASSERT_TRUE(cpu->pending_exit);
    EXPECT_EQ(std::get<exit::HardwareBreakpoint>(*cpu->pending_exit).address, Gva{kTarget + i % 2});
    cpu->pending_exit.reset();
    cpu->breakpoint_passed = kTarget + i % 2;
  }
}

// The guest's own one comes before, and whatever the debugger has elsewhere, the guest sees the
// same: the same exception, the same time, the same accessed bits.
TEST(FetchFaults, TheGuestsOwnBreakpointComesBeforeWhateverTheDebuggerHasElsewhere) {
  for (const Reason& reason : kReasons) {
    SCOPED_TRACE(reason.name);
    std::optional<std::uint64_t> first;
    for (int elsewhere = 0; elsewhere < 4; ++elsewhere) {
      TestCpu cpu(Mode::Long64);
      begin(cpu, reason);
      cpu->dr[0] = kTarget;
      cpu->dr7 = x86::dr7::kReset | 1;
      if (elsewhere == 1) cpu.board().breakpoints.insert(kTarget + 0x100);
      if (elsewhere == 2) cpu.board().physical_breakpoints.insert(kTarget + 0x100);
      if (elsewhere == 3) cpu.board().physical_breakpoints.insert(kTarget);
      cpu.code("0f 0b", TestCpu::handler(1));  // ud2
      cpu->rip() = kTarget;
      run(*cpu, cpu->icount + 1);
      EXPECT_FALSE(cpu->pending_exit);
      EXPECT_EQ(cpu->icount, 1u);
      EXPECT_EQ(cpu.arrived(), 1);
      EXPECT_EQ(cpu->dr6 & 15, 1u);
      EXPECT_EQ(cpu.stack<std::uint64_t>(0), kTarget);
      StateHasher hasher;
      cpu->visit_state(hasher);
      hasher.bytes(std::as_writable_bytes(std::span(cpu.host(0), 2u << 20)));
      if (!first) first = hasher.value();
      EXPECT_EQ(hasher.value(), *first) << elsewhere;
    }
  }
}

// A fault takes one instruction's time, also where the next one is looked at beforehand.
TEST(FetchFaults, AFaultTakesAsLongWithBreakpointsElsewhere) {
  for (const bool debugged : {false, true}) {
    TestCpu cpu(Mode::Long64);
    begin(cpu, kReasons[0]);
    cpu->dr[0] = kTarget + 8;
    cpu->dr7 = x86::dr7::kReset | 1;
    if (debugged) cpu.board().physical_breakpoints.insert(kTarget + 0x100);
    run(*cpu, cpu->icount + 1);
    EXPECT_EQ(cpu->icount, 1u);
    EXPECT_EQ(cpu.arrived(), 14);
  }
}

// Beyond the last canonical address no page is looked for.
TEST(FetchFaults, NonCanonical) {
  for (const bool debugged : {false, true}) {
    TestCpu cpu(Mode::Long64);
    cpu->rip() = 0x8000'0000'0000;
    if (debugged) cpu.board().breakpoints.insert(0x8000'0000'0000);
    run(*cpu, cpu->icount + 1);
    EXPECT_EQ(cpu->pending_exit.has_value(), debugged);
    EXPECT_EQ(cpu.arrived(), debugged ? -1 : 13);
  }
}

// Code that was decoded before is looked at again, through every mapping.
TEST(FetchFaults, ABreakpointInCodeThatWasExecutedBefore) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  cpu.code("90 90 90 eb fb", kTarget);
  cpu->rip() = kTarget;
  run(*cpu, cpu->icount + 20);
  ASSERT_FALSE(cpu->pending_exit);
  for (const std::uint64_t address : {kTarget + 2, kTarget + 1}) {
    cpu.board().breakpoints.insert(address);
    ++cpu.board().breakpoint_changes;
    cpu->breakpoints_changed(kTarget);
    run(*cpu, cpu->icount + 20);
    ASSERT_TRUE(cpu->pending_exit);
    EXPECT_EQ(std::get<exit::HardwareBreakpoint>(*cpu->pending_exit).address, Gva{address});
    cpu->pending_exit.reset();
    cpu->breakpoint_passed = address;
  }
}

}  // namespace
}  // namespace ringside::soft

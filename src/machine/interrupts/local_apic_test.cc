#include "machine/interrupts/local_apic.h"

#include <gtest/gtest.h>

#include "machine/interrupts/apic_bus.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

using namespace x86::apic;

// By the manual's short names.
constexpr unsigned kTpr = kTaskPriority, kPpr = kProcessorPriority, kEoi = kEndOfInterrupt,
                   kLdr = kLogicalDestination, kDfr = kDestinationFormat, kSvr = kSpurious,
                   kIsr = kInService, kIrr = kRequest, kEsr = kErrorStatus, kIcr = kCommandLow,
                   kIcrHigh = kCommandHigh, kTimerLvt = register_of(kLvtTimer),
                   kLint0 = register_of(kLvtLint0), kErrorLvt = register_of(kLvtError),
                   kInitial = kInitialCount, kCurrent = kCurrentCount, kSelf = kSelfIpi;
constexpr std::uint64_t kXapic = 0xfee00800, kX2apic = 0xfee00c00;

struct Eois final : EoiListener {
  std::vector<unsigned> vectors;
  void end_of_interrupt(std::uint8_t vector) override { vectors.push_back(vector); }
};

struct Pics final : ExternalInterrupts {
  unsigned acknowledged = 0;
  std::uint8_t acknowledge() override {
    ++acknowledged;
    return 0x20;
  }
  std::uint8_t peek_vector() const override { return 0x20; }
};

struct LocalApicTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  EventQueue events{cpus};
  ApicBus bus{4, events, cpus};
  Eois eois;
  Pics pics;

  LocalApicTest() {
    bus.connect(&eois);
    bus.connect(&pics);
    for (std::uint32_t i = 0; i < 4; ++i)
      bus.apic({i}).write_mmio(kSvr, 0x1ff);
  }
  LocalApic& apic(std::uint32_t i) { return bus.apic({i}); }
  std::uint32_t read(std::uint32_t i, unsigned number) { return apic(i).read_mmio(number); }
  void write(std::uint32_t i, unsigned number, std::uint32_t v) { apic(i).write_mmio(number, v); }
  void send(std::uint32_t from, std::uint32_t high, std::uint32_t low) {
    write(from, kIcrHigh, high);
    write(from, kIcr, low);
  }
  std::vector<int> requested(unsigned vector) {
    std::vector<int> who;
    for (std::uint32_t i = 0; i < 4; ++i) {
      if (read(i, kIrr + vector / 32) >> (vector % 32) & 1) who.push_back(static_cast<int>(i));
    }
    return who;
  }
  void advance(std::uint64_t ns) {
    cpus.time = cpus.time + ns;
    events.run(cpus.time);
  }
};

using Who = std::vector<int>;

TEST_F(LocalApicTest, StartsInVirtualWireModeOnTheBootProcessor) {
  ApicBus fresh(2, events, cpus);
  fresh.connect(&pics);
  EXPECT_EQ(fresh.apic({0}).base(), 0xfee00900u);
  EXPECT_EQ(fresh.apic({1}).base(), 0xfee00800u);
  fresh.set_external(true);
  EXPECT_TRUE(cpus.pins[0]);
  EXPECT_FALSE(cpus.pins[1]);
  EXPECT_EQ(fresh.apic({0}).acknowledge(), 0x20);
  EXPECT_EQ(pics.acknowledged, 1u);
  fresh.set_external(false);
  EXPECT_FALSE(cpus.pins[0]);
}

TEST_F(LocalApicTest, DeliversByPriorityAndNests) {
  send(0, 0, 0x40000 | 0x31);
  EXPECT_TRUE(cpus.pins[0]);
  EXPECT_EQ(apic(0).peek_interrupt(), 0x31);
  EXPECT_EQ(apic(0).acknowledge(), 0x31);
  EXPECT_FALSE(cpus.pins[0]);
  EXPECT_EQ(read(0, kPpr), 0x30u);
  send(0, 0, 0x40000 | 0x35);  // the same class waits
  EXPECT_FALSE(cpus.pins[0]);
  send(0, 0, 0x40000 | 0x41);  // a higher one does not
  EXPECT_TRUE(cpus.pins[0]);
  EXPECT_EQ(apic(0).acknowledge(), 0x41);
  EXPECT_EQ(read(0, kIsr + 1), 1u << 17);
  EXPECT_EQ(read(0, kIsr + 2), 1u << 1);
  write(0, kEoi, 0);
  EXPECT_EQ(read(0, kIsr + 2), 0u);
  EXPECT_FALSE(cpus.pins[0]);
  write(0, kEoi, 0);
  EXPECT_EQ(apic(0).acknowledge(), 0x35);
}

TEST_F(LocalApicTest, TaskPriorityHoldsBack) {
  write(1, kTpr, 0x40);
  send(0, 1u << 24, 0x4f);
  EXPECT_FALSE(cpus.pins[1]);
  EXPECT_EQ(apic(1).acknowledge(), std::nullopt);
  write(1, kTpr, 0x3f);
  EXPECT_TRUE(cpus.pins[1]);
  EXPECT_EQ(apic(1).acknowledge(), 0x4f);
}

TEST_F(LocalApicTest, PhysicalDestinationsAndShorthands) {
  send(0, 2u << 24, 0x50);
  EXPECT_EQ(requested(0x50), (Who{2}));
  send(0, 0xffu << 24, 0x51);
  EXPECT_EQ(requested(0x51), (Who{0, 1, 2, 3}));
  send(1, 0, 0x40000 | 0x52);
  EXPECT_EQ(requested(0x52), (Who{1}));
  send(1, 0, 0x80000 | 0x53);
  EXPECT_EQ(requested(0x53), (Who{0, 1, 2, 3}));
  send(1, 0, 0xc0000 | 0x54);
  EXPECT_EQ(requested(0x54), (Who{0, 2, 3}));
}

TEST_F(LocalApicTest, LogicalFlatDestinations) {
  for (std::uint32_t i = 0; i < 4; ++i)
    write(i, kLdr, 1u << (24 + i));
  send(0, 0x0au << 24, 0x800 | 0x60);
  EXPECT_EQ(requested(0x60), (Who{1, 3}));
}

TEST_F(LocalApicTest, LogicalClusterDestinations) {
  const std::uint32_t ids[] = {0x01, 0x02, 0x11, 0x12};
  for (std::uint32_t i = 0; i < 4; ++i) {
    write(i, kDfr, 0);
    write(i, kLdr, ids[i] << 24);
  }
  send(0, 0x13u << 24, 0x800 | 0x61);
  EXPECT_EQ(requested(0x61), (Who{2, 3}));
  send(0, 0xf1u << 24, 0x800 | 0x62);  // member 1 of all clusters
  EXPECT_EQ(requested(0x62), (Who{0, 2}));
  send(0, 0xffu << 24, 0x800 | 0x63);
  EXPECT_EQ(requested(0x63), (Who{0, 1, 2, 3}));
}

TEST_F(LocalApicTest, LowestPriorityGoesToOne) {
  write(0, kTpr, 0x20);
  write(1, kTpr, 0x10);
  send(0, 0xffu << 24, 0x100 | 0x70);
  EXPECT_EQ(requested(0x70), (Who{2}));
}

TEST_F(LocalApicTest, InitStartupAndNmiReachTheCpu) {
  send(0, 1u << 24, 0x4500);
  send(0, 1u << 24, 0x8500);  // de-assert: nothing
  send(0, 1u << 24, 0x4608);
  send(0, 0, 0xc4400);
  EXPECT_EQ(cpus.happened,
            (std::vector<std::string>{"init 1", "startup 1 8", "nmi 1", "nmi 2", "nmi 3"}));
}

TEST_F(LocalApicTest, InitResetsRegistersButNotTheBase) {
  write(1, kTpr, 0x40);
  send(0, 1u << 24, 0x50);
  send(0, 1u << 24, 0x4500);
  EXPECT_EQ(read(1, kTpr), 0u);
  EXPECT_EQ(read(1, kSvr), 0xffu);
  EXPECT_EQ(requested(0x50), Who{});
  EXPECT_EQ(apic(1).base(), kXapic);
}

TEST_F(LocalApicTest, SoftwareDisableMasksAndRefuses) {
  write(0, kTimerLvt, 0x40);
  write(0, kSvr, 0xff);
  EXPECT_EQ(read(0, kTimerLvt), 0x10040u);
  write(0, kTimerLvt, 0x41);
  EXPECT_EQ(read(0, kTimerLvt), 0x10041u);
  send(1, 0, 0x50);
  EXPECT_EQ(requested(0x50), Who{});
}

TEST_F(LocalApicTest, OneShotTimerFiresOnce) {
  write(0, kDivide, 0xb);  // by 1
  write(0, kTimerLvt, 0x40);
  write(0, kInitial, 1000);
  advance(400);
  EXPECT_EQ(read(0, kCurrent), 600u);
  EXPECT_FALSE(cpus.pins[0]);
  advance(600);
  EXPECT_EQ(read(0, kCurrent), 0u);
  EXPECT_EQ(apic(0).acknowledge(), 0x40);
  EXPECT_EQ(events.next(), kNever);
}

TEST_F(LocalApicTest, TimerDivides) {
  const std::pair<std::uint32_t, std::uint64_t> cases[] = {{0, 2},  {1, 4},  {2, 8},     {3, 16},
                                                           {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};
  for (const auto& [code, divisor] : cases) {
    write(0, kDivide, code);
    write(0, kInitial, 100);
    EXPECT_EQ(events.next().ns, cpus.time.ns + 100 * divisor) << code;
  }
  write(0, kInitial, 0);
  EXPECT_EQ(events.next(), kNever);
}

TEST_F(LocalApicTest, PeriodicTimerKeepsItsPhase) {
  write(0, kDivide, 0xb);
  write(0, kTimerLvt, 0x20040);
  write(0, kInitial, 1000);
  advance(1300);  // late by 300
  EXPECT_EQ(apic(0).acknowledge(), 0x40);
  EXPECT_EQ(read(0, kCurrent), 700u);
  EXPECT_EQ(events.next().ns, 2000u);
  advance(5000);  // missed periods are one interrupt
  EXPECT_EQ(events.next().ns, 7000u);
}

TEST_F(LocalApicTest, MaskedTimerCountsInSilence) {
  write(0, kDivide, 0xb);
  write(0, kTimerLvt, 0x10040);
  write(0, kInitial, 100);
  advance(100);
  EXPECT_FALSE(cpus.pins[0]);
}

TEST_F(LocalApicTest, TscDeadlineFiresAndReadsZero) {
  apic(0).set_tsc_deadline(500);
  EXPECT_EQ(apic(0).tsc_deadline(), 0u);  // not in this mode
  write(0, kTimerLvt, 0x40040);
  write(0, kInitial, 100);  // ignored in this mode
  EXPECT_EQ(events.next(), kNever);
  apic(0).set_tsc_deadline(500);
  EXPECT_EQ(apic(0).tsc_deadline(), 500u);
  advance(500);
  EXPECT_EQ(apic(0).acknowledge(), 0x40);
  EXPECT_EQ(apic(0).tsc_deadline(), 0u);
  apic(0).set_tsc_deadline(900);
  write(0, kTimerLvt, 0x40);  // leaving the mode disarms
  EXPECT_EQ(events.next(), kNever);
}

TEST_F(LocalApicTest, LevelInterruptsBroadcastTheirEnd) {
  ApicMessage message;
  message.vector = 0x33;
  message.trigger_mode = TriggerMode::Level;
  EXPECT_TRUE(bus.deliver(message));
  apic(0).acknowledge();
  write(0, kEoi, 0);
  send(0, 0, 0x40000 | 0x34);
  apic(0).acknowledge();
  write(0, kEoi, 0);
  EXPECT_EQ(eois.vectors, (std::vector<unsigned>{0x33}));
}

TEST_F(LocalApicTest, IllegalVectorsAndRegistersAreErrors) {
  write(0, kErrorLvt, 0xfe);
  send(0, 0, 0x40000 | 0x05);
  EXPECT_EQ(read(0, kEsr), 0u);
  write(0, kEsr, 0);
  EXPECT_EQ(read(0, kEsr), 0x20u);
  EXPECT_EQ(apic(0).acknowledge(), 0xfe);
  read(0, 0x3d);
  write(0, kEsr, 0);
  EXPECT_EQ(read(0, kEsr), 0x80u);
}

TEST_F(LocalApicTest, BaseAllowsOnlyTheManualsTransitions) {
  EXPECT_FALSE(apic(1).set_base(0xfee00400));
  EXPECT_FALSE(apic(1).set_base(0xfee00801));
  EXPECT_TRUE(apic(1).set_base(kX2apic));
  EXPECT_FALSE(apic(1).set_base(kXapic));
  EXPECT_TRUE(apic(1).set_base(0xfee00000));
  EXPECT_FALSE(apic(1).set_base(kX2apic));
  EXPECT_TRUE(apic(1).set_base(kXapic));
}

TEST_F(LocalApicTest, X2apicRegisters) {
  for (std::uint32_t i = 0; i < 4; ++i)
    ASSERT_TRUE(apic(i).set_base(kX2apic));
  std::uint64_t value = 0;
  EXPECT_TRUE(apic(3).read_register(kId, value));
  EXPECT_EQ(value, 3u);
  EXPECT_TRUE(apic(3).read_register(kLdr, value));
  EXPECT_EQ(value, 8u);
  EXPECT_FALSE(apic(3).read_register(kDfr, value));
  EXPECT_FALSE(apic(3).read_register(kIcrHigh, value));
  EXPECT_FALSE(apic(3).write_register(kEoi, 1));
  EXPECT_FALSE(apic(3).write_register(kTpr, 0x100));
  EXPECT_FALSE(apic(3).write_register(kIrr, 0));
  EXPECT_TRUE(apic(0).write_register(kIcr, (std::uint64_t{0xa} << 32) | 0x800 | 0x44));
  EXPECT_EQ(requested(0x44), (Who{1, 3}));
  EXPECT_TRUE(apic(0).write_register(kIcr, (std::uint64_t{0xffffffff} << 32) | 0x45));
  EXPECT_EQ(requested(0x45), (Who{0, 1, 2, 3}));
  EXPECT_TRUE(apic(2).write_register(kSelf, 0x46));
  EXPECT_EQ(requested(0x46), (Who{2}));
}

TEST_F(LocalApicTest, SelfIpiRegisterIsOnlyInX2apicMode) {
  write(0, kSelf, 0x46);
  EXPECT_EQ(requested(0x46), Who{});
}

TEST_F(LocalApicTest, Lint0InFixedAndNmiMode) {
  write(0, kLint0, 0x8047);  // fixed, level
  bus.set_external(true);
  EXPECT_EQ(apic(0).acknowledge(), 0x47);
  EXPECT_FALSE(cpus.pins[0]);
  write(0, kEoi, 0);
  EXPECT_EQ(apic(0).acknowledge(), 0x47);  // still asserted
  bus.set_external(false);
  write(0, kEoi, 0);
  EXPECT_FALSE(cpus.pins[0]);
  write(0, kLint0, 0x400);
  bus.set_external(true);
  EXPECT_EQ(cpus.happened, (std::vector<std::string>{"nmi 0"}));
}

TEST_F(LocalApicTest, StateMovesWithThePin) {
  write(0, kTimerLvt, 0x20040);
  write(0, kInitial, 100);
  send(0, 1u << 24, 0x50);
  testing::FakeCpuPort other_cpus;
  EventQueue other_events(other_cpus);
  ApicBus other(4, other_events, other_cpus);
  EXPECT_TRUE(testing::load(other, testing::save(bus)));
  EXPECT_TRUE(testing::load(other_events, testing::save(events)));
  EXPECT_TRUE(other_cpus.pins[1]);
  EXPECT_EQ(other_events.next().ns, 200u);
  EXPECT_EQ(testing::save(other), testing::save(bus));
}

}  // namespace
}  // namespace ringside::machine

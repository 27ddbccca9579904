#include "hypervisor/holdable_vm.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "hypervisor/testing/fake_vm.h"

namespace ringside::hypervisor {
namespace {

using testing::FakeVm;

constexpr VcpuId kFirst{0}, kSecond{1};

template <typename Exit>
bool is(const std::optional<VcpuEvent>& event, VcpuId id) {
  return event && event->vcpu == id && std::holds_alternative<Exit>(event->exit);
}

class HoldableVmTest : public ::testing::Test {
 protected:
  HoldableVmTest() { below.make_active(kSecond); }
  FakeVm below{2};
  HoldableVm vm{below};
};

TEST_F(HoldableVmTest, WhoIsInTheGuestWaitsOutsideAndGoesOn) {
  vm.resume(kFirst);
  vm.hold();
  EXPECT_FALSE(vm.all_out());
  EXPECT_FALSE(vm.take_event());
  EXPECT_TRUE(vm.all_out());
  EXPECT_FALSE(below.vcpu(kFirst).in_guest());
  vm.let_go();
  EXPECT_TRUE(below.vcpu(kFirst).in_guest());
  EXPECT_FALSE(below.vcpu(kSecond).in_guest());
}

TEST_F(HoldableVmTest, WhoIsResumedMeanwhileWaitsAndCanBeSuspended) {
  vm.hold();
  vm.resume(kFirst);
  vm.resume(kSecond);
  EXPECT_TRUE(vm.all_out());
  vm.suspend(kSecond);
  EXPECT_TRUE(is<exit::Parked>(vm.take_event(), kSecond));
  EXPECT_FALSE(vm.take_event());
  vm.let_go();
  EXPECT_TRUE(below.vcpu(kFirst).in_guest());
  EXPECT_FALSE(below.vcpu(kSecond).in_guest());
}

TEST_F(HoldableVmTest, WhatHappensBeforeItIsOutIsTold) {
  vm.resume(kFirst);
  ASSERT_TRUE(below.happen(kFirst, exit::MonitorTrap{}));
  vm.hold();
  EXPECT_TRUE(is<exit::MonitorTrap>(vm.take_event(), kFirst));
  EXPECT_FALSE(vm.take_event());
  EXPECT_TRUE(vm.all_out());
  vm.let_go();
  EXPECT_FALSE(below.vcpu(kFirst).in_guest());
}

TEST_F(HoldableVmTest, BothSuspendAndOneEventComes) {
  vm.resume(kFirst);
  vm.hold();
  vm.suspend(kFirst);
  EXPECT_TRUE(is<exit::Parked>(vm.take_event(), kFirst));
  EXPECT_FALSE(vm.take_event());
  vm.let_go();
  EXPECT_FALSE(below.vcpu(kFirst).in_guest());
}

TEST_F(HoldableVmTest, LetGoBeforeItIsOut) {
  vm.resume(kFirst);
  vm.hold();
  vm.let_go();
  EXPECT_FALSE(vm.take_event());
  EXPECT_TRUE(below.vcpu(kFirst).in_guest());
}

TEST_F(HoldableVmTest, OneThatWaitsForItsStartUpIsOut) {
  vm.resume(kSecond);
  vm.hold();
  below.sleep(kSecond);
  (void)vm.take_event();
  EXPECT_TRUE(vm.all_out());
  vm.suspend(kSecond);
  EXPECT_FALSE(vm.take_event());
  below.start(kSecond);
  EXPECT_TRUE(is<exit::Started>(vm.take_event(), kSecond));
  vm.resume(kSecond);
  EXPECT_FALSE(below.vcpu(kSecond).in_guest());
  vm.let_go();
  EXPECT_TRUE(below.vcpu(kSecond).in_guest());
}

// Whatever the two ask for in whatever order: one event for each resume, nobody in the guest while
// it is held, and everybody there whom the server wants there once it is not.
TEST_F(HoldableVmTest, AnyOrder) {
  std::mt19937 random(1);
  std::array<bool, 2> wanted{}, suspended{};
  const auto drain = [&] {
    while (const auto event = vm.take_event()) {
      const std::size_t i = event->vcpu.value;
      ASSERT_TRUE(wanted[i]);
      if (std::holds_alternative<exit::Parked>(event->exit)) {
        ASSERT_TRUE(suspended[i]);
      }
      wanted[i] = suspended[i] = false;
    }
    for (std::uint32_t i = 0; i < 2; ++i) {
      ASSERT_FALSE(suspended[i]);
      ASSERT_EQ(below.vcpu({i}).in_guest(), wanted[i] && !vm.is_held());
    }
    if (vm.is_held()) {
      ASSERT_TRUE(vm.all_out());
    }
  };
  for (int round = 0; round < 100'000; ++round) {
    const std::uint32_t i = random() % 2;
    switch (random() % 6) {
      case 0:
        vm.hold();
        break;
      case 1:
        vm.let_go();
        break;
      case 2:
        if (wanted[i]) break;
        wanted[i] = true;
        vm.resume({i});
        break;
      case 3:
        if (!wanted[i] || suspended[i]) break;
        suspended[i] = true;
        vm.suspend({i});
        break;
      case 4:
        (void)below.happen({i}, exit::MonitorTrap{});
        break;
      default:
        ASSERT_NO_FATAL_FAILURE(drain());
    }
  }
}

}  // namespace
}  // namespace ringside::hypervisor

#include "engine/kvm/host/local_apic_page.h"

#include <gtest/gtest.h>

namespace ringside::kvm {
namespace {

using Shorthand = ApicCommand::Shorthand;

TEST(LocalApicPage, AnInterruptInServiceIsTakenBack) {
  LocalApicPage page;
  EXPECT_FALSE(page.take_back(0x41));
  kvm_lapic_state state{};
  state.regs[0x120] = 2;  // vector 0x41: bit 1 of the third word of ISR
  page = LocalApicPage(state);
  EXPECT_TRUE(page.take_back(0x41));
  EXPECT_TRUE(page.requests(0x41));
  EXPECT_FALSE(page.requests(0x40));
  const hypervisor::LocalApicImage image = page.image({3}, 0xfee00800);
  EXPECT_EQ(image.in_service[2], 0u);
  EXPECT_EQ(image.request[2], 2u);
  EXPECT_EQ(image.vcpu, VcpuId{3});
  EXPECT_EQ(image.base, 0xfee00800u);
}

TEST(LocalApicPage, AWriteOfTheCommandRegisterIsAMessage) {
  LocalApicPage page;
  EXPECT_FALSE(page.write(0x31, 5u << 24));
  const auto sent = page.write(0x30, 0x4608);
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->shorthand, Shorthand::None);
  EXPECT_EQ(sent->destination, 5u);
  EXPECT_EQ(sent->mode, x86::apic::DeliveryMode::StartUp);
  EXPECT_EQ(sent->vector, 8u);
  EXPECT_FALSE(sent->logical);
  EXPECT_EQ(page.write(0x30, 0x40041)->shorthand, Shorthand::Self);
  EXPECT_EQ(page.write(0x30, 0xc4500)->shorthand, Shorthand::Others);
  EXPECT_TRUE(page.write(0x30, 0x841)->logical);
  EXPECT_FALSE(page.write(0x30, 0x8500)) << "INIT level de-assert";
}

TEST(LocalApicPage, TheEndOfAnInterruptIsThatOfTheHighest) {
  kvm_lapic_state state{};
  state.regs[0x120] = 3;
  LocalApicPage page(state);
  EXPECT_FALSE(page.write(0x0b, 0));
  EXPECT_EQ(page.image({0}, 0).in_service[2], 1u);
}

TEST(LocalApicPage, ReadOnlyRegistersStay) {
  LocalApicPage page;
  for (const unsigned number : {0x02u, 0x03u, 0x0au, 0x10u, 0x20u, 0x39u}) {
    EXPECT_FALSE(page.write(number, ~0u));
    EXPECT_EQ(page.reg(number), 0u) << number;
  }
  EXPECT_FALSE(page.write(0x32, 0x20031));
  EXPECT_EQ(page.image({0}, 0).lvt[x86::apic::kLvtTimer], 0x20031u);
}

}  // namespace
}  // namespace ringside::kvm

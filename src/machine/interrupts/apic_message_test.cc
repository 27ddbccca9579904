#include "machine/interrupts/apic_message.h"

#include <gtest/gtest.h>

#include "machine/interrupts/interrupt_router.h"
#include "machine/testing/fake_cpu_port.h"

namespace ringside::machine {
namespace {

TEST(ApicMessage, OfADevicesWrite) {
  const ApicMessage one = message_of(0xfee03000, 0x0041).value();
  EXPECT_EQ(one.destination, 3u);
  EXPECT_EQ(one.destination_mode, DestinationMode::Physical);
  EXPECT_EQ(one.delivery_mode, DeliveryMode::Fixed);
  EXPECT_EQ(one.trigger_mode, TriggerMode::Edge);
  EXPECT_EQ(one.vector, 0x41);
  const ApicMessage other = message_of(0xfee0200c, 0xc155).value();
  EXPECT_EQ(other.destination, 2u);
  EXPECT_EQ(other.destination_mode, DestinationMode::Logical);
  EXPECT_EQ(other.delivery_mode, DeliveryMode::LowestPriority);
  EXPECT_EQ(other.trigger_mode, TriggerMode::Level);
  EXPECT_EQ(message_of(0xfeeff000, 0).value().destination, kBroadcast);
  EXPECT_EQ(message_of(0xfeeff004, 0).value().destination, 0xffu);
}

TEST(ApicMessage, IsNothingElsewhere) {
  EXPECT_FALSE(message_of(0xfed03000, 0x41));
  EXPECT_FALSE(message_of(0xfef00000, 0x41));
  EXPECT_FALSE(message_of(0x1fee03000, 0x41));
  EXPECT_FALSE(message_of(0, 0x41));
  EXPECT_FALSE(message_of(0xfee00000, 0x0641));  // start-up, which is not for devices
}

// An engine with controllers of its own.
class OwnControllers final : public testing::FakeCpuPort {
 public:
  bool interrupt_message(std::uint64_t address, std::uint32_t data) override {
    messages.emplace_back(address, data);
    return has_controllers;
  }
  bool has_controllers = true;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> messages;
};

TEST(InterruptRouter, HandsMessagesToTheEngineOrToTheLocalApics) {
  OwnControllers cpus;
  EventQueue events{cpus};
  ApicBus apics{2, events, cpus};
  Lint0Wire lint0{apics};
  PicPair pics{{lint0, 0}};
  IoApic io_apic{apics};
  InterruptRouter router{cpus, pics, io_apic, apics};
  apics.apic({1}).write_mmio(0x0f, 0x1ff);
  router.send_message(0xfee01000, 0x41);
  router.send_message(0x1000, 0x41);
  EXPECT_EQ(cpus.messages.size(), 1u);
  EXPECT_EQ(apics.apic({1}).acknowledge(), std::nullopt);
  cpus.has_controllers = false;
  router.send_message(0xfee01000, 0x41);
  EXPECT_EQ(apics.apic({1}).acknowledge(), 0x41);
}

}  // namespace
}  // namespace ringside::machine

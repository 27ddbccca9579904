// The numbers as the manual has them, written out here once more and by hand.
#include "x86/apic_registers.h"

#include <gtest/gtest.h>

namespace ringside::x86::apic {
namespace {

// SDM 3A table 10-1.
TEST(ApicRegisters, Lie_where_the_manual_has_them) {
  EXPECT_EQ(kTaskPriority * 16, 0x80u);
  EXPECT_EQ(kEndOfInterrupt * 16, 0xb0u);
  EXPECT_EQ(kSpurious * 16, 0xf0u);
  EXPECT_EQ((kInService + 7) * 16, 0x170u);
  EXPECT_EQ((kRequest + 7) * 16, 0x270u);
  EXPECT_EQ(kCommandLow * 16, 0x300u);
  EXPECT_EQ(register_of(kLvtTimer) * 16, 0x320u);
  EXPECT_EQ(register_of(kLvtLint0) * 16, 0x350u);
  EXPECT_EQ(register_of(kLvtError) * 16, 0x370u);
  EXPECT_EQ(kDivide * 16, 0x3e0u);
}

// SDM 3A figure 10-12.
TEST(ApicRegisters, A_command_is_taken_apart) {
  constexpr std::uint32_t kCommand = 3u << 18 | 1u << 15 | 1u << 14 | 1u << 11 | 5u << 8 | 0x42;
  EXPECT_EQ(vector_of(kCommand), 0x42);
  EXPECT_EQ(delivery_mode_of(kCommand), DeliveryMode::Init);
  EXPECT_EQ(destination_mode_of(kCommand), DestinationMode::Logical);
  EXPECT_EQ(trigger_mode_of(kCommand), TriggerMode::Level);
  EXPECT_EQ(shorthand_of(kCommand), Shorthand::Others);
  EXPECT_FALSE(is_init_deassert(kCommand));
  EXPECT_TRUE(is_init_deassert(0x8500));
  EXPECT_FALSE(is_init_deassert(0x0500));
  EXPECT_FALSE(is_init_deassert(0x8600));
}

// SDM 3A figure 10-10.
TEST(ApicRegisters, The_timer_is_divided) {
  constexpr unsigned kDivisors[] = {2, 4, 8, 16, 32, 64, 128, 1};
  for (std::uint32_t code = 0; code < 8; ++code)
    EXPECT_EQ(1u << divide_shift((code & 3) | (code & 4) << 1), kDivisors[code]) << code;
}

// SDM 3A figures 10-24 and 10-25.
TEST(ApicRegisters, An_interrupt_is_a_message) {
  EXPECT_EQ(message_address(3, DestinationMode::Physical), 0xfee03000u);
  EXPECT_EQ(message_address(3, DestinationMode::Logical), 0xfee03004u);
  EXPECT_EQ(message_data(8, DeliveryMode::StartUp), 0x4608u);
  EXPECT_EQ(message_data(0, DeliveryMode::Init), 0x4500u);
}

}  // namespace
}  // namespace ringside::x86::apic

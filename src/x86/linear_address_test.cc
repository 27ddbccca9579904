#include "x86/linear_address.h"

#include <gtest/gtest.h>

namespace ringside::x86 {
namespace {

CpuState code_at(std::uint64_t efer, std::uint16_t attributes, std::uint64_t base,
                 std::uint64_t rip) {
  CpuState state;
  state.efer = efer;
  state.seg(SegmentName::Cs) = {8, attributes, 0xffffffff, base};
  state.rip = rip;
  return state;
}

TEST(LinearAddress, The_base_of_cs_counts_for_nothing_in_64_bit_mode) {
  const CpuState state = code_at(efer::LMA, kAttributesCode64, 0x1000, 0xffff800000000010);
  EXPECT_TRUE(in_64_bit_mode(state));
  EXPECT_EQ(linear_pc(state), Gva{0xffff800000000010});
}

TEST(LinearAddress, Compatibility_mode_is_segmented_and_32_bits_wide) {
  const CpuState state = code_at(efer::LMA, kAttributesCode32, 0xfffff000, 0x2010);
  EXPECT_TRUE(in_long_mode(state));
  EXPECT_FALSE(in_64_bit_mode(state));
  EXPECT_EQ(linear_pc(state), Gva{0x1010});
}

TEST(LinearAddress, The_l_bit_of_cs_means_nothing_outside_long_mode) {
  const CpuState state = code_at(efer::LME, kAttributesCode64, 0x1000, 0x10);
  EXPECT_FALSE(in_64_bit_mode(state));
  EXPECT_EQ(linear_pc(state), Gva{0x1010});
}

TEST(LinearAddress, The_first_instruction_lies_below_4_gib) {
  EXPECT_EQ(linear_pc(reset_state()), Gva{0xfffffff0});
}

}  // namespace
}  // namespace ringside::x86

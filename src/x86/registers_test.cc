#include <gtest/gtest.h>

#include "ringside/x86/registers.h"
#include "x86/register_table.h"

namespace ringside::x86 {
namespace {

TEST(Registers, TheFirst24AreTheModelsPacketOf164Bytes) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kModelRegisterCount; ++i)
    bytes += kRegisters[i].size();
  EXPECT_EQ(bytes, 164u);
  EXPECT_EQ(info(Register::Gs).name, "gs");
}

TEST(Registers, EveryRegisterReadsBackWhatWasWritten) {
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    CpuState state;
    const auto r = static_cast<Register>(i);
    RegisterValue value;
    const std::size_t width = r >= Register::Fctrl && r <= Register::Fop ? 2
                              : (r >= Register::Cs && r <= Register::Gs) || r == Register::Ldtr ||
                                      r == Register::Tr || r == Register::GdtrLimit ||
                                      r == Register::IdtrLimit
                                  ? 2
                                  : kRegisters[i].size();
    for (std::size_t b = 0; b < width; ++b)
      value.bytes[b] = static_cast<std::uint8_t>(0x11 * (b + 1));
    set_register(state, r, value);
    EXPECT_EQ(get_register(state, r).bytes, value.bytes) << kRegisters[i].name;
  }
}

}  // namespace
}  // namespace ringside::x86

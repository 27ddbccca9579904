#include <gtest/gtest.h>

#include <array>
#include <cstring>

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

TEST(Registers, AllAtOnceAreWhatEachIs) {
  CpuState state;
  std::array<std::byte, kTableSize> expected{}, found{};
  std::size_t offset = 0;
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    RegisterValue value;
    for (std::size_t b = 0; b < kRegisters[i].size(); ++b)
      value.bytes[b] = static_cast<std::uint8_t>(i * 7 + b * 31 + 1);
    set_register(state, static_cast<Register>(i), value);
  }
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    const RegisterValue value = get_register(state, static_cast<Register>(i));
    std::memcpy(&expected[offset], value.bytes.data(), kRegisters[i].size());
    offset += kRegisters[i].size();
  }
  EXPECT_EQ(offset, kTableSize);
  write_registers(state, found);
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace ringside::x86

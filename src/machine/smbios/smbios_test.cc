#include "machine/smbios/smbios.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string_view>

namespace ringside::machine {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kGiB = 1ull << 30;

template <typename T>
T number(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.substr(at, sizeof value).data(), sizeof value);
  return value;
}

unsigned sum(std::string_view bytes) {
  unsigned total = 0;
  for (const char byte : bytes)
    total += static_cast<std::uint8_t>(byte);
  return total & 0xff;
}

// By type, with their strings; walked as DSP0134 6.1.2 has it.
std::multimap<unsigned, std::string> walk(std::string_view tables) {
  std::multimap<unsigned, std::string> found;
  while (!tables.empty()) {
    const std::size_t fields = static_cast<std::uint8_t>(tables[1]);
    const std::size_t end = tables.find(std::string_view("\0\0", 2), fields) + 2;
    found.emplace(static_cast<std::uint8_t>(tables[0]), std::string(tables.substr(0, end)));
    tables.remove_prefix(end);
  }
  return found;
}

TEST(Smbios, TheEntryPointTellsOfTheTables) {
  Smbios made = make_smbios({2, kGiB, 0});
  place(made, {0xf5020});
  EXPECT_EQ(made.entry.size(), 0x1fu);
  EXPECT_EQ(made.entry.substr(0, 4), "_SM_");
  EXPECT_EQ(made.entry.substr(0x10, 5), "_DMI_");
  EXPECT_EQ(sum(made.entry), 0u);
  EXPECT_EQ(sum(std::string_view(made.entry).substr(0x10)), 0u);
  EXPECT_EQ(number<std::uint16_t>(made.entry, 0x16), made.tables.size());
  EXPECT_EQ(number<std::uint32_t>(made.entry, 0x18), 0xf5020u);
  const auto tables = walk(made.tables);
  EXPECT_EQ(number<std::uint16_t>(made.entry, 0x1c), tables.size());
  std::size_t largest = 0;
  for (const auto& [type, table] : tables)
    largest = std::max(largest, table.size());
  EXPECT_EQ(number<std::uint16_t>(made.entry, 0x08), largest);
}

// Those that the standard wants of every machine, 127 as the last, each of its length.
TEST(Smbios, EveryTableHasItsLength) {
  const Smbios made = make_smbios({4, 3 * kGiB, 5 * kGiB});
  const auto tables = walk(made.tables);
  const std::map<unsigned, unsigned> lengths = {{0, 0x18},  {1, 0x1b},  {3, 0x16},
                                                {4, 0x2a},  {16, 0x17}, {17, 0x28},
                                                {19, 0x1f}, {32, 0x0b}, {127, 4}};
  for (const auto& [type, length] : lengths) {
    ASSERT_TRUE(tables.contains(type)) << type;
    EXPECT_EQ(number<std::uint8_t>(tables.find(type)->second, 1), length) << type;
  }
  EXPECT_EQ(tables.count(19), 2u);
  EXPECT_EQ(made.tables.substr(made.tables.size() - 6, 2), std::string("\x7f\x04"));
}

TEST(Smbios, SaysWhatThereIs) {
  const auto tables = walk(make_smbios({4, 3 * kGiB, 5 * kGiB}).tables);
  EXPECT_THAT(tables.find(1)->second, HasSubstr("ringside"));
  EXPECT_THAT(tables.find(1)->second, HasSubstr("virtual machine"));
  EXPECT_EQ(number<std::uint8_t>(tables.find(4)->second, 0x23), 4u);          // cores
  EXPECT_EQ(number<std::uint32_t>(tables.find(16)->second, 0x07), 8u << 20);  // KiB
  EXPECT_EQ(number<std::uint16_t>(tables.find(17)->second, 0x0c), 8192u);     // MiB
  const auto low = tables.find(19)->second, high = std::next(tables.find(19))->second;
  EXPECT_EQ(number<std::uint32_t>(low, 0x08), 3u * (1 << 20) - 1);
  EXPECT_EQ(number<std::uint32_t>(high, 0x04), 4u * (1 << 20));
  EXPECT_EQ(number<std::uint32_t>(high, 0x08), 9u * (1 << 20) - 1);
}

TEST(Smbios, SizesBeyondTheirFieldsHaveOthers) {
  constexpr std::uint64_t kTiB = 1ull << 40;
  const auto tables = walk(make_smbios({1, 3 * kGiB, 5 * kTiB - 3 * kGiB}).tables);
  EXPECT_EQ(number<std::uint32_t>(tables.find(16)->second, 0x07), 0x80000000u);
  EXPECT_EQ(number<std::uint64_t>(tables.find(16)->second, 0x0f), 5 * kTiB);
  EXPECT_EQ(number<std::uint16_t>(tables.find(17)->second, 0x0c), 0x7fffu);
  EXPECT_EQ(number<std::uint32_t>(tables.find(17)->second, 0x1c), 5u << 20);
  const auto high = std::next(tables.find(19))->second;
  EXPECT_EQ(number<std::uint32_t>(high, 0x08), 0xffffffffu);
  EXPECT_EQ(number<std::uint64_t>(high, 0x17), 4 * kGiB + 5 * kTiB - 3 * kGiB - 1);
  // A size that is no whole MiB is told in KiB.
  const auto odd = walk(make_smbios({1, (1u << 20) + 4096, 0}).tables);
  EXPECT_EQ(number<std::uint16_t>(odd.find(17)->second, 0x0c), 0x8000 | 1028);
}

}  // namespace
}  // namespace ringside::machine

#include "guests/linux/kallsyms.h"

#include <gtest/gtest.h>

#include "guests/linux/testing/synthetic_kernel.h"

namespace ringside::guests {
namespace {

using testing::symbol_tables;
using testing::SymbolOptions;

constexpr std::uint64_t kBase = 0xffffffff81000000, kBase32 = 0xc1000000;
constexpr std::uint64_t base_of(Word word) { return word == Word::Bits64 ? kBase : kBase32; }

// Each CPU's own memory begins at zero in a 64-bit kernel, and behind its code in a 32-bit one.
std::map<std::uint64_t, std::string> symbols(Word word = Word::Bits64) {
  const std::uint64_t base = base_of(word);
  std::map<std::uint64_t, std::string> all = {
      {word == Word::Bits64 ? 0x40 : base + 0x800000, "current_task"}, {base, "_text"}};
  for (std::uint64_t i = 0; i < 1000; ++i)
    all[base + 0x1000 + i * 16] = "function_" + std::to_string(i);
  return all;
}

// The tables somewhere in an image.
std::string image_with(const std::string& tables) {
  return std::string(0x1230, '\x5a') + std::string(8, '\0') + tables + std::string(64, '\x5a');
}

Result<Kallsyms> find(const std::string& image, Word word = Word::Bits64) {
  const KernelSpace space{word, word == Word::Bits64 ? kImageMap : Gva{0xc0000000}};
  return Kallsyms::find(std::as_bytes(std::span(image)), Gva{base_of(word)}, space);
}

class Orders : public ::testing::TestWithParam<SymbolOptions> {};

TEST_P(Orders, NamesAndAddressesAreFoundBothWays) {
  const Word word = GetParam().word;
  const std::uint64_t base = base_of(word);
  const auto found = find(image_with(symbol_tables(symbols(word), base, GetParam())), word);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->count(), 1002u);
  EXPECT_EQ(found->address("_text"), Gva{base});
  EXPECT_EQ(found->address("current_task"), Gva{word == Word::Bits64 ? 0x40 : base + 0x800000});
  EXPECT_EQ(found->address("function_0"), Gva{base + 0x1000});
  EXPECT_EQ(found->address("function_999"), Gva{base + 0x1000 + 999 * 16});
  EXPECT_FALSE(found->address("function_1000"));
  const auto place = found->place_of(Gva{base + 0x1000 + 300 * 16 + 3});
  ASSERT_TRUE(place);
  EXPECT_EQ(place->name, "function_300");
  EXPECT_EQ(place->offset, 3u);
  EXPECT_FALSE(found->place_of(Gva{base - 1}));
  EXPECT_FALSE(found->place_of(Gva{0x50})) << "each CPU's own";
}

TEST(Kallsyms, TablesOfTheOtherWidthAreNone) {
  const std::string narrow =
      symbol_tables(symbols(Word::Bits32), kBase32, {true, false, Word::Bits32});
  EXPECT_TRUE(find(image_with(narrow), Word::Bits32));
  EXPECT_FALSE(find(image_with(narrow), Word::Bits64));
  EXPECT_FALSE(find(image_with(symbol_tables(symbols(), kBase)), Word::Bits32));
}

INSTANTIATE_TEST_SUITE_P(Kallsyms, Orders,
                         ::testing::Values(SymbolOptions{false, false}, SymbolOptions{true, false},
                                           SymbolOptions{true, true}, SymbolOptions{false, true},
                                           SymbolOptions{false, false, Word::Bits32},
                                           SymbolOptions{true, false, Word::Bits32},
                                           SymbolOptions{true, true, Word::Bits32}));

TEST(Kallsyms, AnImageWithoutAnyHasNone) {
  EXPECT_FALSE(find(""));
  EXPECT_FALSE(find("0"));
  EXPECT_FALSE(find(std::string(100000, '\0')));
  EXPECT_FALSE(find(std::string(20, '\0') +
                    std::string("0\0001\0002\0003\0004\0005\0006\0007\0008\0009", 20)));
}

TEST(Kallsyms, DamagedTablesAreNotBelieved) {
  const std::string tables = symbol_tables(symbols(), kBase);
  std::string many = tables;
  many.replace(0, 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  EXPECT_FALSE(find(image_with(many))) << "a number of symbols without a bound";
  std::string endless = tables;
  endless[8] = '\x7f';
  EXPECT_FALSE(find(image_with(endless))) << "a name that goes on into others";
  std::string decoys;
  const std::string tokens = tables.substr(tables.find("0\0001\0002\000", 0, 6) - 48 * 3);
  while (decoys.size() < 32u << 20)
    decoys += tokens;
  EXPECT_FALSE(find(decoys)) << "as many tables as memory holds";
  // Cut off anywhere, and with any byte of a piece of it changed, it is read within its bounds.
  for (std::size_t size = 0; size < tables.size(); size += 97)
    EXPECT_FALSE(find(std::string(16, '\0') + tables.substr(0, size)));
  for (std::size_t at = 0; at < tables.size(); at += 131) {
    std::string changed = tables;
    changed[at] = static_cast<char>(~changed[at]);
    const auto found = find(image_with(changed));
    if (found) (void)found->place_of(Gva{kBase + 0x2000});
  }
}

}  // namespace
}  // namespace ringside::guests

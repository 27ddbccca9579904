#include "base/nearest_word.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace ringside {
namespace {

constexpr std::array<std::string_view, 6> kWords{"info", "initrd", "memory", "cpus", "r8", "rax"};

TEST(NearestWord, IsTheOneOfFewestChanges) {
  struct Row {
    std::string_view typed, meant;
  };
  for (const Row& row : {Row{"initrd", "initrd"}, Row{"initd", "initrd"}, Row{"intird", "initrd"},
                         Row{"memroy", "memory"}, Row{"MEMORYS", "memory"}, Row{"cpu", "cpus"},
                         Row{"inof", "info"}, Row{"r9", "r8"}, Row{"eax", "rax"}}) {
    EXPECT_EQ(nearest_word(row.typed, kWords), row.meant) << row.typed;
  }
}

TEST(NearestWord, IsNoneWhereNothingIsNear) {
  for (const std::string_view typed : {"", "frobnicate", "xyz", "info registers", "q"}) {
    EXPECT_EQ(nearest_word(typed, kWords), std::nullopt) << typed;
  }
  EXPECT_EQ(nearest_word(std::string(100'000, 'i'), kWords), std::nullopt);
  EXPECT_EQ(nearest_word("info", {}), std::nullopt);
}

}  // namespace
}  // namespace ringside

#include "engine/soft/state/address_set.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

namespace ringside::soft {
namespace {

TEST(AddressSet, IsASetThatKnowsItsPages) {
  EXPECT_TRUE(rc::check([] {
    AddressSet set;
    std::set<std::uint64_t> expected;
    const auto count = *rc::gen::inRange(0, 200);
    for (int i = 0; i < count; ++i) {
      const auto address = *rc::gen::inRange<std::uint64_t>(0x1ff0, 0x4010);
      if (*rc::gen::arbitrary<bool>()) {
        set.insert(address);
        expected.insert(address);
      } else {
        set.erase(address);
        expected.erase(address);
      }
    }
    std::vector<std::uint64_t> found;
    for (std::uint64_t page = 0x1000; page < 0x6000; page += kPageSize) {
      for (const std::uint16_t offset : set.in_page(page + 5))
        found.push_back(page + offset);
    }
    RC_ASSERT(found == std::vector<std::uint64_t>(expected.begin(), expected.end()));
    RC_ASSERT(set.empty() == expected.empty());
    for (std::uint64_t address = 0x1ff0; address < 0x4010; ++address)
      RC_ASSERT(set.contains(address) == expected.contains(address));
  }));
}

}  // namespace
}  // namespace ringside::soft

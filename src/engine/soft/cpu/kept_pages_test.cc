#include "engine/soft/cpu/kept_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringside::soft {
namespace {

using ::testing::ElementsAre;

struct Keeper final : hypervisor::PageKeeper {
  std::vector<std::uint64_t> told;
  void keep(Gpa page, const std::uint8_t*) override { told.push_back(page.value); }
};

TEST(KeptPages, EachKeeperHasIntervalsOfItsOwn) {
  const hypervisor::GuestRam ram = *hypervisor::GuestRam::create(16u << 20);
  KeptPages pages(ram);
  Keeper one, other;
  pages.add(one);
  pages.about_to_change(ram, Gpa{0x1ffc}, 8);
  pages.add(other);
  EXPECT_FALSE(pages.has(Gpa{0x1000}));
  pages.about_to_change(ram, Gpa{0x1000}, 4);
  EXPECT_TRUE(pages.has(Gpa{0x1000}));
  EXPECT_THAT(one.told, ElementsAre(0x1000, 0x2000));
  EXPECT_THAT(other.told, ElementsAre(0x1000));
  pages.begin_interval(one);
  EXPECT_FALSE(pages.has(Gpa{0x1000}));
  pages.about_to_change(ram, Gpa{0x1000}, 4);
  EXPECT_THAT(one.told, ElementsAre(0x1000, 0x2000, 0x1000));
  EXPECT_THAT(other.told, ElementsAre(0x1000));
  pages.remove(one);
  EXPECT_FALSE(pages.empty());
  pages.about_to_change(ram, Gpa{0x3000}, 1);
  EXPECT_THAT(other.told, ElementsAre(0x1000, 0x3000));
  pages.remove(other);
  EXPECT_TRUE(pages.empty());
}

}  // namespace
}  // namespace ringside::soft

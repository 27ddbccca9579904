#include "platform/guest_ram.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace ringside::hypervisor {
namespace {

constexpr std::uint64_t kMegabyte = 1 << 20;

std::size_t touched_pages(const GuestRam& ram, Gpa address, std::uint64_t size) {
  std::vector<unsigned char> pages(size / kPageSize);
  EXPECT_EQ(::mincore(ram.host(address, size), size, pages.data()), 0);
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

// All of a range by its views.
std::vector<std::byte> view_all(const GuestRam& ram, Gpa address, std::uint64_t size) {
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const auto part = ram.view(address + bytes.size(), size - bytes.size());
    if (part.empty()) break;
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  return bytes;
}

TEST(GuestRam, AViewShowsWhatIsThere) {
  const GuestRam ram = GuestRam::create(16 * kMegabyte).value();
  std::vector<std::byte> expected(9 * kMegabyte);
  for (const std::uint64_t at :
       {0x0ull, 0x1fffull, 0x2000ull, 0x3ff123ull, 0x400000ull, 0x8fffffull}) {
    expected[at] = std::byte{0x5a};
    *ram.host({kMegabyte + at}, 1) = 0x5a;
  }
  EXPECT_EQ(view_all(ram, {kMegabyte}, expected.size()), expected);
  // From within a page.
  EXPECT_TRUE(std::ranges::equal(view_all(ram, {kMegabyte + 0x1ff0}, 0x500000),
                                 std::span(expected).subspan(0x1ff0, 0x500000)));
}

TEST(GuestRam, AViewOfUntouchedMemoryTouchesNothing) {
  const GuestRam ram = GuestRam::create(16 * kMegabyte).value();
  const Gpa start{4 * kMegabyte};
  EXPECT_EQ(view_all(ram, start, 8 * kMegabyte), std::vector<std::byte>(8 * kMegabyte));
  EXPECT_EQ(touched_pages(ram, start, 8 * kMegabyte), 0u);
  // The host may give a large page at once.
  *ram.host(start, 1) = 1;
  const std::size_t touched = touched_pages(ram, start, 8 * kMegabyte);
  EXPECT_GE(touched, 1u);
  EXPECT_LE(touched, 2 * kMegabyte / kPageSize);
}

TEST(GuestRam, MemoryThatIsMappedAgainIsTheSame) {
  GuestRam ram = GuestRam::create(16 * kMegabyte).value();
  const Gpa page{5 * kMegabyte};
  *ram.host(page, 1) = 7;
  std::uint8_t* again = ram.map_again(page, 2 * kPageSize).value();
  EXPECT_EQ(again[0], 7);
  // Written through one, seen through the other, also by a view that skips untouched pages.
  again[kPageSize + 1] = 8;
  EXPECT_EQ(*ram.host(page + (kPageSize + 1), 1), 8);
  std::vector<std::byte> expected(8 * kMegabyte);
  expected[2 * kMegabyte] = std::byte{7};
  expected[2 * kMegabyte + kPageSize + 1] = std::byte{8};
  EXPECT_EQ(view_all(ram, {3 * kMegabyte}, expected.size()), expected);
  *ram.host(page, 1) = 9;
  EXPECT_EQ(again[0], 9);
  EXPECT_FALSE(ram.map_again({1}, kPageSize));
  EXPECT_FALSE(ram.map_again({0xa0000}, kPageSize));
}

TEST(GuestRam, FirmwareFindsNoMemoryWhereItPutsPci) {
  constexpr std::uint64_t kGigabyte = 1024 * kMegabyte;
  const auto low_end = [](std::uint64_t size, GuestRam::Layout layout) {
    const GuestRam ram = GuestRam::create(size, layout).value();
    EXPECT_EQ(ram.size(), size);
    EXPECT_NE(ram.find({ram.low_end().value - 1}, 1), nullptr);
    EXPECT_EQ(ram.find(ram.low_end(), 1), nullptr);
    const std::uint64_t high = size - ram.low_end().value;
    EXPECT_EQ(ram.find({4 * kGigabyte}, 1) != nullptr, high != 0);
    if (high != 0) {
      EXPECT_NE(ram.find({4 * kGigabyte}, high), nullptr);
    }
    return ram.low_end().value;
  };
  using Layout = GuestRam::Layout;
  EXPECT_EQ(low_end(64 * kMegabyte, Layout::UpTo3GiB), 64 * kMegabyte);
  EXPECT_EQ(low_end(5 * kGigabyte, Layout::UpTo3GiB), 3 * kGigabyte);
  EXPECT_EQ(low_end(2816 * kMegabyte, Layout::AsFirmwareExpects), 2816 * kMegabyte);
  EXPECT_EQ(low_end(2817 * kMegabyte, Layout::AsFirmwareExpects), 2 * kGigabyte);
}

TEST(GuestRam, AViewEndsWithItsSlot) {
  const GuestRam ram = GuestRam::create(2 * kMegabyte).value();
  EXPECT_EQ(view_all(ram, {2 * kMegabyte - 100}, 1000).size(), 100u);
  EXPECT_TRUE(ram.view({2 * kMegabyte}, 1).empty());
  EXPECT_TRUE(ram.view({0xa0000}, 1).empty());
}

}  // namespace
}  // namespace ringside::hypervisor

#include "time/past_disk.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "machine/testing/memory_disk.h"

namespace ringside::time {
namespace {

using Outcome = machine::BlockBackend::Outcome;

Sector filled(char with) {
  Sector sector;
  sector.fill(static_cast<std::byte>(with));
  return sector;
}

class PastDisks : public ::testing::Test {
 protected:
  PastDisks() {
    image_->remote = true;
    image_->content.assign(image_->content.size(), std::byte{'n'});
  }
  Sector seen() {
    Sector sector{};
    EXPECT_EQ(disk_.read(kSector, sector), Outcome::Done);
    return sector;
  }

  const std::shared_ptr<machine::testing::MemoryDisk> image_ =
      std::make_shared<machine::testing::MemoryDisk>(4 * kSector);
  PastDisk disk_{image_, 0};
};

// A server may be silent, or gone, and going to another moment waits for nobody.
TEST_F(PastDisks, GoBackAndForthWithoutTheImage) {
  disk_.enter_past();
  std::optional<Sector> later = filled('b'), earlier = filled('a');
  image_->broken = true;
  disk_.exchange(1, later);
  disk_.exchange(1, earlier);
  EXPECT_EQ(image_->moved, 0u);
  image_->broken = false;
  EXPECT_EQ(seen(), filled('a'));
  disk_.exchange(1, earlier);
  EXPECT_EQ(seen(), filled('b'));
  EXPECT_EQ(earlier, filled('a'));
  disk_.exchange(1, later);
  EXPECT_EQ(seen(), filled('n'));
  EXPECT_EQ(later, filled('b'));
  EXPECT_FALSE(disk_.differs_from_image());
}

// Of a file, several pieces of memory at once: what lies over the image is seen, and what is
// written is kept before.
TEST_F(PastDisks, MovePieces) {
  struct Keeper final : SectorKeeper {
    std::vector<std::uint64_t> kept;
    void keep(unsigned, std::uint64_t sector, const Sector& content) override {
      EXPECT_EQ(content, filled('n'));
      kept.push_back(sector);
    }
  } keeper;
  image_->remote = false;
  disk_.tell(&keeper);
  Sector first = filled('1'), second = filled('2');
  const std::span<const std::byte> to_write[] = {first, second};
  EXPECT_EQ(disk_.write_pieces(kSector, to_write), 2 * kSector);
  EXPECT_EQ(keeper.kept, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(image_->calls, 1u);
  Sector zeroth{}, one{}, two{}, three{};
  const std::span<std::byte> to_fill[] = {zeroth, one, two, three};
  EXPECT_EQ(disk_.read_pieces(0, to_fill), 4 * kSector);
  EXPECT_EQ(image_->calls, 2u);
  EXPECT_EQ(zeroth, filled('n'));
  EXPECT_EQ(one, first);
  EXPECT_EQ(two, second);
  disk_.enter_past();
  std::optional<Sector> earlier = filled('a');
  disk_.exchange(2, earlier);
  EXPECT_EQ(disk_.read_pieces(0, to_fill), 4 * kSector);
  EXPECT_EQ(one, first);
  EXPECT_EQ(two, filled('a'));
  EXPECT_EQ(three, filled('n'));
  // In the past nothing reaches the image.
  disk_.tell(nullptr);
  EXPECT_EQ(disk_.write_pieces(0, to_write), 2 * kSector);
  EXPECT_EQ(image_->content[0], std::byte{'n'});
  EXPECT_EQ(disk_.read_pieces(0, to_fill), 4 * kSector);
  EXPECT_EQ(zeroth, first);
  EXPECT_EQ(one, second);
}

TEST_F(PastDisks, BecomeThePresentIfTheServerAnswers) {
  disk_.enter_past();
  std::optional<Sector> earlier = filled('a');
  disk_.exchange(1, earlier);
  image_->waits = std::numeric_limits<unsigned>::max();
  EXPECT_FALSE(disk_.write_back(std::chrono::milliseconds(1)));
  image_->waits = 3;
  EXPECT_TRUE(disk_.write_back());
  disk_.enter_present();
  EXPECT_EQ(seen(), filled('a'));
  EXPECT_EQ(image_->flushes, 1u);
}

}  // namespace
}  // namespace ringside::time

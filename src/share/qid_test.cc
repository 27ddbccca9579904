#include "share/qid.h"

#include <dirent.h>
#include <gtest/gtest.h>

#include <set>

namespace ringside::share {
namespace {

TEST(QidNumbers, AreInodesInTheFolderItself) {
  QidNumbers numbers(7);
  for (const ino_t inode : {ino_t{0}, ino_t{2}, ino_t{0xffffffffffff}})
    EXPECT_EQ(*numbers.number(7, inode), inode);
}

TEST(QidNumbers, AreNeverTheSameForTwoFiles) {
  QidNumbers numbers(7);
  std::set<std::uint64_t> all;
  std::size_t count = 0;
  for (int again = 0; again < 2; ++again) {
    for (const dev_t device : {7u, 8u, 9u, 0u}) {
      for (const ino_t inode : {ino_t{1}, ino_t{2}, ino_t{1} << 47, ino_t{1} << 48, ino_t{3} << 62,
                                ~ino_t{0}, (ino_t{1} << 48) + 1}) {
        all.insert(*numbers.number(device, inode));
        if (again == 0) ++count;
      }
    }
  }
  EXPECT_EQ(all.size(), count) << "and the same each time";
}

TEST(QidNumbers, AreBounded) {
  QidNumbers numbers(0);
  for (dev_t device = 1; device < 0x10000; ++device)
    ASSERT_TRUE(numbers.number(device, 1));
  EXPECT_EQ(numbers.number(0x10000, 1).error(), ENFILE);
  EXPECT_EQ(*numbers.number(0, 5), 5u);
  EXPECT_TRUE(numbers.number(0xffff, 77));
}

TEST(Qids, HaveAKind) {
  QidNumbers numbers(0);
  struct stat status {};
  const struct {
    mode_t mode;
    unsigned char entry;
    std::uint8_t type;
  } kKinds[] = {{S_IFDIR, DT_DIR, 0x80}, {S_IFLNK, DT_LNK, 0x02}, {S_IFREG, DT_REG, 0},
                {S_IFIFO, DT_FIFO, 0},   {S_IFSOCK, DT_SOCK, 0},  {S_IFCHR, DT_CHR, 0}};
  for (const auto& [mode, entry, type] : kKinds) {
    status.st_mode = mode | 0755;
    EXPECT_EQ(numbers.of(status)->type, type);
    EXPECT_EQ(numbers.of_entry(0, 1, entry)->type, type);
  }
}

}  // namespace
}  // namespace ringside::share

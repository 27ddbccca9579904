// What is in directories: made, linked, renamed, removed and listed.
#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <set>

#include "share/testing/shared_folder.h"

namespace ringside::share {
namespace {

using testing::Answer;
using testing::put_text;
using testing::Request;
using testing::SharedFolder;
using testing::status_of;
using testing::text_of;
namespace fs = std::filesystem;

class Entries : public SharedFolder {
 protected:
  struct Listed {
    testing::SeenQid qid;
    std::uint8_t type = 0;
  };
  // All of it, `count` bytes at a time.
  std::map<std::string, Listed> list(std::uint32_t fid, std::uint32_t count = 8000) {
    std::map<std::string, Listed> all;
    for (std::uint64_t offset = 0;;) {
      Answer answer =
          client().ask(Request(MessageType::ReadDirectory).u32(fid).u64(offset).u32(count));
      EXPECT_EQ(answer.error(), 0);
      const std::uint32_t size = answer.u32();
      EXPECT_LE(size, count);
      EXPECT_EQ(size, answer.left());
      if (size == 0 || answer.error() != 0) return all;
      while (answer.left() != 0) {
        Listed entry;
        entry.qid = answer.qid();
        offset = answer.u64();
        entry.type = answer.u8();
        EXPECT_TRUE(all.emplace(answer.string(), entry).second) << "it came twice";
      }
    }
  }
};

TEST_F(Entries, MakesDirectories) {
  Answer answer =
      client().ask(Request(MessageType::MakeDirectory).u32(kRoot).string("made").u32(0750).u32(0));
  const testing::SeenQid qid = answer.qid();
  EXPECT_EQ(qid.type, 0x80);
  EXPECT_EQ(qid.path, status_of(shared("made")).st_ino);
  EXPECT_EQ(status_of(shared("made")).st_mode, S_IFDIR | 0750u);
  EXPECT_EQ(client().make_directory(kRoot, "made"), EEXIST);
  EXPECT_EQ(client().make_directory(client().fid("file"), "x"), ENOTDIR);
  EXPECT_EQ(client().make_directory(client().fid("way-out"), "x"), ENOTDIR);
}

TEST_F(Entries, MakesNodesButNoDevices) {
  EXPECT_EQ(client().make_node(kRoot, "fifo", S_IFIFO | 0600), 0);
  EXPECT_TRUE(fs::is_fifo(shared("fifo")));
  EXPECT_EQ(client().make_node(kRoot, "socket", S_IFSOCK | 0600), 0);
  EXPECT_TRUE(fs::is_socket(shared("socket")));
  EXPECT_EQ(client().make_node(kRoot, "regular", S_IFREG | 0600), 0);
  EXPECT_EQ(status_of(shared("regular")).st_mode, S_IFREG | 0600u);
  EXPECT_EQ(client().make_node(kRoot, "null", S_IFCHR | 0600), EPERM);
  EXPECT_EQ(client().make_node(kRoot, "disk", S_IFBLK | 0600), EPERM);
  EXPECT_EQ(client().make_node(kRoot, "directory", S_IFDIR | 0700), EINVAL);
  EXPECT_EQ(client().make_node(kRoot, "link", S_IFLNK | 0700), EINVAL);
  EXPECT_EQ(client().make_node(kRoot, "fifo", S_IFIFO), EEXIST);
}

TEST_F(Entries, SymbolicLinksAreTexts) {
  Answer made = client().ask(Request(MessageType::SymbolicLink)
                                 .u32(kRoot)
                                 .string("absolute")
                                 .string("/etc/passwd")
                                 .u32(0));
  EXPECT_EQ(made.qid().type, 0x02);
  EXPECT_EQ(fs::read_symlink(shared("absolute")), "/etc/passwd");
  EXPECT_EQ(client().read_link(client().fid("absolute")).string(), "/etc/passwd");
  EXPECT_EQ(client().read_link(client().fid("file")).error(), EINVAL);
  EXPECT_EQ(client().read_link(kRoot).error(), EINVAL);
  EXPECT_EQ(client().make_link(kRoot, "empty", ""), ENOENT);
  EXPECT_EQ(client().make_link(kRoot, "zero", std::string("a\0b", 3)), EINVAL);
  EXPECT_EQ(client().make_link(kRoot, "long", std::string(5000, 'l')), ENAMETOOLONG);
  EXPECT_EQ(client().make_link(kRoot, "file", "x"), EEXIST);
}

TEST_F(Entries, ATargetThatDoesNotFitIsAnError) {
  ASSERT_EQ(client().make_link(kRoot, "long", std::string(4095, 'l')), 0);
  EXPECT_EQ(client().read_link(client().fid("long")).string().size(), 4095u);
  client().begin(kSmallestMessage);
  EXPECT_EQ(client().read_link(client().fid("long")).error(), ENAMETOOLONG);
}

TEST_F(Entries, HardLinksAreTheSameFile) {
  EXPECT_EQ(client().link(client().fid("folder"), client().fid("file"), "other"), 0);
  EXPECT_EQ(status_of(shared("file")).st_ino, status_of(shared("folder/other")).st_ino);
  EXPECT_EQ(status_of(shared("file")).st_nlink, 2u);
  // From an open file, too; of a symbolic link, not what it leads to; of a directory never.
  EXPECT_EQ(client().link(kRoot, client().opened("file", O_RDONLY), "third"), 0);
  EXPECT_EQ(status_of(shared("file")).st_nlink, 3u);
  EXPECT_EQ(client().link(kRoot, client().fid("secret"), "secret2"), 0);
  EXPECT_TRUE(fs::is_symlink(shared("secret2")));
  EXPECT_EQ(client().link(kRoot, client().fid("folder"), "folder2"), EPERM);
  EXPECT_EQ(client().link(kRoot, client().fid("file"), "folder"), EEXIST);
}

TEST_F(Entries, RenamesAcrossDirectories) {
  const std::uint32_t folder = client().fid("folder"), deep = client().fid("folder/deep");
  EXPECT_EQ(client().rename(kRoot, "file", deep, "moved"), 0);
  EXPECT_EQ(text_of(shared("folder/deep/moved")), "text");
  EXPECT_EQ(client().rename(deep, "moved", folder, "inner"), 0) << "it takes another's place";
  EXPECT_EQ(text_of(shared("folder/inner")), "text");
  EXPECT_EQ(client().rename(kRoot, "none", kRoot, "x"), ENOENT);
  EXPECT_EQ(client().rename(kRoot, "folder", deep, "below-itself"), EINVAL);
  EXPECT_EQ(client().rename(kRoot, "folder", kRoot, "way-out"), ENOTDIR);
  EXPECT_EQ(client().rename(kRoot, "way-out", kRoot, "renamed"), 0) << "the link itself";
  EXPECT_TRUE(fs::is_symlink(shared("renamed")));
}

TEST_F(Entries, RenamesWhatAFidIs) {
  const std::uint32_t file = client().fid("file");
  EXPECT_EQ(client().rename(file, client().fid("folder"), "moved"), 0);
  EXPECT_EQ(text_of(shared("folder/moved")), "text");
  EXPECT_EQ(client().rename(file, kRoot, "back"), 0) << "by the name that it has now";
  EXPECT_EQ(text_of(shared("back")), "text");
  EXPECT_EQ(client().rename(kRoot, kRoot, "root"), EBUSY);
  fs::remove(shared("back"));
  EXPECT_EQ(client().rename(file, kRoot, "again"), ENOENT);
}

TEST_F(Entries, ADirectoryIsRenamedWhileSomebodyWalksInIt) {
  const std::uint32_t deep = client().fid("folder/deep");
  put_text(shared("folder/deep/file"), "deep text");
  fs::rename(shared("folder"), shared("elsewhere"));
  ASSERT_EQ(client().walk(deep, 1, {"file"}).u16(), 1u);
  EXPECT_EQ(client().open(1, O_RDONLY), 0);
  EXPECT_EQ(client().content(1), "deep text");
  Answer up = client().walk(deep, 2, {"..", "inner"});
  EXPECT_EQ(up.u16(), 2u);
  EXPECT_EQ(client().rename(kRoot, "elsewhere", kRoot, "third"), 0);
  EXPECT_EQ(client().walk(deep, 3, {"..", "..", "third", "deep", "file"}).u16(), 5u);
}

TEST_F(Entries, Removes) {
  EXPECT_EQ(client().unlink(kRoot, "folder"), EISDIR);
  EXPECT_EQ(client().unlink(kRoot, "folder", AT_REMOVEDIR), ENOTEMPTY);
  EXPECT_EQ(client().unlink(kRoot, "file", AT_REMOVEDIR), ENOTDIR);
  EXPECT_EQ(client().unlink(kRoot, "file", 1), EINVAL);
  EXPECT_EQ(client().unlink(kRoot, "file"), 0);
  EXPECT_FALSE(fs::exists(shared("file")));
  EXPECT_EQ(client().unlink(kRoot, "file"), ENOENT);
  EXPECT_EQ(client().unlink(client().fid("folder"), "deep", AT_REMOVEDIR), 0);
  EXPECT_FALSE(fs::exists(shared("folder/deep")));
  EXPECT_EQ(client().unlink(kRoot, "secret"), 0) << "the link, and not what it leads to";
  EXPECT_EQ(text_of(outside("secret")), "secret");
}

TEST_F(Entries, RemovesWhatAFidIs) {
  std::uint32_t fid = client().fid("folder/inner");
  EXPECT_EQ(client().remove(fid), 0);
  EXPECT_EQ(client().clunk(fid), EBADF);
  EXPECT_FALSE(fs::exists(shared("folder/inner")));
  fid = client().fid("folder");
  EXPECT_EQ(client().remove(fid), ENOTEMPTY);
  EXPECT_EQ(client().clunk(fid), EBADF) << "it is gone all the same";
  EXPECT_EQ(client().remove(client().fid("folder/deep")), 0);
  EXPECT_EQ(client().remove(client().fid("folder")), 0);
  EXPECT_FALSE(fs::exists(shared("folder")));
  EXPECT_EQ(client().remove(client().fid("secret")), 0);
  EXPECT_EQ(text_of(outside("secret")), "secret");
  EXPECT_EQ(client().remove(client().fid("")), EBUSY);
}

TEST_F(Entries, ANameThatLooksRemovedIsOne) {
  put_text(shared("x (deleted)"), "still there");
  EXPECT_EQ(client().remove(client().fid("x (deleted)")), 0);
  EXPECT_FALSE(fs::exists(shared("x (deleted)")));
  put_text(shared("y"), "1");
  fs::create_hard_link(shared("y"), shared("z"));
  const std::uint32_t fid = client().fid("y");
  fs::remove(shared("y"));
  put_text(shared("y (deleted)"), "2");
  EXPECT_EQ(client().remove(fid), ESTALE) << "another file";
  EXPECT_EQ(text_of(shared("y (deleted)")), "2");
}

// ---- Lists

TEST_F(Entries, ListsWhatIsThere) {
  ASSERT_EQ(client().make_node(kRoot, "fifo", S_IFIFO | 0600), 0);
  const auto all = list(client().opened("", O_RDONLY | O_DIRECTORY));
  std::set<std::string> names;
  for (const auto& [name, entry] : all)
    names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{".", "..", "file", "folder", "way-out", "secret", "link",
                                          "dangling", "fifo"}));
  EXPECT_EQ(all.at("file").qid.path, status_of(shared("file")).st_ino);
  EXPECT_EQ(all.at("file").type, DT_REG);
  EXPECT_EQ(all.at("folder").qid.type, 0x80);
  EXPECT_EQ(all.at("folder").type, DT_DIR);
  EXPECT_EQ(all.at("link").type, DT_LNK);
  EXPECT_EQ(all.at("fifo").type, DT_FIFO);
  EXPECT_EQ(all.at("..").qid.path, status_of(shared()).st_ino) << "nothing is above the root";
  const auto inner = list(client().opened("folder", O_RDONLY));
  EXPECT_EQ(inner.at("..").qid.path, status_of(shared()).st_ino);
}

TEST_F(Entries, ListsInPartsOfAnySize) {
  std::set<std::string> expected{".", ".."};
  fs::create_directory(shared("many"));
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "entry-" + std::to_string(i) + std::string(i % 200, 'e');
    expected.insert(name);
    put_text(shared("many") / name, "");
  }
  for (const std::uint32_t count : {300u, 4000u, 100'000u, ~0u}) {
    std::set<std::string> names;
    for (const auto& [name, entry] : list(client().opened("many", O_RDONLY), count))
      names.insert(name);
    EXPECT_EQ(names, expected) << count;
  }
}

TEST_F(Entries, AListIsBounded) {
  const std::uint32_t fid = client().opened("folder", O_RDONLY);
  const auto ask = [&](std::uint32_t of, std::uint64_t offset, std::uint32_t count) {
    return client().error_of(Request(MessageType::ReadDirectory).u32(of).u64(offset).u32(count));
  };
  for (const std::uint32_t count : {0u, 1u, 23u})
    EXPECT_EQ(ask(fid, 0, count), EINVAL) << count;
  EXPECT_EQ(ask(client().fid("folder"), 0, 100), EBADF);
  EXPECT_EQ(ask(client().opened("file", O_RDONLY), 0, 100), ENOTDIR);
  EXPECT_NE(ask(fid, ~std::uint64_t{0}, 100), 0);
  for (const std::uint64_t offset : {1u, 1000u, 0x7fffffffu})
    (void)ask(fid, offset, 100);  // an error or entries, as the host's file system has it
  fs::remove_all(shared("folder"));
  EXPECT_EQ(ask(fid, 0, 100), ENOENT);
}

}  // namespace
}  // namespace ringside::share

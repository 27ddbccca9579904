// Nothing outside of the folder is reached, and nothing of a read-only one is changed.
#include <fcntl.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "share/testing/shared_folder.h"

namespace ringside::share {
namespace {

using testing::put_text;
using testing::Request;
using testing::SharedFolder;
using testing::text_of;
namespace fs = std::filesystem;

class Beneath : public SharedFolder {};

TEST_F(Beneath, NoLinkIsFollowed) {
  fs::create_symlink("/", shared("root"));
  fs::create_symlink("/proc/self/fd", shared("magic"));
  fs::create_symlink(".", shared("itself"));
  for (const char* link : {"root", "magic", "itself", "way-out", "link", "secret"}) {
    const std::uint32_t fid = client().fid(link);
    EXPECT_EQ(client().walk(fid, 1, {"etc"}).error(), ENOTDIR) << link;
    EXPECT_EQ(client().walk(fid, 1, {"file"}).error(), ENOTDIR) << link;
    EXPECT_EQ(client().open(fid, O_RDONLY), ELOOP) << link;
    EXPECT_EQ(client().open(fid, O_RDONLY | O_DIRECTORY), ELOOP) << link;
    EXPECT_EQ(client().make_directory(fid, "made"), ENOTDIR) << link;
    EXPECT_EQ(client().unlink(fid, "secret"), ENOTDIR) << link;
    EXPECT_EQ(client().rename(kRoot, "file", fid, "moved"), ENOTDIR) << link;
    EXPECT_EQ(client().link(fid, client().fid("file"), "linked"), ENOTDIR) << link;
    // From a link upwards is where the link is.
    EXPECT_EQ(client().walk(fid, 1, {"..", "file"}).u16(), 2u);
    EXPECT_EQ(client().clunk(1), 0);
  }
  EXPECT_EQ(client().walk(kRoot, 1, {"way-out", "secret"}).u16(), 1u);
  EXPECT_EQ(client().walk(kRoot, 1, {"..", "outside"}).u16(), 1u);
  EXPECT_EQ(client().walk(kRoot, 1, {"..", "sharedsecret"}).u16(), 1u);
}

TEST_F(Beneath, ADirectoryThatIsMovedOutHasNoWayFurther) {
  const std::uint32_t deep = client().fid("folder/deep");
  fs::rename(shared("folder/deep"), outside("moved"));
  EXPECT_EQ(client().walk(deep, 1, {".."}).error(), ESTALE);
  EXPECT_EQ(client().rename(deep, kRoot, "back"), ESTALE);
  EXPECT_EQ(client().remove(deep), ESTALE);
  EXPECT_TRUE(fs::exists(outside("moved")));
}

TEST_F(Beneath, AFolderWithALikeNameIsAnotherOne) {
  fs::create_directory(scratch_ / "shared-too");
  const std::uint32_t deep = client().fid("folder/deep");
  fs::rename(shared("folder/deep"), scratch_ / "shared-too/deep");
  EXPECT_EQ(client().walk(deep, 1, {".."}).error(), ESTALE);
}

TEST_F(Beneath, AFolderThatVanishesIsEmpty) {
  const std::uint32_t open = client().opened("file", O_RDONLY);
  fs::remove_all(shared());
  EXPECT_EQ(client().content(open), "text") << "what is open stays";
  EXPECT_EQ(client().walk(kRoot, 1, {"file"}).error(), ENOENT);
  EXPECT_EQ(client().make_directory(kRoot, "x"), ENOENT);
  EXPECT_EQ(client().create(client().fid(""), "x", O_RDWR), ENOENT);
  EXPECT_EQ(client().walk(kRoot, 1, {".."}).error(), 0);
  EXPECT_EQ(client().error_of(Request(MessageType::GetAttributes).u32(kRoot).u64(0)), 0);
  EXPECT_EQ(client().remove(open), ENOENT);
  client().begin();
  EXPECT_EQ(client().make_link(kRoot, "x", "y"), ENOENT);
}

TEST_F(Beneath, AFolderThatIsReplacedIsStillTheFirstOne) {
  fs::rename(shared(), scratch_ / "first");
  fs::create_directory(shared());
  put_text(shared("file"), "another");
  EXPECT_EQ(client().content(client().opened("file", O_RDONLY)), "text");
  ASSERT_EQ(client().walk(client().fid("folder/deep"), 1, {"..", "..", "file"}).u16(), 3u);
  EXPECT_EQ(client().open(1, O_RDONLY), 0);
  EXPECT_EQ(client().content(1), "text");
}

TEST_F(Beneath, WhatIsOfProcIsNotOpened) {
  Server server(Fd(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC)), Access::ReadWrite);
  testing::Client all(server);
  all.begin();
  EXPECT_EQ(all.open(all.fid("mem"), O_RDWR), EACCES);
  EXPECT_EQ(all.open(all.fid("exe"), O_RDONLY), ELOOP);
  EXPECT_EQ(all.walk(all.fid("cwd"), 1, {"etc"}).error(), ENOTDIR);
}

TEST_F(Beneath, WhatIsMountedInItHasOtherNumbers) {
  // All that a host has mounted is seen from its root.
  Server server(Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), Access::ReadOnly);
  testing::Client all(server);
  all.begin();
  EXPECT_EQ(all.walk(kRoot, 1, {".."}).qid().path, all.walk(kRoot, 2, {"..", ".."}).qid().path);
  if (testing::status_of("/proc").st_dev == testing::status_of("/").st_dev)
    GTEST_SKIP() << "nothing is mounted at /proc";
  testing::Answer answer = all.walk(kRoot, 3, {"proc"});
  answer.u16();
  const std::uint64_t number = answer.qid().path;
  EXPECT_NE(number, testing::status_of("/proc").st_ino);
  EXPECT_EQ(number & 0xffffffffffff, testing::status_of("/proc").st_ino);
  EXPECT_EQ(all.walk(3, 4, {"..", "proc"}).u16(), 2u);
}

// What permits nothing to the user of this process does not to the guest.
TEST_F(Beneath, TheUsersRightsAreTheGuests) {
  put_text(shared("sealed"), "text");
  ASSERT_EQ(::chmod(shared("sealed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(scratch_.path().c_str(), 0755), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && (::setresgid(kNobody, kNobody, kNobody) != 0 ||
                             ::setresuid(kNobody, kNobody, kNobody) != 0))
      ::_exit(1);
    const bool is_as_expected = client().open(client().fid("sealed"), O_RDONLY) == EACCES &&
                                client().open(client().fid("file"), O_RDONLY) == 0;
    ::_exit(is_as_expected ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

class ReadOnly : public SharedFolder {
 protected:
  ReadOnly() { share(Access::ReadOnly); }
};

TEST_F(ReadOnly, Reads) {
  EXPECT_EQ(client().content(client().opened("folder/inner", O_RDONLY)), "inner text");
  EXPECT_EQ(client().read_link(client().fid("link")).string(), "file");
  const std::uint32_t directory = client().opened("folder", O_RDONLY);
  EXPECT_EQ(client().error_of(Request(MessageType::ReadDirectory).u32(directory).u64(0).u32(999)),
            0);
  EXPECT_EQ(client().error_of(Request(MessageType::Sync).u32(directory).u32(0)), 0);
  EXPECT_EQ(client().error_of(Request(MessageType::StatFs).u32(kRoot)), 0);
}

TEST_F(ReadOnly, ChangesNothing) {
  const std::uint32_t file = client().fid("file");
  for (const std::uint32_t flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_ACCMODE})
    EXPECT_EQ(client().open(file, flags), EROFS);
  EXPECT_EQ(client().create(client().fid(""), "x", O_RDONLY), EROFS);
  EXPECT_EQ(client().create(client().fid(""), "file", O_RDONLY), EROFS);
  EXPECT_EQ(client().write(client().opened("file", O_RDONLY), 0, "x").error(), EROFS);
  EXPECT_EQ(client().make_directory(kRoot, "x"), EROFS);
  EXPECT_EQ(client().make_link(kRoot, "x", "y"), EROFS);
  EXPECT_EQ(client().make_node(kRoot, "x", S_IFIFO), EROFS);
  EXPECT_EQ(client().link(kRoot, file, "x"), EROFS);
  EXPECT_EQ(client().unlink(kRoot, "file"), EROFS);
  EXPECT_EQ(client().rename(kRoot, "file", kRoot, "x"), EROFS);
  EXPECT_EQ(client().rename(file, kRoot, "x"), EROFS);
  Request set(MessageType::SetAttributes);
  set.u32(file).u32(1).u32(0).u32(0).u32(0);
  for (int i = 0; i < 5; ++i)
    set.u64(0);
  EXPECT_EQ(client().error_of(set), EROFS);
  EXPECT_EQ(client().remove(file), EROFS);
  EXPECT_EQ(client().clunk(file), EBADF);
  EXPECT_EQ(text_of(shared("file")), "text");
}

// Walks of names that are there, links, ".." and others: whatever comes of them is below the
// folder.
RC_GTEST_FIXTURE_PROP(Beneath, AWalkEndsWithin, ()) {
  client().begin();
  const auto names = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("..", "folder", "deep", "inner", "file", "link", "way-out",
                                    "secret", "outside", "shared", "sharedsecret"));
  std::uint32_t at = kRoot;
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    testing::Answer answer = client().walk(at, i + 1, {names[i]});
    if (answer.error() != 0) continue;
    at = i + 1;
    answer.u16();
    const std::uint64_t number = answer.qid().path;
    bool is_inside = number == testing::status_of(shared()).st_ino;
    for (const auto& entry : fs::recursive_directory_iterator(shared()))
      is_inside = is_inside || number == testing::status_of(entry.path()).st_ino;
    RC_ASSERT(is_inside);
  }
}

}  // namespace
}  // namespace ringside::share

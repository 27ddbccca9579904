// What is known of files, and set.
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "share/testing/shared_folder.h"

namespace ringside::share {
namespace {

using testing::Answer;
using testing::Request;
using testing::SharedFolder;
using testing::status_of;
using testing::text_of;
namespace fs = std::filesystem;

enum : std::uint32_t {
  kMode = 0x1,
  kUser = 0x2,
  kGroup = 0x4,
  kSize = 0x8,
  kAccessTime = 0x10,
  kChangeTime = 0x20,
  kStatusTime = 0x40,
  kThisAccessTime = 0x80,
  kThisChangeTime = 0x100,
};

struct Wanted {
  std::uint32_t valid = 0, mode = 0, user = 0, group = 0;
  std::uint64_t size = 0;
  timespec access{}, change{};
};

class Attributes : public SharedFolder {
 protected:
  int set(std::uint32_t fid, const Wanted& wanted) {
    return client().error_of(Request(MessageType::SetAttributes)
                                 .u32(fid)
                                 .u32(wanted.valid)
                                 .u32(wanted.mode)
                                 .u32(wanted.user)
                                 .u32(wanted.group)
                                 .u64(wanted.size)
                                 .u64(static_cast<std::uint64_t>(wanted.access.tv_sec))
                                 .u64(static_cast<std::uint64_t>(wanted.access.tv_nsec))
                                 .u64(static_cast<std::uint64_t>(wanted.change.tv_sec))
                                 .u64(static_cast<std::uint64_t>(wanted.change.tv_nsec)));
  }
  testing::SeenQid qid_of(std::uint32_t fid) {
    Answer answer = client().ask(Request(MessageType::GetAttributes).u32(fid).u64(0x7ff));
    answer.u64();
    return answer.qid();
  }
};

TEST_F(Attributes, AreThoseOfTheFile) {
  fs::create_hard_link(shared("file"), shared("folder/other"));
  ASSERT_EQ(::chmod(shared("file").c_str(), 01640), 0);
  const timespec times[2] = {{1'000'000'007, 123'456'789}, {2'000'000'011, 987'654'321}};
  ASSERT_EQ(::utimensat(AT_FDCWD, shared("file").c_str(), times, 0), 0);
  for (const char* name : {"file", "folder", "link", ""}) {
    const struct stat status = status_of(shared(name));
    Answer answer =
        client().ask(Request(MessageType::GetAttributes).u32(client().fid(name)).u64(0x3fff));
    EXPECT_EQ(answer.size(), 160u);
    EXPECT_EQ(answer.u64(), 0x7ffu);
    EXPECT_EQ(answer.qid().path, status.st_ino);
    EXPECT_EQ(answer.u32(), status.st_mode);
    EXPECT_EQ(answer.u32(), status.st_uid);
    EXPECT_EQ(answer.u32(), status.st_gid);
    EXPECT_EQ(answer.u64(), status.st_nlink);
    EXPECT_EQ(answer.u64(), status.st_rdev);
    EXPECT_EQ(answer.u64(), static_cast<std::uint64_t>(status.st_size));
    EXPECT_EQ(answer.u64(), static_cast<std::uint64_t>(status.st_blksize));
    EXPECT_EQ(answer.u64(), static_cast<std::uint64_t>(status.st_blocks));
    for (const timespec& time : {status.st_atim, status.st_mtim, status.st_ctim}) {
      EXPECT_EQ(answer.u64(), static_cast<std::uint64_t>(time.tv_sec));
      EXPECT_EQ(answer.u64(), static_cast<std::uint64_t>(time.tv_nsec));
    }
  }
}

TEST_F(Attributes, ADevicesNumberIsAsLinuxSendsIt) {
  if (::mknod(shared("device").c_str(), S_IFCHR | 0600, makedev(0x123, 0x45678)) != 0)
    GTEST_SKIP() << "only root makes devices";
  Answer answer =
      client().ask(Request(MessageType::GetAttributes).u32(client().fid("device")).u64(0));
  answer.text(8 + 13 + 12 + 8);
  // new_encode_dev(): 12 bits of the major number between 8 and 12 of the minor one.
  EXPECT_EQ(answer.u64(), 0x45612378u);
}

TEST_F(Attributes, TheVersionChangesWithTheContent) {
  const std::uint32_t fid = client().fid("file");
  const testing::SeenQid before = qid_of(fid);
  EXPECT_EQ(qid_of(fid), before);
  const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'007, 123'456'789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, shared("file").c_str(), times, 0), 0);
  const testing::SeenQid after = qid_of(fid);
  EXPECT_NE(after.version, before.version);
  EXPECT_EQ(after.path, before.path);
}

TEST_F(Attributes, SetsTheMode) {
  EXPECT_EQ(set(client().fid("file"), {.valid = kMode, .mode = 0100604}), 0);
  EXPECT_EQ(status_of(shared("file")).st_mode, S_IFREG | 0604u);
  EXPECT_EQ(set(client().opened("file", O_RDONLY), {.valid = kMode, .mode = 0640}), 0);
  EXPECT_EQ(status_of(shared("file")).st_mode, S_IFREG | 0640u);
  EXPECT_EQ(set(client().fid("folder"), {.valid = kMode, .mode = 01777}), 0);
  EXPECT_EQ(status_of(shared("folder")).st_mode, S_IFDIR | 01777u);
  ASSERT_EQ(client().make_node(kRoot, "fifo", S_IFIFO | 0600), 0);
  EXPECT_EQ(set(client().fid("fifo"), {.valid = kMode, .mode = 0666}), 0);
  EXPECT_EQ(status_of(shared("fifo")).st_mode, S_IFIFO | 0666u);
  const mode_t before = status_of(outside("secret")).st_mode;
  EXPECT_EQ(set(client().fid("secret"), {.valid = kMode, .mode = 0777}), EOPNOTSUPP);
  EXPECT_EQ(status_of(outside("secret")).st_mode, before);
}

TEST_F(Attributes, SetsTheSize) {
  EXPECT_EQ(set(client().fid("file"), {.valid = kSize, .size = 2}), 0);
  EXPECT_EQ(text_of(shared("file")), "te");
  EXPECT_EQ(set(client().opened("file", O_RDWR), {.valid = kSize, .size = 4}), 0);
  EXPECT_EQ(text_of(shared("file")), std::string("te\0\0", 4));
  EXPECT_EQ(set(client().opened("file", O_RDONLY), {.valid = kSize, .size = 1}), 0)
      << "truncate(2) by name, of a file that is open";
  EXPECT_EQ(text_of(shared("file")), "t");
  EXPECT_EQ(set(client().fid("file"), {.valid = kSize, .size = ~std::uint64_t{0}}), EINVAL);
  EXPECT_EQ(set(client().fid("folder"), {.valid = kSize, .size = 0}), EISDIR);
  EXPECT_EQ(set(client().fid("secret"), {.valid = kSize, .size = 0}), ELOOP);
  EXPECT_EQ(text_of(outside("secret")), "secret");
  ASSERT_EQ(client().make_node(kRoot, "fifo", S_IFIFO | 0600), 0);
  EXPECT_EQ(set(client().fid("fifo"), {.valid = kSize, .size = 0}), ENXIO);
}

TEST_F(Attributes, SetsTimes) {
  const std::uint32_t fid = client().fid("file");
  Wanted wanted;
  wanted.valid = kAccessTime | kThisAccessTime | kChangeTime | kThisChangeTime;
  wanted.access = {1'000'000'007, 999'999'999};
  wanted.change = {-5, 1};
  ASSERT_EQ(set(fid, wanted), 0);
  struct stat status = status_of(shared("file"));
  EXPECT_EQ(status.st_atim.tv_sec, 1'000'000'007);
  EXPECT_EQ(status.st_atim.tv_nsec, 999'999'999);
  EXPECT_EQ(status.st_mtim.tv_sec, -5);
  EXPECT_EQ(status.st_mtim.tv_nsec, 1);
  // One alone, now; and together with a new size.
  ASSERT_EQ(set(fid, {.valid = kChangeTime}), 0);
  status = status_of(shared("file"));
  EXPECT_EQ(status.st_atim.tv_sec, 1'000'000'007);
  EXPECT_GT(status.st_mtim.tv_sec, 1'600'000'000);
  wanted.valid |= kSize;
  ASSERT_EQ(set(fid, wanted), 0);
  EXPECT_EQ(status_of(shared("file")).st_mtim.tv_sec, -5);
  // Of a link, not of what it leads to.
  const timespec before = status_of(outside("secret")).st_mtim;
  wanted.valid = kChangeTime | kThisChangeTime;
  ASSERT_EQ(set(client().fid("secret"), wanted), 0);
  EXPECT_EQ(status_of(shared("secret")).st_mtim.tv_sec, -5);
  EXPECT_EQ(status_of(outside("secret")).st_mtim.tv_sec, before.tv_sec);
}

TEST_F(Attributes, NanosecondsAreNanoseconds) {
  const std::uint32_t fid = client().fid("file");
  const timespec before = status_of(shared("file")).st_mtim;
  for (const long nanoseconds : {1'000'000'000L, long{UTIME_NOW}, long{UTIME_OMIT}, -1L}) {
    EXPECT_EQ(set(fid, {.valid = kChangeTime | kThisChangeTime, .change = {5, nanoseconds}}),
              EINVAL);
    EXPECT_EQ(set(fid, {.valid = kAccessTime | kThisAccessTime, .access = {5, nanoseconds}}),
              EINVAL);
  }
  EXPECT_EQ(status_of(shared("file")).st_mtim.tv_nsec, before.tv_nsec);
}

TEST_F(Attributes, SetsOwners) {
  const std::uint32_t fid = client().fid("file");
  const struct stat status = status_of(shared("file"));
  EXPECT_EQ(set(fid, {.valid = kUser | kGroup, .user = status.st_uid, .group = status.st_gid}), 0);
  EXPECT_EQ(set(fid, {.valid = kStatusTime}), 0);
  EXPECT_EQ(set(fid, {.valid = 0}), 0);
  EXPECT_EQ(set(fid, {.valid = 0x200}), EINVAL);
  const int expected = ::geteuid() == 0 ? 0 : EPERM;
  EXPECT_EQ(set(fid, {.valid = kUser, .user = 12345}), expected);
  EXPECT_EQ(set(client().fid("secret"), {.valid = kUser, .user = 12345}), expected);
  EXPECT_EQ(status_of(outside("secret")).st_uid, status.st_uid);
  if (expected != 0) return;
  EXPECT_EQ(status_of(shared("file")).st_uid, 12345u);
  EXPECT_EQ(status_of(shared("file")).st_gid, status.st_gid);
  EXPECT_EQ(status_of(shared("secret")).st_uid, 12345u);
  // The owner first: it takes bits of the mode.
  EXPECT_EQ(set(fid, {.valid = kMode | kGroup, .mode = 06755, .group = 54321}), 0);
  EXPECT_EQ(status_of(shared("file")).st_mode & 07777, 06755u);
  EXPECT_EQ(status_of(shared("file")).st_gid, 54321u);
}

TEST_F(Attributes, WithRootsRightsWhatIsMadeIsTheGuestUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(client().attach(1, 1234), 0);
  const auto owner = [&](const char* name) {
    const struct stat status = status_of(shared(name));
    return std::pair(status.st_uid, status.st_gid);
  };
  using enum MessageType;
  const auto is_theirs = std::pair<uid_t, gid_t>(1234, 567);
  ASSERT_EQ(client().walk(1, 2, {}).error(), 0);
  EXPECT_EQ(
      client().error_of(Request(Create).u32(2).string("made").u32(O_RDWR).u32(02755).u32(567)), 0);
  EXPECT_EQ(owner("made"), is_theirs);
  EXPECT_EQ(status_of(shared("made")).st_mode & 07777, 02755u);
  EXPECT_EQ(client().error_of(Request(MakeDirectory).u32(1).string("d").u32(0755).u32(567)), 0);
  EXPECT_EQ(owner("d"), is_theirs);
  EXPECT_EQ(client().error_of(
                Request(MakeNode).u32(1).string("fifo").u32(S_IFIFO).u32(0).u32(0).u32(567)),
            0);
  EXPECT_EQ(owner("fifo"), is_theirs);
  EXPECT_EQ(client().error_of(
                Request(SymbolicLink).u32(1).string("l").string("../outside/secret").u32(567)),
            0);
  EXPECT_EQ(owner("l"), is_theirs);
  EXPECT_NE(status_of(outside("secret")).st_uid, 1234u);
  // What was there already stays whose it is.
  ASSERT_EQ(client().walk(1, 3, {}).error(), 0);
  EXPECT_EQ(client().error_of(Request(Create).u32(3).string("file").u32(O_RDWR).u32(0644).u32(567)),
            0);
  EXPECT_EQ(owner("file").first, 0u);
}

TEST_F(Attributes, TheFileSystemIsTheHosts) {
  struct statfs expected {};
  ASSERT_EQ(::statfs(shared("file").c_str(), &expected), 0);
  Answer answer = client().ask(Request(MessageType::StatFs).u32(client().fid("file")));
  EXPECT_EQ(answer.u32(), static_cast<std::uint32_t>(expected.f_type));
  EXPECT_EQ(answer.u32(), static_cast<std::uint32_t>(expected.f_bsize));
  EXPECT_EQ(answer.u64(), expected.f_blocks);
  answer.text(16);  // what is free may change
  EXPECT_EQ(answer.u64(), expected.f_files);
  answer.text(16);
  EXPECT_EQ(answer.u32(), 255u);
  EXPECT_EQ(answer.left(), 0u);
}

TEST_F(Attributes, ExtendedOnesAreNotThere) {
  EXPECT_EQ(client().error_of(Request(MessageType::WalkToExtendedAttribute)
                                  .u32(kRoot)
                                  .u32(1)
                                  .string("security.capability")),
            EOPNOTSUPP);
  EXPECT_EQ(
      client().error_of(
          Request(MessageType::CreateExtendedAttribute).u32(kRoot).string("user.x").u64(1).u32(0)),
      EOPNOTSUPP);
}

}  // namespace
}  // namespace ringside::share

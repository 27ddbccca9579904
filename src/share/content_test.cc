// What is in files: opening, making, reading, writing; and files that change meanwhile.
#include <fcntl.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <limits>

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

class Content : public SharedFolder {};

TEST_F(Content, OpensAndReads) {
  const std::uint32_t fid = client().fid("folder/inner");
  EXPECT_EQ(client().read(fid, 0, 4).error(), EBADF) << "it is not open";
  Answer opened = client().ask(Request(MessageType::Open).u32(fid).u32(O_RDONLY));
  EXPECT_EQ(opened.qid().path, status_of(shared("folder/inner")).st_ino);
  EXPECT_EQ(opened.u32(), kLargestMessage - 24);
  EXPECT_EQ(client().open(fid, O_RDONLY), EINVAL) << "it is open";
  EXPECT_EQ(client().read(fid, 0, 5).data(), "inner");
  EXPECT_EQ(client().read(fid, 6, 100).data(), "text");
  EXPECT_EQ(client().read(fid, 10, 100).data(), "");
  EXPECT_EQ(client().read(fid, 1000, 100).data(), "");
  EXPECT_EQ(client().read(fid, 0, 0).data(), "");
  EXPECT_EQ(client().write(fid, 0, "x").error(), EBADF) << "open to be read";
}

TEST_F(Content, OffsetsThatNoFileHasAreRefused) {
  const std::uint32_t fid = client().opened("file", O_RDWR);
  for (const std::uint64_t offset : {std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    EXPECT_EQ(client().read(fid, offset, 1).error(), EINVAL);
    EXPECT_EQ(client().write(fid, offset, "x").error(), EINVAL);
  }
  const auto last = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  EXPECT_EQ(client().read(fid, last, 0).data(), "");
  EXPECT_NE(client().write(fid, last, "xx").error(), 0);
  EXPECT_EQ(text_of(shared("file")), "text");
}

TEST_F(Content, AnAnswerHasNoMoreThanAMessage) {
  put_text(shared("large"), std::string(2 * kLargestMessage, 'l'));
  for (const std::uint32_t size : {kSmallestMessage, 65536u, kLargestMessage}) {
    client().begin(size);
    const std::uint32_t fid = client().opened("large", O_RDONLY);
    EXPECT_EQ(client().read(fid, 0, ~0u).data().size(), size - 11);
    EXPECT_EQ(client().read(fid, 1, size - 24).data().size(), size - 24);
  }
}

TEST_F(Content, WritesAndTruncates) {
  const std::uint32_t fid = client().opened("file", O_RDWR | O_TRUNC);
  EXPECT_EQ(text_of(shared("file")), "");
  EXPECT_EQ(client().write(fid, 0, "hello").u32(), 5u);
  EXPECT_EQ(client().write(fid, 7, "world").u32(), 5u);
  EXPECT_EQ(client().write(fid, 7, "").u32(), 0u);
  EXPECT_EQ(text_of(shared("file")), std::string("hello\0\0world", 12));
  EXPECT_EQ(client().content(fid), std::string("hello\0\0world", 12));
  const std::uint32_t writes = client().opened("file", O_WRONLY);
  EXPECT_EQ(client().read(writes, 0, 1).error(), EBADF);
  EXPECT_EQ(client().error_of(Request(MessageType::Sync).u32(fid).u32(0)), 0);
  EXPECT_EQ(client().error_of(Request(MessageType::Sync).u32(fid).u32(1)), 0);
  EXPECT_EQ(client().error_of(Request(MessageType::Sync).u32(kRoot).u32(0)), EBADF);
}

TEST_F(Content, AppendsWhereTheHostsEndIs) {
  const std::uint32_t fid = client().opened("file", O_WRONLY | O_APPEND);
  put_text(shared("file"), "longer than before");
  EXPECT_EQ(client().write(fid, 4, "!").u32(), 1u);
  EXPECT_EQ(text_of(shared("file")), "longer than before!");
}

TEST_F(Content, MakesFiles) {
  const std::uint32_t fid = client().fid("folder");
  EXPECT_EQ(client().create(fid, "made", O_RDWR, 0100640), 0);
  EXPECT_EQ(client().write(fid, 0, "new").u32(), 3u) << "the fid is the file's now";
  EXPECT_EQ(text_of(shared("folder/made")), "new");
  EXPECT_EQ(status_of(shared("folder/made")).st_mode, S_IFREG | 0640u);
  EXPECT_EQ(client().create(fid, "again", O_RDWR), EINVAL) << "it is open";
  EXPECT_EQ(client().create(client().fid("file"), "x", O_RDWR), ENOTDIR);
}

TEST_F(Content, AFileThatMayOnlyBeReadIsWrittenByWhoMadeIt) {
  const std::uint32_t fid = client().fid("");
  ASSERT_EQ(client().create(fid, "sealed", O_RDWR, 0400), 0);
  EXPECT_EQ(client().write(fid, 0, "text").u32(), 4u);
  EXPECT_EQ(text_of(shared("sealed")), "text");
}

TEST_F(Content, BitsOfTheModeStay) {
  ASSERT_EQ(client().create(client().fid(""), "special", O_RDWR, 06755), 0);
  EXPECT_EQ(status_of(shared("special")).st_mode & 07777, 06755u);
}

TEST_F(Content, WhatIsThereIsOpenedUnlessItMustBeNew) {
  EXPECT_EQ(client().create(client().fid(""), "file", O_RDWR | O_EXCL), EEXIST);
  std::uint32_t fid = client().fid("");
  EXPECT_EQ(client().create(fid, "file", O_RDWR), 0);
  EXPECT_EQ(client().content(fid), "text");
  fid = client().fid("");
  EXPECT_EQ(client().create(fid, "file", O_RDWR | O_TRUNC), 0);
  EXPECT_EQ(client().content(fid), "");
  EXPECT_EQ(client().create(client().fid(""), "folder", O_RDWR), EISDIR);
  EXPECT_EQ(client().create(client().fid(""), "secret", O_RDWR), ELOOP);
  EXPECT_EQ(client().create(client().fid(""), "dangling", O_RDWR), ELOOP);
  EXPECT_FALSE(fs::exists(shared("nowhere")));
}

TEST_F(Content, WhatMightWaitIsNotOpened) {
  ASSERT_EQ(::mkfifo(shared("fifo").c_str(), 0666), 0);
  ASSERT_EQ(client().make_node(kRoot, "socket", S_IFSOCK | 0666), 0);
  for (const char* name : {"fifo", "socket"}) {
    for (const std::uint32_t flags : {O_RDONLY, O_WRONLY, O_RDWR})
      EXPECT_EQ(client().open(client().fid(name), flags), ENXIO) << name;
    EXPECT_EQ(client().create(client().fid(""), name, O_RDWR), ENXIO) << name;
  }
  if (::mknod(shared("device").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) {
    EXPECT_EQ(client().open(client().fid("device"), O_RDWR), ENXIO);
  }
  EXPECT_EQ(client().open(client().fid("link"), O_RDONLY), ELOOP);
}

TEST_F(Content, DirectoriesAreNoFiles) {
  EXPECT_EQ(client().open(client().fid("folder"), O_RDWR), EISDIR);
  EXPECT_EQ(client().open(client().fid("file"), O_RDONLY | O_DIRECTORY), ENOTDIR);
  const std::uint32_t fid = client().opened("folder", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(client().read(fid, 0, 1).error(), EISDIR);
  EXPECT_EQ(client().write(fid, 0, "x").error(), EBADF);
  EXPECT_EQ(client().error_of(Request(MessageType::Sync).u32(fid).u32(0)), 0);
}

TEST_F(Content, FlagsOfTheGuestsOwnAffairDoNothing) {
  const std::uint32_t all = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_DIRECT | O_NOATIME |
                            O_ASYNC | O_LARGEFILE | O_CREAT | O_EXCL | O_NOFOLLOW | O_PATH |
                            0x80000000;
  EXPECT_EQ(client().content(client().opened("file", all)), "text");
}

TEST_F(Content, AFileThatWasRemovedIsThereWhileItIsOpen) {
  const std::uint32_t fid = client().opened("file", O_RDWR);
  ASSERT_EQ(client().unlink(kRoot, "file"), 0);
  EXPECT_EQ(client().content(fid), "text");
  EXPECT_EQ(client().write(fid, 4, " more").u32(), 5u);
  EXPECT_EQ(client().content(fid), "text more");
  Answer attributes = client().ask(Request(MessageType::GetAttributes).u32(fid).u64(0x7ff));
  attributes.u64();
  attributes.qid();
  attributes.text(12);
  EXPECT_EQ(attributes.u64(), 0u) << "it has no name";
  // Its size and mode can be set, too.
  EXPECT_EQ(client().error_of(Request(MessageType::SetAttributes)
                                  .u32(fid)
                                  .u32(0x9)
                                  .u32(0600)
                                  .u32(0)
                                  .u32(0)
                                  .u64(2)
                                  .u64(0)
                                  .u64(0)
                                  .u64(0)
                                  .u64(0)),
            0);
  EXPECT_EQ(client().content(fid), "te");
  EXPECT_EQ(client().link(kRoot, fid, "back"), ENOENT);
  EXPECT_EQ(client().remove(fid), ENOENT);
  EXPECT_EQ(client().clunk(fid), EBADF);
}

TEST_F(Content, ANewFileOfTheSameNameIsAnotherOne) {
  const std::uint32_t fid = client().fid("file");
  fs::remove(shared("file"));
  put_text(shared("file"), "another");
  EXPECT_EQ(client().open(fid, O_RDONLY), 0) << "a fid stays with its file";
  EXPECT_EQ(client().content(fid), "text");
  EXPECT_EQ(client().content(client().opened("file", O_RDONLY)), "another");
}

TEST_F(Content, FilesThatShrinkAreShort) {
  put_text(shared("shrinks"), std::string(100'000, 's'));
  const std::uint32_t fid = client().opened("shrinks", O_RDONLY);
  EXPECT_EQ(client().read(fid, 50'000, 65'536).data().size(), 50'000u);
  fs::resize_file(shared("shrinks"), 60'000);
  EXPECT_EQ(client().read(fid, 50'000, 65'536).data().size(), 10'000u);
  fs::resize_file(shared("shrinks"), 10);
  EXPECT_EQ(client().read(fid, 50'000, 65'536).data().size(), 0u);
}

TEST_F(Content, LocksAreGranted) {
  const auto lock = [&](std::uint32_t fid, std::uint8_t type) {
    return client().ask(
        Request(MessageType::Lock).u32(fid).u8(type).u32(1).u64(0).u64(0).u32(42).string("guest"));
  };
  const std::uint32_t fid = client().opened("file", O_RDWR);
  for (const std::uint8_t type : {0, 1, 2}) {
    Answer answer = lock(fid, type);
    EXPECT_EQ(answer.error(), 0);
    EXPECT_EQ(answer.u8(), 0);
  }
  EXPECT_EQ(lock(fid, 3).error(), EINVAL);
  EXPECT_EQ(lock(client().fid("file"), 0).error(), EBADF);
  Answer answer = client().ask(
      Request(MessageType::GetLock).u32(fid).u8(1).u64(10).u64(20).u32(42).string("guest"));
  EXPECT_EQ(answer.u8(), 2) << "nobody has one";
  EXPECT_EQ(answer.u64(), 10u);
  EXPECT_EQ(answer.u64(), 20u);
  EXPECT_EQ(answer.u32(), 42u);
  EXPECT_EQ(answer.string(), "guest");
}

// What a file has after writes and changes of its size anywhere is what a string has after them.
RC_GTEST_FIXTURE_PROP(Content, AFileIsAsItWasWritten, ()) {
  client().begin();
  const std::uint32_t fid = client().opened("file", O_RDWR | O_TRUNC);
  std::string expected;
  const auto steps = *rc::gen::inRange(1, 30);
  for (int i = 0; i < steps; ++i) {
    const auto offset = *rc::gen::inRange<std::size_t>(0, 5000);
    if (*rc::gen::inRange(0, 5) == 0) {
      RC_ASSERT(client().error_of(Request(MessageType::SetAttributes)
                                      .u32(fid)
                                      .u32(0x8)
                                      .u32(0)
                                      .u32(0)
                                      .u32(0)
                                      .u64(offset)
                                      .u64(0)
                                      .u64(0)
                                      .u64(0)
                                      .u64(0)) == 0);
      expected.resize(offset);
      continue;
    }
    const auto text = *rc::gen::string<std::string>();
    RC_ASSERT(client().write(fid, offset, text).u32() == text.size());
    if (text.empty()) continue;
    expected.resize(std::max(expected.size(), offset + text.size()));
    expected.replace(offset, text.size(), text);
  }
  RC_ASSERT(client().content(fid) == expected);
  RC_ASSERT(text_of(shared("file")) == expected);
}

}  // namespace
}  // namespace ringside::share

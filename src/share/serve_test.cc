// The process in which a folder is served: what it says first, that it ends, and what it may do.
#include "share/serve.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"
#include "share/testing/shared_folder.h"
#include "transport/message_stream.h"

namespace ringside::share {
namespace {

using testing::Answer;
using testing::Bytes;
using testing::put_text;
using testing::Request;
using testing::SharedFolder;
using testing::text_of;
namespace fs = std::filesystem;

class Serve : public SharedFolder {
 protected:
  ~Serve() override { end(); }

  // The first message.
  std::string start(Access access, const sandbox::Rights& rights = {}) {
    return start(directory(), access, rights);
  }
  std::string start(Fd directory, Access access, const sandbox::Rights& rights = {}) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    process_ = ::fork();
    if (process_ == 0) {
      ::close(ends[0]);
      ::umask(077);
      serve(ends[1], std::move(directory), access, rights);
      ::_exit(42);
    }
    ::close(ends[1]);
    socket_.reset(ends[0]);
    const auto first = transport::receive_message(socket_.get());
    EXPECT_TRUE(first.has_value());
    if (!first) return "nothing";
    return {reinterpret_cast<const char*>(first->data()), first->size()};
  }
  // How it has ended.
  int end() {
    socket_.reset();
    int status = 0;
    if (process_ > 0) ::waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  Answer ask(const Request& request) {
    EXPECT_TRUE(transport::send_message(socket_.get(), request.bytes()));
    auto answer = transport::receive_message(socket_.get());
    EXPECT_TRUE(answer.has_value());
    return Answer(answer ? *std::move(answer) : Bytes(kHeader));
  }
  int error_of(const Request& request) { return ask(request).error(); }
  void begin() {
    using enum MessageType;
    EXPECT_EQ(error_of(Request(Version, kNoTag).u32(kLargestMessage).string(kVersion)), 0);
    EXPECT_EQ(error_of(Request(Attach).u32(0).u32(kNoFid).string("").string("").u32(0)), 0);
  }
  int walk(std::uint32_t from, std::uint32_t to, const char* name) {
    return error_of(Request(MessageType::Walk).u32(from).u32(to).u16(1).string(name));
  }
  int open(std::uint32_t fid, std::uint32_t flags) {
    return error_of(Request(MessageType::Open).u32(fid).u32(flags));
  }

  Fd socket_;
  pid_t process_ = -1;
};

TEST_F(Serve, AnswersUntilTheOtherSideIsGone) {
  ASSERT_EQ(start(Access::ReadWrite), "");
  begin();
  ASSERT_EQ(walk(0, 1, "file"), 0);
  ASSERT_EQ(open(1, O_RDWR), 0);
  EXPECT_EQ(ask(Request(MessageType::Read).u32(1).u64(0).u32(100)).data(), "text");
  EXPECT_EQ(error_of(Request(MessageType::Write).u32(1).u64(0).data("TEXT")), 0);
  EXPECT_EQ(text_of(shared("file")), "TEXT");
  EXPECT_EQ(end(), 42);
}

TEST_F(Serve, EndsAtWhatIsNoMessage) {
  ASSERT_EQ(start(Access::ReadWrite), "");
  const std::uint32_t length = transport::kMaxMessage + 1;
  ASSERT_EQ(::send(socket_.get(), &length, sizeof length, 0), ssize_t{sizeof length});
  EXPECT_FALSE(transport::receive_message(socket_.get()));
  EXPECT_EQ(end(), 42);
}

// Whoever shares it is told, once, with the first error that comes of it.
TEST_F(Serve, TellsThatTheDirectoryWasRemoved) {
  ASSERT_EQ(start(Access::ReadWrite), "");
  begin();
  EXPECT_EQ(walk(0, 1, "nothing"), ENOENT);
  ASSERT_EQ(walk(0, 1, "file"), 0) << "no message in between";
  fs::remove_all(shared(""));
  EXPECT_EQ(walk(0, 2, "file"), ENOENT);
  EXPECT_EQ(transport::receive_message(socket_.get()), Bytes{});
  EXPECT_EQ(walk(0, 2, "file"), ENOENT);
  EXPECT_EQ(error_of(Request(MessageType::Clunk).u32(1)), 0) << "no other one";
}

TEST_F(Serve, SaysWhyItDoesNotServe) {
  EXPECT_EQ(start(Fd(), Access::ReadWrite),
            "a folder cannot be shared here, which needs Linux 5.6 and /proc: Bad file descriptor");
  EXPECT_EQ(end(), 42);
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  EXPECT_EQ(start(Access::ReadWrite, {.user = "no-such-user"}),
            "--user: there is no user 'no-such-user'");
}

TEST_F(Serve, DoesAllOfItWhileItIsConfined) {
  ASSERT_EQ(start(Access::ReadWrite), "");
  begin();
  using enum MessageType;
  ASSERT_EQ(walk(0, 1, "folder"), 0);
  EXPECT_EQ(error_of(Request(MakeDirectory).u32(1).string("made").u32(0777).u32(0)), 0);
  EXPECT_EQ(testing::status_of(shared("folder/made")).st_mode & 0777, 0777u) << "no mask";
  ASSERT_EQ(walk(0, 2, "file"), 0);
  EXPECT_EQ(error_of(Request(Link).u32(1).u32(2).string("linked")), 0);
  EXPECT_EQ(error_of(Request(RenameAt).u32(0).string("file").u32(1).string("moved")), 0);
  EXPECT_EQ(error_of(Request(SymbolicLink).u32(1).string("link").string("x").u32(0)), 0);
  EXPECT_EQ(error_of(Request(MakeNode).u32(1).string("f").u32(S_IFIFO).u32(0).u32(0).u32(0)), 0);
  EXPECT_EQ(error_of(Request(MakeNode).u32(1).string("s").u32(S_IFSOCK).u32(0).u32(0).u32(0)), 0);
  EXPECT_EQ(error_of(Request(UnlinkAt).u32(1).string("linked").u32(0)), 0);
  EXPECT_EQ(error_of(Request(UnlinkAt).u32(1).string("made").u32(AT_REMOVEDIR)), 0);
  Request set(SetAttributes);
  set.u32(2).u32(0x1f9).u32(0600).u32(0).u32(0).u64(2);
  for (int i = 0; i < 4; ++i)
    set.u64(5);
  EXPECT_EQ(error_of(set), 0);
  EXPECT_EQ(text_of(shared("folder/moved")), "te");
  EXPECT_EQ(open(2, O_RDWR | O_TRUNC), 0);
  EXPECT_EQ(error_of(Request(Remove).u32(2)), 0);
  EXPECT_FALSE(fs::exists(shared("folder/moved")));
  EXPECT_EQ(open(1, O_RDONLY), 0);
  EXPECT_EQ(error_of(Request(ReadDirectory).u32(1).u64(0).u32(1000)), 0);
  EXPECT_EQ(error_of(Request(StatFs).u32(1)), 0);
  EXPECT_EQ(end(), 42);
}

TEST_F(Serve, WhatIsMovedOutOfTheFolderIsOutOfReach) {
  if (!sandbox::why_none().empty()) GTEST_SKIP() << "no sandbox in a build with a sanitizer";
  if (const auto version = sandbox::landlock_version(); !version || *version < 2)
    GTEST_SKIP() << "this kernel has no Landlock of version 2";
  put_text(shared("folder/deep/file"), "deep");
  ASSERT_EQ(start(Access::ReadWrite), "");
  begin();
  ASSERT_EQ(walk(0, 1, "folder"), 0);
  ASSERT_EQ(walk(1, 2, "deep"), 0);
  ASSERT_EQ(walk(2, 3, "file"), 0);
  ASSERT_EQ(open(3, O_RDWR), 0);
  fs::rename(shared("folder"), outside("folder"));
  EXPECT_EQ(ask(Request(MessageType::Read).u32(3).u64(0).u32(100)).data(), "deep")
      << "what is open stays";
  ASSERT_EQ(walk(2, 4, "file"), 0);
  EXPECT_EQ(open(4, O_RDONLY), EACCES);
  EXPECT_EQ(open(4, O_WRONLY), EACCES);
  EXPECT_EQ(open(2, O_RDONLY), EACCES);
  EXPECT_EQ(error_of(Request(MessageType::UnlinkAt).u32(2).string("file").u32(0)), EACCES);
  EXPECT_EQ(error_of(Request(MessageType::MakeDirectory).u32(2).string("x").u32(0755).u32(0)),
            EACCES);
  EXPECT_EQ(text_of(outside("folder/deep/file")), "deep");
}

TEST_F(Serve, AFileMayNotGrowBeyondTheProcesssLimit) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string first = start(Access::ReadWrite);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_EQ(first, "");
  begin();
  ASSERT_EQ(walk(0, 1, "file"), 0);
  ASSERT_EQ(open(1, O_RDWR), 0);
  EXPECT_EQ(ask(Request(MessageType::Write).u32(1).u64(990).data(std::string(20, 'x'))).u32(), 10u);
  EXPECT_EQ(error_of(Request(MessageType::Write).u32(1).u64(1000).data("x")), EFBIG);
  EXPECT_EQ(ask(Request(MessageType::Read).u32(1).u64(0).u32(4)).data(), "text");
}

TEST_F(Serve, HasTheRightsOfTheUserWhoIsNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  put_text(shared("sealed"), "text");
  ASSERT_EQ(::chmod(shared("sealed").c_str(), 0600), 0);
  ASSERT_EQ(start(Access::ReadWrite, {.user = "nobody"}), "");
  begin();
  ASSERT_EQ(walk(0, 1, "sealed"), 0);
  EXPECT_EQ(open(1, O_RDONLY), EACCES);
  ASSERT_EQ(walk(0, 2, "file"), 0);
  EXPECT_EQ(open(2, O_RDONLY), 0);
}

TEST_F(Serve, HasAsManyFilesAsTheHardLimitPermits) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit hard{64, std::min<rlim_t>(before.rlim_max, 300)};
  const pid_t scene = ::fork();
  if (scene == 0) {
    if (::setrlimit(RLIMIT_NOFILE, &hard) != 0 || !start(Access::ReadWrite).empty()) ::_exit(1);
    begin();
    std::uint32_t fid = 1;
    int error = 0;
    for (; fid < 1000 && error == 0; ++fid)
      error = walk(0, fid, "file");
    if (error != EMFILE || fid < 200) ::_exit(2);
    // It goes on, with what it has.
    if (error_of(Request(MessageType::GetAttributes).u32(1).u64(0)) != 0) ::_exit(3);
    if (error_of(Request(MessageType::Clunk).u32(1)) != 0 || walk(0, 1, "file") != 0) ::_exit(4);
    ::_exit(end() == 42 ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(scene, &status, 0), scene);
  EXPECT_EQ(status, 0);
}

TEST_F(Serve, ReadOnlyIsReadOnly) {
  ASSERT_EQ(start(Access::ReadOnly), "");
  begin();
  ASSERT_EQ(walk(0, 1, "file"), 0);
  EXPECT_EQ(open(1, O_RDWR), EROFS);
  EXPECT_EQ(open(1, O_RDONLY), 0);
  EXPECT_EQ(ask(Request(MessageType::Read).u32(1).u64(0).u32(100)).data(), "text");
}

}  // namespace
}  // namespace ringside::share

// What the process that serves a folder may do, and what not, each tried from inside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/testing/temporary_folder.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"
#include "sandbox/system_calls.h"
#include "sandbox/testing/attempts.h"
#include "sandbox/testing/outcome.h"

namespace ringside::sandbox {
namespace {

using testing::error_of, testing::kKilled;

class FolderCalls : public ::testing::Test {
 protected:
  FolderCalls() {
    std::filesystem::create_directories(scratch_ / "inside/folder");
    std::filesystem::create_directories(scratch_ / "outside");
    std::ofstream(scratch_ / "inside/file") << "text";
    std::ofstream(scratch_ / "outside/file") << "text";
  }
  void SetUp() override {
    if (!why_none().empty()) GTEST_SKIP() << "no sandbox in a build with a sanitizer";
  }
  std::string path(const char* name) const { return scratch_ / name; }
  int open(const char* name, int flags) const {
    return error_of(::open(path(name).c_str(), flags | O_CLOEXEC, 0600));
  }
  int rename(const char* from, const char* to) const {
    return error_of(::rename(path(from).c_str(), path(to).c_str()));
  }
  int remove(const char* name) const {
    return error_of(::unlinkat(AT_FDCWD, path(name).c_str(), 0));
  }
  // Of an attempt in a process whose names are those below the folder.
  int by_landlock(Below below, const std::function<int()>& attempt) const {
    return testing::outcome_of([&] {
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      const Fd folder(::open(path("inside").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      return forbid_names_but_below(folder, below) ? attempt() : 255;
    });
  }
  static bool has_landlock() {
    const auto version = landlock_version();
    return version && *version >= 2;
  }
  // Of one in a process with that filter.
  static int by_filter(Below below, const std::function<int()>& attempt) {
    return testing::outcome_of([&] {
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      return allow_only_a_folder(below) ? attempt() : 255;
    });
  }
  static bool has_filter() {
    return by_filter(Below::Read, [] { return 0; }) == 0;
  }

  const ringside::testing::TemporaryFolder scratch_;
};

TEST_F(FolderCalls, NamesBelowAreReadAndWritten) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock of version 2";
  const auto outcome = [&](const std::function<int()>& attempt) {
    return by_landlock(Below::ReadAndWrite, attempt);
  };
  EXPECT_EQ(outcome([&] { return open("inside/file", O_RDWR | O_TRUNC); }), 0);
  EXPECT_EQ(outcome([&] { return open("inside/folder", O_RDONLY); }), 0);
  EXPECT_EQ(outcome([&] { return open("inside/new", O_RDWR | O_CREAT); }), 0);
  EXPECT_EQ(outcome([&] { return rename("inside/new", "inside/folder/moved"); }), 0);
  EXPECT_EQ(outcome([&] { return remove("inside/folder/moved"); }), 0);
}

TEST_F(FolderCalls, NoOtherNamesAreThere) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock of version 2";
  for (const Below below : {Below::Read, Below::ReadAndWrite}) {
    EXPECT_EQ(by_landlock(below, [&] { return open("outside/file", O_RDONLY); }), EACCES);
    EXPECT_EQ(by_landlock(below, [&] { return open("outside", O_RDONLY); }), EACCES);
    EXPECT_EQ(by_landlock(below, [&] { return open("outside/new", O_RDWR | O_CREAT); }), EACCES);
    EXPECT_EQ(by_landlock(below, [] { return error_of(::open("/dev/null", O_RDWR)); }), EACCES);
    EXPECT_NE(by_landlock(below, [&] { return rename("inside/file", "outside/moved"); }), 0);
    EXPECT_NE(by_landlock(below, [&] { return rename("outside/file", "inside/moved"); }), 0);
  }
}

TEST_F(FolderCalls, NamesBelowAreReadAlone) {
  if (!has_landlock()) GTEST_SKIP() << "this kernel has no Landlock of version 2";
  const auto outcome = [&](const std::function<int()>& attempt) {
    return by_landlock(Below::Read, attempt);
  };
  EXPECT_EQ(outcome([&] { return open("inside/file", O_RDONLY); }), 0);
  EXPECT_EQ(outcome([&] { return open("inside/folder", O_RDONLY); }), 0);
  EXPECT_EQ(outcome([&] { return open("inside/file", O_RDWR); }), EACCES);
  EXPECT_EQ(outcome([&] { return open("inside/new", O_RDWR | O_CREAT); }), EACCES);
  EXPECT_EQ(outcome([&] { return remove("inside/file"); }), EACCES);
}

TEST_F(FolderCalls, FilesAreChangedWhereThatIsWanted) {
  if (!has_filter()) GTEST_SKIP() << "this host filters no system calls";
  const std::function<int()> kChanges[] = {
      [&] { return open("inside/file", O_RDWR); },
      [&] { return open("inside/new", O_RDONLY | O_CREAT); },
      [&] { return rename("inside/file", "inside/moved"); },
      [&] { return error_of(::mkdirat(AT_FDCWD, path("inside/made").c_str(), 0755)); },
      [&] { return error_of(::fchmodat(AT_FDCWD, path("inside/moved").c_str(), 0600, 0)); },
      [&] { return remove("inside/moved"); }};
  for (const auto& change : kChanges)
    EXPECT_EQ(by_filter(Below::Read, change), EPERM);
  for (const auto& change : kChanges)
    EXPECT_EQ(by_filter(Below::ReadAndWrite, change), 0);
}

TEST_F(FolderCalls, FilesAreAllThereIs) {
  if (!has_filter()) GTEST_SKIP() << "this host filters no system calls";
  for (const Below below : {Below::Read, Below::ReadAndWrite}) {
    EXPECT_EQ(by_filter(below, [&] { return open("inside/file", O_RDONLY); }), 0);
    EXPECT_EQ(by_filter(below,
                        [&] {
                          struct statfs system {};
                          const Fd file(::open(path("inside").c_str(), O_RDONLY));
                          return error_of(::fstatfs(file.get(), &system));
                        }),
              0);
    for (const int family : {AF_UNIX, AF_INET, AF_NETLINK})
      EXPECT_EQ(by_filter(below, [=] { return error_of(::socket(family, SOCK_DGRAM, 0)); }), EPERM);
    EXPECT_EQ(by_filter(below, testing::connect_by_sending), kKilled);
    EXPECT_EQ(by_filter(below, testing::connect_by_sending_a_message), kKilled);
    EXPECT_EQ(by_filter(below, testing::send_to_an_address), EPERM);
    EXPECT_EQ(by_filter(below, [] { return error_of(::fork()); }), EPERM);
    EXPECT_EQ(by_filter(below, [] { return error_of(::kill(::getppid(), 0)); }), EPERM);
    EXPECT_EQ(by_filter(below, [] { return error_of(::chdir("/")); }), EPERM);
    EXPECT_EQ(by_filter(below,
                        [] {
                          char name[] = "/bin/true";
                          char* const arguments[] = {name, nullptr};
                          return error_of(::execve(name, arguments, nullptr));
                        }),
              kKilled);
  }
}

}  // namespace
}  // namespace ringside::sandbox

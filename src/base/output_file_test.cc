#include "base/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/testing/temporary_folder.h"

namespace ringside {
namespace {

class OutputFile : public ::testing::Test {
 protected:
  // Empty: "x" was written.
  std::string write_to(const std::string& path) {
    const mode_t before = ::umask(0);
    const Result<Fd> file = open_output(path);
    ::umask(before);
    if (!file) return file.error().text();
    return ::write(file->get(), "x", 1) == 1 ? "" : "not written";
  }
  static std::string content(const std::string& path) {
    std::ifstream stream(path);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static unsigned mode(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  const std::string file_ = folder_ + "/file";
};

TEST_F(OutputFile, IsMadeForItsOwnerAlone) {
  EXPECT_EQ(write_to(file_), "");
  EXPECT_EQ(mode(file_), 0600u);
}

TEST_F(OutputFile, IsEmptiedAndKeepsItsMode) {
  std::ofstream(file_) << "what was there";
  ASSERT_EQ(::chmod(file_.c_str(), 0640), 0);
  EXPECT_EQ(write_to(file_), "");
  EXPECT_EQ(content(file_), "x");
  EXPECT_EQ(mode(file_), 0640u);
}

TEST_F(OutputFile, FollowsNoLink) {
  std::ofstream(folder_ + "/other") << "kept";
  std::filesystem::create_symlink("other", file_);
  EXPECT_EQ(write_to(file_),
            "cannot write '" + file_ + "': it is a symbolic link; name the file itself");
  EXPECT_EQ(content(folder_ + "/other"), "kept");
  const std::string dangling = folder_ + "/dangling";
  std::filesystem::create_symlink("nothing", dangling);
  EXPECT_EQ(write_to(dangling),
            "cannot write '" + dangling + "': it is a symbolic link; name the file itself");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/nothing"));
}

// Anybody makes files and links in /dev/shm, and in /proc/self/cwd whoever may in that directory.
TEST_F(OutputFile, FollowsNoLinkInPlacesOfTheSystemEither) {
  std::ofstream(folder_ + "/other") << "kept";
  const auto is_kept = [&](const std::string& link) {
    EXPECT_EQ(write_to(link),
              "cannot write '" + link + "': it is a symbolic link; name the file itself");
    EXPECT_EQ(content(folder_ + "/other"), "kept");
  };
  const int folder = ::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  std::filesystem::create_symlink(folder_ + "/other", folder_ + "/1");
  is_kept("/proc/self/fd/" + std::to_string(folder) + "/1");
  is_kept("/dev/fd/" + std::to_string(folder) + "/1");
  ::close(folder);
  const std::string shared =
      "/dev/shm/" + std::filesystem::path(folder_).filename().string() + "-output";
  std::error_code none;
  std::filesystem::create_symlink(folder_ + "/other", shared, none);
  if (none) GTEST_SKIP() << "there is no /dev/shm";
  is_kept(shared);
  std::filesystem::remove(shared);
}

// What is no file is what somebody wants to see: /dev/stdout is a link to a link.
TEST_F(OutputFile, MayBeADeviceAndALinkOfTheSystems) {
  EXPECT_EQ(write_to("/dev/null"), "");
  std::ofstream(file_) << "before";
  const int standard = ::dup(STDOUT_FILENO);
  const Result<Fd> target = open_output(file_);
  ASSERT_TRUE(target);
  ::dup2(target->get(), STDOUT_FILENO);
  const std::string said = write_to("/dev/stdout");
  ::dup2(standard, STDOUT_FILENO);
  ::close(standard);
  EXPECT_EQ(said, "");
  EXPECT_EQ(content(file_), "x");
}

TEST_F(OutputFile, IsNotAnothersWhoCouldReadIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  std::ofstream(file_) << "kept";
  ASSERT_EQ(::chown(file_.c_str(), 1, 1), 0);
  EXPECT_EQ(write_to(file_),
            "cannot write '" + file_ + "': it is another user's, who could read what is written");
  EXPECT_EQ(content(file_), "kept");
}

TEST_F(OutputFile, IsNotAnothersInPlacesOfTheSystemEither) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const std::string shared =
      "/dev/shm/" + std::filesystem::path(folder_).filename().string() + "-output";
  if (!(std::ofstream(shared) << "kept")) GTEST_SKIP() << "there is no /dev/shm";
  EXPECT_EQ(::chown(shared.c_str(), 1, 1), 0);
  EXPECT_EQ(write_to(shared),
            "cannot write '" + shared + "': it is another user's, who could read what is written");
  EXPECT_EQ(content(shared), "kept");
  std::filesystem::remove(shared);
}

TEST_F(OutputFile, IsNotAnothersFifo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::mkfifo(file_.c_str(), 0666), 0);
  const Fd reader(::open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_EQ(write_to(file_), "");
  ASSERT_EQ(::chown(file_.c_str(), 1, 1), 0);
  EXPECT_EQ(write_to(file_),
            "cannot write '" + file_ + "': it is another user's, who could read what is written");
}

TEST_F(OutputFile, ErrorsNameIt) {
  const std::string nowhere = folder_ + "/none/file";
  EXPECT_EQ(write_to(nowhere), "cannot write '" + nowhere + "': No such file or directory");
  EXPECT_EQ(write_to(folder_), "cannot write '" + folder_ + "': Is a directory");
}

}  // namespace
}  // namespace ringside

// The file for perf, in a folder that everybody may write to.
#include "cli/start/perf_map.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/log.h"

namespace ringside::cli {
namespace {

using ::testing::HasSubstr;

class PerfMapFile : public testing::Test {
 protected:
  PerfMapFile()
      : folder_(testing::TempDir() + "perf_map_test." + std::to_string(::getpid()) + "/"),
        path_(folder_ + "perf-1.map"),
        victim_(folder_ + "victim") {
    ::mkdir(folder_.c_str(), 0700);
  }
  ~PerfMapFile() override {
    for (const std::string& path : {path_, victim_}) {
      ::unlink(path.c_str());
      ::rmdir(path.c_str());
    }
    ::rmdir(folder_.c_str());
  }
  static std::string content_of(const std::string& path) {
    std::ifstream stream(path);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static void fill(const std::string& path, const std::string& content) {
    std::ofstream(path) << content;
  }
  std::string folder_, path_, victim_;
};

TEST_F(PerfMapFile, HasALineForEachPieceOfCode) {
  auto map = PerfMap::create(path_);
  ASSERT_TRUE(map) << map.error().text();
  map->written(reinterpret_cast<const void*>(0x7f0012345000), 0x240, "stub_enter");
  map->written(reinterpret_cast<const void*>(0x7f0012345240), 31, "guest 0xffffffff81000123");
  EXPECT_EQ(content_of(path_),
            "7f0012345000 240 stub_enter\n"
            "7f0012345240 1f guest 0xffffffff81000123\n");
  map->thrown_away();
  map->written(reinterpret_cast<const void*>(0x7f0012345240), 32, "guest 0x1000");
  EXPECT_EQ(content_of(path_), "7f0012345240 20 guest 0x1000\n");
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0600u);
}

TEST_F(PerfMapFile, TakesThePlaceOfAnOlderOne) {
  fill(path_, "old");
  const Fd reader(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  auto map = PerfMap::create(path_);
  ASSERT_TRUE(map) << map.error().text();
  map->written(nullptr, 1, "x");
  EXPECT_EQ(content_of(path_), "0 1 x\n");
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'o') << "the old file was written to";
}

TEST_F(PerfMapFile, FollowsNoLinks) {
  fill(victim_, "precious");
  ASSERT_EQ(::symlink(victim_.c_str(), path_.c_str()), 0);
  auto map = PerfMap::create(path_);
  ASSERT_TRUE(map) << map.error().text();
  map->written(nullptr, 1, "x");
  EXPECT_EQ(content_of(victim_), "precious");
  ::unlink(path_.c_str());
  ::unlink(victim_.c_str());
  // Nor does it make a file where one leads that has no end.
  ASSERT_EQ(::symlink(victim_.c_str(), path_.c_str()), 0);
  ASSERT_TRUE(PerfMap::create(path_));
  EXPECT_NE(::access(victim_.c_str(), F_OK), 0);
}

TEST_F(PerfMapFile, LeavesOtherPeoplesThingsAlone) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  const auto refused = PerfMap::create(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(), "--perf-map: " + path_ + ": File exists");
  ::rmdir(path_.c_str());

  constexpr uid_t kOther = 12345;
  fill(path_, "other");
  if (::lchown(path_.c_str(), kOther, kOther) != 0)
    GTEST_SKIP() << "only root can make other people's files";
  EXPECT_FALSE(PerfMap::create(path_));
  EXPECT_EQ(content_of(path_), "other");
}

// A disk that is full, or a limit of the host's, takes a part of a line.
TEST_F(PerfMapFile, SaysWhyALineHasNoRoom) {
  auto map = PerfMap::create(path_);
  ASSERT_TRUE(map) << map.error().text();
  std::vector<std::string> said;
  log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); },
                log::Level::Warning);
  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const struct rlimit little = {8, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &little);
  map->written(nullptr, 1, "x");
  errno = 0;
  map->written(nullptr, 1, "y");
  map->written(nullptr, 1, "z");
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  log::set_sink(nullptr, log::Level::Warning);
  EXPECT_THAT(said, ::testing::ElementsAre("--perf-map: " + path_ +
                                           ": File too large; no more code is named in it"));
  EXPECT_EQ(content_of(path_), "0 1 x\n0 ");
}

TEST_F(PerfMapFile, NamesWhatItCannotMake) {
  const auto map = PerfMap::create(folder_ + "no/such/place");
  ASSERT_FALSE(map);
  EXPECT_THAT(map.error().text(), HasSubstr("no/such/place: No such file or directory"));
}

}  // namespace
}  // namespace ringside::cli

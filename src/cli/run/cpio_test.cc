#include "cli/run/cpio.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

namespace ringside::cli {
namespace {

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Entry by entry, as the kernel's page on the format has them.
TEST(Cpio, HasTheBytesOfTheFormat) {
  CpioArchive archive;
  archive.add_directory("bin");
  ASSERT_TRUE(archive.add_file("bin/a", 0755, "hello"));
  archive.add_link("l", "bin/a");
  archive.add_node("c", S_IFCHR | 0600, 5, 1);
  const std::string none(8, '0');
  const auto entry = [&](const char* inode, const char* mode, const char* size, const char* major,
                         const char* minor, const char* length) {
    return std::string("070701") + inode + mode + none + none + "00000001" + none + size + none +
           none + major + minor + length + none;
  };
  using namespace std::string_literals;
  EXPECT_EQ(
      text_of(std::move(archive).finish()),
      entry("00000001", "000041ed", "00000000", "00000000", "00000000", "00000004") + "bin\0\0\0"s +
          entry("00000002", "000081ed", "00000005", "00000000", "00000000", "00000006") +
          "bin/a\0hello\0\0\0"s +
          entry("00000003", "0000a1ff", "00000005", "00000000", "00000000", "00000002") +
          "l\0bin/a\0\0\0"s +
          entry("00000004", "00002180", "00000000", "00000005", "00000001", "00000002") + "c\0"s +
          entry("00000000", "00000000", "00000000", "00000000", "00000000", "0000000b") +
          "TRAILER!!!\0\0\0\0"s);
}

}  // namespace
}  // namespace ringside::cli

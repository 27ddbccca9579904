#include "base/folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/plain_text.h"
#include "base/testing/temporary_folder.h"

namespace ringside {
namespace {

class FolderTest : public ::testing::Test {
 protected:
  // Empty: there is room.
  std::string check(const std::string& name) {
    const Result<void> done = opened_->check(name, FileKind::Profile);
    return done ? "" : done.error().text();
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  const std::string taken_ = " is there already, and is not a profile";
  const std::unique_ptr<OpenFolder> opened_ =
      OpenFolder::open(folder_, "the directory of --files").value();
};

TEST_F(FolderTest, IsThereForANewNameAndForOneOfOurs) {
  EXPECT_EQ(check("new"), "");
  EXPECT_EQ(check("a name with blanks"), "");
  std::ofstream(folder_ + "/ours") << beginning_of(FileKind::Profile);
  EXPECT_EQ(check("ours"), "");
}

TEST_F(FolderTest, WhatIsNotANameIsRefused) {
  EXPECT_EQ(check(""), "a file name is missing");
  EXPECT_EQ(check(".."),
            "'..' is no plain file name: all go into the directory of --files, " + folder_);
  EXPECT_EQ(
      check("/etc/passwd"),
      "'/etc/passwd' is no plain file name: all go into the directory of --files, " + folder_);
  EXPECT_EQ(check("a/b"),
            "'a/b' is no plain file name: all go into the directory of --files, " + folder_);
  const std::string_view no_text[] = {{"a\0b", 3}, "\x1b[31mred", "a\nb",
                                      "\x7f",      "\xff",        "\xc2\x9b"};
  for (const std::string_view name : no_text) {
    EXPECT_EQ(
        check(std::string(name)),
        "the name of a file is UTF-8 without control characters, not '" + plain_lines(name) + "'");
  }
  EXPECT_EQ(check("Ger\xc3\xa4t"), "");
  EXPECT_EQ(check(std::string(300, 'x')), "'" + std::string(300, 'x') + "': File name too long");
  EXPECT_EQ(check(std::string(255, 'x')), "");
}

TEST_F(FolderTest, WhatIsNotOursIsNotReplaced) {
  std::ofstream(folder_ + "/other") << "theirs";
  EXPECT_EQ(check("other"), "'other'" + taken_);
  { const std::ofstream empty(folder_ + "/empty"); }
  EXPECT_EQ(check("empty"), "'empty'" + taken_);
  std::filesystem::create_directory(folder_ + "/directory");
  EXPECT_EQ(check("directory"), "'directory'" + taken_);
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(check("fifo"), "'fifo'" + taken_);
  std::ofstream(folder_ + "/ours") << beginning_of(FileKind::Profile);
  std::filesystem::create_symlink("ours", folder_ + "/link");
  EXPECT_EQ(check("link"), "'link'" + taken_);
  std::filesystem::create_symlink("/dev/full", folder_ + "/full");
  EXPECT_EQ(check("full"), "'full'" + taken_);
}

// A core is more than an ELF file, and bytes of memory are nothing that could be told.
TEST_F(FolderTest, KindsAreToldByWhatTheyBeginWith) {
  const auto check_content = [&](std::string_view content, FileKind kind) {
    std::ofstream(folder_ + "/file", std::ios::trunc) << content;
    return opened_->check("file", kind).has_value();
  };
  for (const FileKind kind :
       {FileKind::SavedMachine, FileKind::Trace, FileKind::Profile, FileKind::CallTrace}) {
    const std::string begin(beginning_of(kind));
    EXPECT_TRUE(check_content(begin, kind)) << begin;
    EXPECT_TRUE(check_content(begin + "more", kind)) << begin;
    EXPECT_FALSE(check_content(begin.substr(1), kind)) << begin;
    EXPECT_FALSE(check_content(begin.substr(0, begin.size() - 1), kind)) << begin;
    EXPECT_FALSE(check_content(begin, FileKind::Core)) << begin;
    EXPECT_FALSE(check_content(begin, FileKind::Memory)) << begin;
  }
  std::string elf(
      "\x7f"
      "ELF",
      4);
  elf.resize(64);
  elf[16] = 2;  // a program
  EXPECT_FALSE(check_content(elf, FileKind::Core));
  elf[16] = 4;
  EXPECT_TRUE(check_content(elf, FileKind::Core));
  EXPECT_FALSE(check_content(elf.substr(0, 63), FileKind::Core));
}

TEST_F(FolderTest, ModulesAreFoundByTheirNames) {
  std::ofstream(folder_ + "/virtio.ko") << "module";
  std::ofstream(folder_ + "/virtio") << "other";
  std::filesystem::create_directory(folder_ + "/folder.ko");
  EXPECT_TRUE(opened_->open_module("virtio.ko"));
  EXPECT_FALSE(opened_->open_module("virtio"));
  EXPECT_FALSE(opened_->open_module("folder.ko"));
  EXPECT_FALSE(opened_->open_module("none.ko"));
  EXPECT_FALSE(opened_->open_module("../x.ko"));
}

}  // namespace
}  // namespace ringside

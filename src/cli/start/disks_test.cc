#include "cli/start/disks.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/testing/temporary_folder.h"
#include "time/past_disk.h"

namespace ringside::cli {
namespace {

class OpenedImages : public ::testing::Test {
 protected:
  std::string file(const char* name, std::size_t size) const {
    std::string path = scratch_ / name;
    std::ofstream(path) << std::string(size, '\0');
    return path;
  }
  static std::string refusal(std::vector<DiskOption> disks,
                             std::optional<DiskOption> variables = std::nullopt) {
    Options options;
    options.disks = std::move(disks);
    options.firmware_vars = std::move(variables);
    const Result<Images> images =
        open_images(options, *connect_disks(options, Access::AsGiven), Access::AsGiven);
    return images ? "" : images.error().text();
  }

  const ringside::testing::TemporaryFolder scratch_;
};

TEST_F(OpenedImages, OneFileIsNotWrittenToAsTwo) {
  const std::string one = file("one", 8192), other = file("other", 8192), link = scratch_ / "link";
  std::filesystem::create_symlink(one, link);
  const std::string end = "; each needs its own, unless both are ,ro or ,snapshot";
  EXPECT_EQ(refusal({{one}, {other}}), "");
  EXPECT_EQ(refusal({{one}, {other}, {one}}),
            "disk image " + one + " is the same file as that of -d " + one + end);
  EXPECT_EQ(refusal({{one}, {link, true}}),
            "disk image " + link + " is the same file as that of -d " + one + end);
  EXPECT_EQ(refusal({{link}}, DiskOption{one}),
            "--firmware-vars: " + one + " is the same file as that of -d " + link + end);
  EXPECT_EQ(refusal({{one, true}, {link, false, true}}, DiskOption{one, true}), "");
}

TEST_F(OpenedImages, OneExportIsNotWrittenToAsTwo) {
  const auto refusal_of = [](std::vector<DiskOption> disks) {
    Options options;
    options.disks = std::move(disks);
    return connect_disks(options, Access::AsGiven).error().text();
  };
  const std::string socket = scratch_ / "none", one = "nbd+unix:" + socket;
  for (const std::string& other :
       {one, "nbd+unix:" + (scratch_ / "./none").string(), "nbd+unix:///?socket=" + socket}) {
    EXPECT_EQ(refusal_of({{one}, {other, true}}),
              fmt::format("disk {} is the same export as that of -d {}; each needs its own, unless "
                          "both are ,ro or ,snapshot",
                          other, one));
  }
  const std::string alone = "disk " + one + ": ";  // nobody serves it
  EXPECT_EQ(refusal_of({{one, true}, {one, false, true}}).substr(0, alone.size()), alone);
  EXPECT_EQ(refusal_of({{one}, {"nbd+unix:///e?socket=" + socket}}).substr(0, alone.size()), alone);
}

TEST_F(OpenedImages, AFileThatAnotherMachineHasIsInUse) {
  Options there;
  there.disks = {{file("one", 8192)}};
  const Result<Images> images =
      open_images(there, *connect_disks(there, Access::AsGiven), Access::AsGiven);
  ASSERT_TRUE(images);
  const std::string path = there.disks.front().path;
  EXPECT_EQ(refusal({{path}}), "disk image " + path + " is in use by another machine");
}

TEST_F(OpenedImages, VariablesAreWholePages) {
  for (const std::size_t size : {0, 1, 512, 4097, 16 << 20}) {
    const std::string path = file("variables", size);
    EXPECT_EQ(refusal({}, DiskOption{path}),
              "--firmware-vars: " + path + " has " + std::to_string(size) +
                  " bytes; it must be whole 4 KiB pages, less than 16M of them, such as the "
                  "template that came with the firmware");
  }
  EXPECT_EQ(refusal({}, DiskOption{file("variables", 4096)}), "");
}

// Also beneath what lies over an image, until the guest has written there.
TEST_F(OpenedImages, KnowTheHolesOfTheirFiles) {
  constexpr std::uint64_t kMiB = 1u << 20;
  const std::string path = file("sparse", 0);
  std::filesystem::resize_file(path, 8 * kMiB);
  std::fstream(path).seekp(3 * kMiB).put('x');
  Options options;
  options.disks = {{path, true}, {path, false, true}};
  const Images images =
      *open_images(options, *connect_disks(options, Access::AsGiven), Access::AsGiven);
  if (images[0]->after_hole(0) == 0) GTEST_SKIP() << "this file system knows of no holes";
  time::PastDisk over(images[0], 0);
  for (machine::BlockBackend* disk :
       {images[0].get(), images[1].get(), static_cast<machine::BlockBackend*>(&over)}) {
    EXPECT_EQ(disk->after_hole(0), 3 * kMiB);
    EXPECT_EQ(disk->after_hole(3 * kMiB), 3 * kMiB);
    EXPECT_EQ(disk->after_hole(4 * kMiB), 8 * kMiB);
  }
  const std::vector<std::byte> sector(512, std::byte{1});
  ASSERT_TRUE(write_all(*images[1], 0, sector));
  EXPECT_EQ(images[1]->after_hole(0), 0u);
  over.enter_past();
  ASSERT_TRUE(write_all(over, 0, sector));
  EXPECT_EQ(over.after_hole(0), 0u);
}

}  // namespace
}  // namespace ringside::cli

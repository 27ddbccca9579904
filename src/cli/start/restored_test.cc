#include "cli/start/restored.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/temporary_folder.h"
#include "cli/start/disks.h"

namespace ringside::cli {
namespace {

class Restored : public ::testing::Test {
 protected:
  Restored() { write("as it was"); }
  void write(const std::string& text) { std::ofstream(path_) << text; }
  time::SavedDisk saved_file() const { return look_at({path_}).value(); }
  static std::string refusal(const time::SavedOptions& saved) {
    Options given;
    given.cpus = saved.vcpus;
    const Result<Options> options = as_saved(given, saved);
    return options ? "" : options.error().text();
  }

  const ringside::testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "file";
};

TEST_F(Restored, AChangedFileOfVariablesIsNoDiskImage) {
  time::SavedOptions saved;
  saved.firmware_vars = {saved_file()};
  EXPECT_EQ(refusal(saved), "");
  write("longer than it was");
  EXPECT_EQ(refusal(saved), "--firmware-vars: " + path_ +
                                " has changed since the machine was saved, and the guest knows "
                                "other content; --firmware-vars FILE takes a file of the same size "
                                "as it is");
  std::filesystem::remove(path_);
  EXPECT_EQ(refusal(saved), "--firmware-vars: " + path_ + ": No such file or directory");
}

TEST_F(Restored, HasTheKernelThatItsFirmwareWasGiven) {
  time::SavedOptions saved;
  saved.kernel_files = {saved_file(), saved_file()};
  saved.kernel_command_line = "quiet";
  Options given;
  given.cpus = saved.vcpus;
  const Options options = as_saved(given, saved).value();
  EXPECT_EQ(options.kernel, path_);
  EXPECT_EQ(options.modules.at(0).path, path_);
  EXPECT_EQ(options.append, "quiet");
  write("longer than it was");
  EXPECT_EQ(refusal(saved), "kernel " + path_ +
                                ", which the firmware was given, has changed since the machine was "
                                "saved, and the guest may know other content");
}

TEST_F(Restored, HasTheProcessorThatItHad) {
  using hypervisor::Processor;
  time::SavedOptions saved;
  saved.processor = Processor::V3;
  Options given;
  given.cpus = saved.vcpus;
  EXPECT_EQ(as_saved(given, saved).value().processor, Processor::V3);
  given.processor = Processor::V2;
  EXPECT_EQ(as_saved(given, saved).error().text(), "--cpu: the saved machine has v3");
}

TEST_F(Restored, AChangedDiskImageIsNamedAsOne) {
  time::SavedOptions saved;
  saved.disks = {saved_file()};
  write("longer than it was");
  EXPECT_EQ(refusal(saved), "disk image " + path_ +
                                " has changed since the machine was saved, and the guest knows "
                                "other content; -d FILE for each disk takes images of the same "
                                "sizes as they are");
}

}  // namespace
}  // namespace ringside::cli

#include "cli/monitor/dump_command.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "base/testing/temporary_folder.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::cli {
namespace {

class Dump : public ::testing::Test {
 protected:
  Dump() {
    vm_.memory().add_ram({0}, 0x100000);
    vm_.memory().poke<int>({0x5000}, 5);
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  hypervisor::testing::FakeVm vm_;
  const std::unique_ptr<OpenFolder> opened_ = OpenFolder::open(folder_).value();
};

TEST_F(Dump, IsThereWhenItIsWhole) {
  const Result<void> done = dump({*opened_, "core"}, {vm_}, [] { return ""; });
  EXPECT_TRUE(done) << done.error().text();
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/core"));
}

TEST_F(Dump, IsGivenUpWhenTheProcessIsToEnd) {
  unsigned asked = 0;
  const auto interruption = [&asked] { return ++asked < 2 ? "" : "SIGTERM"; };
  const Result<void> done = dump({*opened_, "core"}, {vm_}, interruption);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().text(), "given up, because SIGTERM has come");
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace ringside::cli

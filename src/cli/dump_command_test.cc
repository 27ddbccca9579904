#include "cli/dump_command.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::cli {
namespace {

class Dump : public ::testing::Test {
 protected:
  Dump() {
    std::filesystem::create_directory(folder_);
    opened_ = std::move(OpenFolder::open(folder_).value());
    vm_.memory().add_ram({0}, 0x100000);
    vm_.memory().poke<int>({0x5000}, 5);
  }
  ~Dump() override { std::filesystem::remove_all(folder_); }

  const std::string folder_ = ::testing::TempDir() + "ringside-dump-" + std::to_string(::getpid());
  hypervisor::testing::FakeVm vm_;
  std::unique_ptr<OpenFolder> opened_;
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

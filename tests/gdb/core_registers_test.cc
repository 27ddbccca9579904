// A core's vector registers and protection keys under stock GDB: what it shows of the core is what
// it showed of the running guest.
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kShown[] = {
    "info registers float", "info registers mxcsr pkru", "p/x $ymm0", "p/x $ymm3",
    "p/x $ymm15",           "p/x $xmm3.uint128",         "p/x $st0",  "p/x $fiseg"};

class CoreRegisters : public Dialogue {
 protected:
  void SetUp() override {
    Dialogue::SetUp();
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  // Answers, one for each thread and each of kShown.
  static std::vector<std::string> shown(GdbSession& gdb) {
    std::vector<std::string> answers;
    for (const char* thread : {"thread 1", "thread 2"}) {
      gdb.command(thread);
      for (const char* command : kShown) {
        const std::string answer = gdb.command(command);
        const std::size_t value = answer.find(" = ");  // behind it: not the history's number
        answers.push_back(value == answer.npos ? answer : answer.substr(value));
      }
    }
    return answers;
  }
  const std::string folder_ =
      ::testing::TempDir() + "ringside-core-registers-" + std::to_string(::getpid());
};

TEST_F(CoreRegisters, AreThoseOfTheGuest) {
  if (engine() != "soft") GTEST_SKIP() << "not every host has AVX and protection keys";
  begin("counters", {.cpus = 2,
                     .start = GuestOptions::Start::Running,
                     .arguments = {"--cpu", "v3", "--files", folder_}});
  connect();
  for (const char* value :
       {"$ymm3.v8_int32[1] = 0x1234", "$ymm3.v8_int32[7] = 0x789", "$ymm15.v8_float[6] = 1.5",
        "$pkru = 0xd555555c", "$mxcsr = 0x1fa0", "$st0 = 2.5", "$ftag = 0xfffc", "$fiseg = 0x10"})
    gdb(std::string("set var ") + value);
  ASSERT_THAT(gdb("thread 2"), HasSubstr("Switching"));
  gdb("set var $ymm0.v4_int64[2] = 0x123456789abcdef");
  const std::vector<std::string> live = shown(*gdb_);
  EXPECT_THAT(live[1], HasSubstr("0xd555555c"));
  EXPECT_THAT(live[std::size(kShown) + 2], HasSubstr("0x123456789abcdef"));
  EXPECT_THAT(gdb("monitor dump-guest-memory core"), HasSubstr("dumped"));

  GdbSession of_core(guest_->image().path());
  EXPECT_THAT(of_core.command("core-file " + folder_ + "/core"), HasSubstr("LWP"));
  EXPECT_EQ(shown(of_core), live);
}

}  // namespace
}  // namespace ringside::testing

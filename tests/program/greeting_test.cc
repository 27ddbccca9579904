// A debugger that starts ringside through a pipe (`target remote | ringside -G wstdio KERNEL`) is
// answered before the kernel is loaded, however long that takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>

#include "base/testing/temporary_folder.h"
#include "support/child_process.h"
#include "support/guest_image.h"
#include "support/raw_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
constexpr auto kOutput = ChildProcess::Stream::Output;
constexpr auto kError = ChildProcess::Stream::Error;

// A module that comes through a pipe, and so only when the test lets it.
class Greeting : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkfifo(module().c_str(), 0600), 0);
    program_.emplace(std::vector<std::string>{RINGSIDE_PROGRAM, "-e", "soft", "-s", "none", "-G",
                                              "wstdio", "-i", module(), image_.path()});
  }
  std::string module() const { return folder_ / "module"; }
  void let_it_load() { std::ofstream(module()) << "a module"; }
  std::string said(std::string_view awaited) {
    program_->await(kOutput, awaited);
    return program_->text(kOutput);
  }
  static std::string supported() { return RawClient::frame("qSupported:multiprocess+"); }

  const TemporaryFolder folder_;
  GuestImage image_{"counters"};
  std::optional<ChildProcess> program_;
};

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; at += what.size())
    ++n;
  return n;
}

TEST_F(Greeting, ComesBeforeTheKernel) {
  program_->write_input(supported());
  EXPECT_THAT(said("multiprocess+#"), StartsWith("+$PacketSize="));
  program_->write_input("+" + RawClient::frame("vMustReplyEmpty"));
  said("$#00");
  program_->write_input("+" + RawClient::frame("QStartNoAckMode"));
  said("$OK#9a");
  // This needs the machine, and is answered when there is one.
  program_->write_input("+" + RawClient::frame("?") + RawClient::frame("qC"));
  EXPECT_THAT(program_->text(kError), Not(HasSubstr("gdb: listening")));
  let_it_load();
  EXPECT_THAT(said("QCp01.01"), HasSubstr("$T05thread:p01.01;#"));
  EXPECT_THAT(program_->text(kError), HasSubstr("gdb: listening on stdio"));
  // What was agreed holds: no acknowledgement came since.
  const std::string all = program_->text(kOutput);
  EXPECT_EQ(all.find('+', all.find("$OK#9a")), std::string::npos) << all;
}

// GDB repeats a packet whose acknowledgement it misses for two seconds.
TEST_F(Greeting, ARepeatedPacketIsAnsweredOnce) {
  program_->write_input(supported() + supported() + supported());
  said("multiprocess+#");
  program_->write_input("+" + RawClient::frame("QStartNoAckMode") +
                        RawClient::frame("QStartNoAckMode"));
  said("$OK#9a");
  program_->write_input("+" + RawClient::frame("?"));
  let_it_load();
  const std::string all = said("$T05thread:p01.01;#");
  EXPECT_EQ(count(all, "$PacketSize="), 1u) << all;
  EXPECT_EQ(count(all, "$OK#9a"), 1u) << all;
}

TEST_F(Greeting, AClientThatGoesMeanwhileIsGone) {
  program_->write_input(supported());
  said("multiprocess+#");
  program_->close_input();
  let_it_load();
  program_->await(kError, "gdb: listening on stdio");
  EXPECT_TRUE(program_->running());
}

}  // namespace
}  // namespace ringside::testing

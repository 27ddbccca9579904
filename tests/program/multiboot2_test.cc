// A kernel that only multiboot 2 starts (tests/guests/multiboot2.S) reads what it is told, and
// finds what a BIOS leaves.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

TEST(Multiboot2Program, ReadsItsTagsAndCallsABios) {
  SKIP_IF(host::no_engine(engine()));
  const std::string module = "/tmp/ringside-module-" + std::to_string(::getpid());
  std::ofstream(module) << "content";
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {RINGSIDE_PROGRAM, "-e", engine(),         "-a",
                                        "one two",        "-i", module + " three"};
    command.insert(command.end(), more.begin(), more.end());
    command.push_back(GuestImage("multiboot2").path());
    ChildProcess process(command);
    process.close_input();
    EXPECT_EQ(process.await_exit(), 1);  // off
    return process.text(ChildProcess::Stream::Output);
  };
  EXPECT_EQ(run({}), "one two\nthree\nc-");
  EXPECT_EQ(run({"--test-device"}), "one two\nthree\nct");
  ::unlink(module.c_str());
}

}  // namespace
}  // namespace ringside::testing

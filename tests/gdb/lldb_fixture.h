// LLDB against the real program, in each version that is installed: Debian's packages are called
// lldb-14, lldb-19 and so on, and one of them at a time may be lldb.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {

class LldbDialogue : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { SKIP_IF(host::no_program(GetParam())); }

  // What LLDB says to a script of commands, the first of which connects. A command that fails is
  // the last one.
  std::string talk(GuestProcess& guest, const std::vector<std::string>& commands) {
    std::vector<std::string> all = before_connecting;
    all.push_back("gdb-remote 127.0.0.1:" + std::to_string(guest.port()));
    all.insert(all.end(), commands.begin(), commands.end());
    std::vector<std::string> arguments{GetParam(), "--no-lldbinit", guest.image().path()};
    for (const std::string& command : all)
      arguments.insert(arguments.end(), {"-o", command});
    // Not --batch, which takes an end of history for a crash.
    arguments.insert(arguments.end(), {"-o", "quit"});
    ChildProcess process(arguments);
    process.close_input();
    process.await_exit();
    // Assertions go to either stream, and do not end it; what failed is on the second.
    std::string said =
        process.text(ChildProcess::Stream::Output) + process.text(ChildProcess::Stream::Error);
    EXPECT_THAT(said, ::testing::Not(::testing::HasSubstr("Assertion")));
    return said;
  }

  std::vector<std::string> before_connecting;
};

inline std::string lldb_name(const ::testing::TestParamInfo<const char*>& one) {
  std::string name = one.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace ringside::testing

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

// What an LLDB says to a script of commands. One that fails is the last one. LLDB 14 takes seconds
// to interrupt a guest through its API.
inline std::string lldb_says(const std::string& program, const std::string& image,
                             const std::vector<std::string>& commands,
                             const Deadline& deadline = Deadline(std::chrono::seconds(120))) {
  std::vector<std::string> arguments{program, "--no-lldbinit", image};
  for (const std::string& command : commands)
    arguments.insert(arguments.end(), {"-o", command});
  // Not --batch, which takes an end of history for a crash.
  arguments.insert(arguments.end(), {"-o", "quit"});
  ChildProcess process(arguments);
  process.close_input();
  process.await_exit(deadline);
  // Assertions go to either stream, and do not end it; what failed is on the second.
  std::string said =
      process.text(ChildProcess::Stream::Output) + process.text(ChildProcess::Stream::Error);
  EXPECT_THAT(said, ::testing::Not(::testing::HasSubstr("Assertion")));
  return said;
}

class LldbDialogue : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { SKIP_IF(host::no_program(GetParam())); }

  // The same, of which the first command connects.
  std::string talk(GuestProcess& guest, const std::vector<std::string>& commands) {
    std::vector<std::string> all = before_connecting;
    all.push_back("gdb-remote 127.0.0.1:" + std::to_string(guest.port()));
    all.insert(all.end(), commands.begin(), commands.end());
    return lldb_says(GetParam(), guest.image().path(), all);
  }

  std::vector<std::string> before_connecting;
};

inline std::string lldb_name(const ::testing::TestParamInfo<const char*>& one) {
  std::string name = one.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace ringside::testing

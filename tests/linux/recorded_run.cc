#include "linux/recorded_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <system_error>

namespace ringside::testing {

RecordedRun::~RecordedRun() {
  std::error_code ignored;
  std::filesystem::remove(journal_, ignored);
}

LinuxOptions RecordedRun::recorded(LinuxOptions options) const {
  if (is_possible_)
    options.arguments.insert(options.arguments.end(), {"--log", "debug", "--record", journal_});
  return options;
}

void RecordedRun::expect_repetition(const LinuxFiles& files, LinuxOptions options,
                                    ChildProcess& first) const {
  if (!is_possible_) return;
  const std::string state = state_of(first);
  EXPECT_THAT(state, ::testing::HasSubstr("hash"));
  options.arguments.insert(options.arguments.end(), {"--log", "debug", "--replay", journal_});
  LinuxGuest again(files, options);
  again.process().close_input();
  EXPECT_EQ(again.process().await_exit(boot_deadline()), 1);
  EXPECT_EQ(state_of(again.process()), state);
  EXPECT_EQ(again.process().text(ChildProcess::Stream::Output),
            first.text(ChildProcess::Stream::Output));
}

}  // namespace ringside::testing

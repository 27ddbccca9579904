// Every system call of ringside fails once: it ends, it says what is wrong where it cannot go on,
// and nothing is lost or left behind. RINGSIDE_FAULTS=N has the first N uses of each call fail,
// with every error that it can have; without it that is one, with the likeliest.
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "base/testing/temporary_folder.h"
#include "faults/calls.h"
#include "faults/scenario.h"
#include "support/guest_image.h"
#include "support/host.h"
#include "support/on_terminal.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

constexpr int kError = 4, kCannotTrace = 77;

// Empty: one.
unsigned effort() {
  const char* const text = std::getenv("RINGSIDE_FAULTS");
  return text == nullptr ? 0 : static_cast<unsigned>(std::max(0, std::atoi(text)));
}

std::string no_traced_calls() {
  const TemporaryFolder folder;
  ChildProcess probe({RINGSIDE_FAIL_ONCE, folder / "report", "none", "/bin/true"});
  return probe.await_exit() == kCannotTrace ? "no process may be traced here" : "";
}

// What fail_once has seen.
struct Report {
  std::map<std::pair<std::string, long>, unsigned> used;
  bool failed = false;
  std::vector<std::string> ends;  // of processes that a signal ended, or that are still there

  explicit Report(const std::string& path) {
    std::ifstream stream(path);
    for (std::string line; std::getline(stream, line);) {
      std::istringstream words(line);
      std::string word, process, how;
      words >> word >> process;
      if (word == "failed") failed = true;
      long call = 0;
      if (word == "used" && words >> call) words >> used[{process, call}];
      if (word == "ended" && words >> how && how == "signal") ends.push_back(line);
    }
  }
};

struct Fault {
  std::string process;
  const Call* call;
  unsigned number;
  int error;  // 0: only a part

  std::string argument() const {
    return process + ":" + std::to_string(call->number) + ":" + std::to_string(number) + ":" +
           std::to_string(error);
  }
  std::string words() const {
    const std::string use =
        "use " + std::to_string(number) + " of " + call->name + " in " + process;
    return error == 0 ? use + " does a part" : use + " fails with " + ::strerrorname_np(error);
  }
};

class Faults : public ::testing::TestWithParam<Scenario> {
 protected:
  void SetUp() override { SKIP_IF(no_traced_calls()); }

  const Scenario& scenario() const { return GetParam(); }
  std::string report() const { return outside_ / "report"; }

  // Nothing: it did not end.
  Outcome run(const std::string& fault) {
    const std::string folder = inside_.path();
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      std::filesystem::remove_all(entry);
    scenario().prepare(folder);
    std::vector<std::string> command = scenario().arguments(folder);
    command.insert(command.begin(), {RINGSIDE_FAIL_ONCE, report(), fault, RINGSIDE_PROGRAM});
    ChildProcess process(command);
    const Deadline deadline;
    try {
      scenario().use(process, folder);
    } catch (const std::exception& error) {
      // It may have gone or have sent its client away, but it may not be silent.
      EXPECT_FALSE(deadline.passed()) << error.what();
      if (fault == "none") ADD_FAILURE() << error.what();
      process.kill(SIGTERM);
    }
    return outcome_of(process);
  }

  // A file that the host does not let it remove, or say whose it is, stays.
  static bool cannot_remove(const std::optional<Fault>& fault) {
    constexpr std::array kCalls = {SYS_unlink, SYS_unlinkat, SYS_lstat, SYS_newfstatat};
    return fault && std::find(kCalls.begin(), kCalls.end(), fault->call->number) != kCalls.end();
  }

  void check(const Outcome& run, const std::optional<Fault>& fault) {
    const Report seen(report());
    for (const std::string& end : seen.ends)
      ADD_FAILURE() << end;
    EXPECT_TRUE(run.status == kError || scenario().statuses.count(run.status) != 0)
        << "status " << run.status;
    EXPECT_TRUE(run.status != kError || run.has("ringside: ")) << "no word of what is wrong";
    EXPECT_EQ(scenario().lost(run, inside_.path()), "");
    for (const auto& entry : std::filesystem::directory_iterator(inside_.path())) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(scenario().files.count(name) != 0 || cannot_remove(fault))
          << name << " is left behind";
    }
  }

  std::vector<Fault> faults(const Report& seen) const {
    std::vector<Fault> all;
    for (const auto& [use, count] : seen.used) {
      const bool idle = use.first == "child" && scenario().keeper == Keeper::Idle;
      if (idle && effort() == 0) continue;
      const Call* const call = find_call(use.second);
      EXPECT_NE(call, nullptr) << "calls.cc has no row for the system call " << use.second;
      if (call == nullptr) continue;
      for (unsigned number = 1; number <= std::min(count, std::max(1u, effort())); ++number) {
        std::vector<int> errors = call->errors;
        if (effort() == 0) errors.resize(std::min<std::size_t>(errors.size(), 1));
        if (call->part == Part::Possible) errors.push_back(0);
        for (const int error : errors)
          all.push_back({use.first, call, number, error});
      }
    }
    return all;
  }

  const TemporaryFolder inside_, outside_;
};

TEST_P(Faults, AreSurvivedOrSaid) {
  check(run("none"), std::nullopt);
  ASSERT_FALSE(HasFailure());
  unsigned came_about = 0;
  const std::vector<Fault> all = faults(Report(report()));
  for (const Fault& fault : all) {
    SCOPED_TRACE(fault.words());
    const auto begin = std::chrono::steady_clock::now();
    Outcome run;
    try {
      run = this->run(fault.argument());
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
      continue;
    }
    came_about += Report(report()).failed ? 1 : 0;
    check(run, fault);
    std::string said = run.error;
    std::replace(said.begin(), said.end(), '\n', '|');
    std::printf("%s: status %d, %lld ms: %s\n", fault.words().c_str(), run.status,
                static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                           std::chrono::steady_clock::now() - begin)
                                           .count()),
                said.c_str());
    std::fflush(stdout);
  }
  std::printf("%zu faults, %u of which came about\n", all.size(), came_about);
}

// A terminal has one mode for all that use it: the shell's comes back.
TEST(FaultsOnATerminal, GiveItBackAsItWas) {
  SKIP_IF(host::no_pseudo_terminals());
  SKIP_IF(no_traced_calls());
  const TemporaryFolder folder;
  const std::string report = folder / "report";
  const auto run = [&](const std::string& fault) {
    OnTerminal program({RINGSIDE_FAIL_ONCE, report, fault, RINGSIDE_PROGRAM, "-e", "soft", "-m",
                        "4M", GuestImage("counters").path()});
    // Where it has not got the keys, or the terminal not its words, something cannot be done.
    program.await_either("\n0", "annot ");
    if (!program.restored()) {
      program.type("\x01x");
      program.await_either("guest: switched off", "annot ");
    }
    if (program.seen().find("guest: switched off") == std::string::npos) program.signal(SIGTERM);
    const int status = program.await_end();
    EXPECT_TRUE(WIFEXITED(status) && (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == kError))
        << status << " after " << program.seen();
    EXPECT_TRUE(program.restored());
  };
  run("none");
  const Report seen(report);
  for (const long number : {SYS_ioctl, SYS_openat, SYS_write, SYS_ppoll, SYS_mmap}) {
    const Call* const call = find_call(number);
    const auto used = seen.used.find({"main", number});
    for (unsigned use = 1; used != seen.used.end() && use <= std::min(used->second, 4u); ++use) {
      const Fault fault{"main", call, use, call->errors.back()};
      SCOPED_TRACE(fault.words());
      run(fault.argument());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Faults, ::testing::ValuesIn(scenarios()),
                         [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace ringside::testing

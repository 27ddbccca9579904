// Hosts that forbid executable memory, or a part of it (tests/support/restricted.cc): the software
// CPU interprets there, says so in one line, and the guest is the same to the bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

constexpr const char* kNowhere = "";
const std::string kTranslates = "soft: translates hot code to host code\n";

struct Outcome {
  int status = 0;
  std::string output;
  std::vector<std::string> said;  // lines on stderr

  std::string line_with(std::string_view part) const {
    for (const std::string& line : said) {
      if (line.find(part) != std::string::npos) return line;
    }
    return "";
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

// The program on a host of that kind.
Outcome run_on(std::string_view host, const std::vector<std::string>& arguments) {
  std::vector<std::string> command;
  if (host != kNowhere) command = {RINGSIDE_RESTRICTED, std::string(host)};
  command.push_back(RINGSIDE_PROGRAM);
  command.insert(command.end(), arguments.begin(), arguments.end());
  ChildProcess process(command);
  process.close_input();
  Outcome outcome;
  outcome.status = process.await_exit();
  outcome.output = process.text(Stream::Output);
  outcome.said = lines_of(process.text(Stream::Error));
  return outcome;
}

// A guest that ends by itself and has loops that are translated.
std::vector<std::string> guest(std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.end(), {"-e", "soft", GuestImage("features").path()});
  return arguments;
}

class ExecutableMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "only the software CPU translates";
  }
};

// Everything is as elsewhere, but for one line, which is `warning`; none if that is empty.
void expect_same_guest(std::string_view host, const std::string& warning) {
  const Outcome usual = run_on(kNowhere, guest());
  Outcome here = run_on(host, guest());
  if (!warning.empty()) {
    EXPECT_EQ(here.line_with("interpreted"), warning);
    std::erase(here.said, warning);
  }
  EXPECT_EQ(here.said, usual.said);
  EXPECT_EQ(here.status, usual.status);
  EXPECT_EQ(here.output, usual.output);
  const auto state = [](const Outcome& outcome) { return outcome.line_with("state: "); };
  const std::string expected = state(run_on(kNowhere, guest({"--log", "debug"})));
  EXPECT_THAT(expected, HasSubstr(" instructions, hash "));
  EXPECT_EQ(state(run_on(host, guest({"--log", "debug"}))), expected);
}

constexpr const char* kInterpreted = "ringside: warning: every instruction is interpreted: ";

TEST_F(ExecutableMemory, ForbiddenByAFilter) {
  SKIP_IF(host::no_restriction("no-executable-memory:EPERM"));
  expect_same_guest(
      "no-executable-memory:EACCES",
      std::string(kInterpreted) + "the host forbids executable memory: mmap: Permission denied");
  expect_same_guest("no-executable-memory:EPERM",
                    std::string(kInterpreted) +
                        "the host forbids executable memory: mmap: Operation not permitted");
}

// On a host with this restriction everything is as elsewhere.
void expect_no_hindrance(const std::string& host) {
  SKIP_IF(host::no_restriction(host));
  expect_same_guest(host, "");
  EXPECT_THAT(run_on(host, {"--probe"}).output, HasSubstr(kTranslates));
}

TEST_F(ExecutableMemory, GainsNoRightsLater) { expect_no_hindrance("write-xor-execute"); }
TEST_F(ExecutableMemory, IsNoFile) { expect_no_hindrance("no-memory-files"); }
TEST_F(ExecutableMemory, IsNoProgram) { expect_no_hindrance("no-programs-in-memory"); }

TEST_F(ExecutableMemory, TheProbeTells) {
  SKIP_IF(host::no_restriction("no-executable-memory:EPERM"));
  EXPECT_THAT(run_on(kNowhere, {"--probe"}).output, HasSubstr(kTranslates));
  const Outcome forbidden = run_on("no-executable-memory:EPERM", {"--probe"});
  EXPECT_EQ(forbidden.status, 0);
  EXPECT_THAT(forbidden.output,
              HasSubstr("soft: interprets every instruction: the host forbids executable memory: "
                        "mmap: Operation not permitted\n"));
  EXPECT_THAT(forbidden.output, Not(HasSubstr(kTranslates)));
}

// No mapping of the running program is writable and executable, and the two of host code are there:
// shared memory that is no file.
TEST_F(ExecutableMemory, IsNeverWritableToo) {
  GuestProcess process("counters", {.start = GuestOptions::Start::Running});
  await_change(process, process["counters"], 0);
  std::ifstream maps("/proc/" + std::to_string(process.process().pid()) + "/maps");
  std::string host_code;
  for (std::string line; std::getline(maps, line);) {
    const std::size_t rights = line.find(' ') + 1;
    ASSERT_LT(rights + 4, line.size()) << line;
    EXPECT_FALSE(line[rights + 1] == 'w' && line[rights + 2] == 'x') << line;
    if (line.find("/dev/zero") != std::string::npos) host_code += line.substr(rights, 4) + " ";
  }
  EXPECT_THAT((std::vector{host_code.find("r-xs "), host_code.find("rw-s ")}),
              ::testing::Each(::testing::Ne(std::string::npos)))
      << host_code;
  EXPECT_EQ(host_code.size(), 2 * 5u) << host_code;
}

}  // namespace
}  // namespace ringside::testing

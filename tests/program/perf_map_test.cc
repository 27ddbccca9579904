// --perf-map: the names of translated code, as perf(1) reads them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <stdexcept>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

struct Range {
  std::uint64_t start = 0, end = 0;
  friend bool operator==(const Range&, const Range&) = default;
};
using Names = std::multimap<std::string, Range>;

Names read_names(const std::string& path) {
  static const std::regex kLine("([0-9a-f]+) ([0-9a-f]+) (stub_[a-z_]+|guest 0x[0-9a-f]+)");
  Names names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::smatch parts;
    if (!std::regex_match(line, parts, kLine)) throw std::runtime_error("no such line: " + line);
    const std::uint64_t start = std::stoull(parts[1], nullptr, 16);
    names.emplace(parts[3], Range{start, start + std::stoull(parts[2], nullptr, 16)});
  }
  return names;
}

// The process's only memory that is shared and executable.
Range host_code_of(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" r-xs ") == std::string::npos) continue;
    return {std::stoull(line, nullptr, 16),
            std::stoull(line.substr(line.find('-') + 1), nullptr, 16)};
  }
  throw std::runtime_error("no host code");
}

TEST(PerfMap, NamesBlocksByTheirAddressAndStubs) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU translates";
  GuestProcess process("counters",
                       {.start = GuestOptions::Start::Running, .arguments = {"--perf-map"}});
  const pid_t pid = process.process().pid();
  const std::string path = "/tmp/perf-" + std::to_string(pid) + ".map";
  await_change(process, process["counters"], await_change(process, process["counters"], 0));
  const Range code = host_code_of(pid);
  const Names names = read_names(path);
  std::vector<Range> ranges;
  for (const auto& [name, range] : names) {
    EXPECT_LT(range.start, range.end) << name;
    EXPECT_TRUE(range.start >= code.start && range.end <= code.end) << name;
    ranges.push_back(range);
  }
  for (const char* name : {"stub_enter", "stub_exit", "stub_look_up", "stub_call_handler"})
    EXPECT_EQ(names.count(name), 1u) << name;
  const std::string tick = "guest 0x" + hex_number(process["tick"]);
  EXPECT_EQ(names.count(tick), 1u) << tick;
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& one, const Range& other) { return one.start < other.start; });
  EXPECT_EQ(ranges.front().start, code.start);
  for (std::size_t i = 1; i < ranges.size(); ++i)
    EXPECT_EQ(ranges[i].start, ranges[i - 1].end) << "code without a name, or with two";
  // It is there when the process is not, for `perf report`.
  process.process().kill(SIGTERM);
  process.process().await_exit();
  EXPECT_EQ(read_names(path).count(tick), 1u);
  ::unlink(path.c_str());
}

TEST(PerfMap, NeedsATranslator) {
  const auto refusal = [](const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {RINGSIDE_PROGRAM, "--perf-map"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.push_back(GuestImage("counters").path());
    ChildProcess process(command);
    EXPECT_EQ(process.await_exit(), 4);
    return process.text(Stream::Error);
  };
  EXPECT_EQ(refusal({"--translate", "off"}),
            "ringside: --perf-map names translated code, and with --translate off there is none\n");
  EXPECT_EQ(refusal({"-e", "kvm"}),
            "ringside: --perf-map is for the software CPU, not for --engine kvm\n");
}

}  // namespace
}  // namespace ringside::testing

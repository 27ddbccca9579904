// Replays the README's transcript: the commands as they stand there, and every line that it shows
// of GDB's answers. `…` in a line stands for anything, a line with only `…` for any lines.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "gdb/gdb_session.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

struct Exchange {
  std::string command;
  std::vector<std::string> lines;
};

// The block that begins with ```console and has a GDB prompt in it.
std::vector<std::string> transcript() {
  std::ifstream readme(std::string(RINGSIDE_SOURCE) + "/README.md");
  std::vector<std::string> block;
  bool inside = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.rfind("```", 0) == 0) {
      if (inside && std::any_of(block.begin(), block.end(),
                                [](const std::string& l) { return l.rfind("(gdb) ", 0) == 0; }))
        return block;
      inside = line == "```console";
      block.clear();
    } else if (inside) {
      block.push_back(line);
    }
  }
  return {};
}

// Whether `text` is `pattern` with each … replaced by something.
bool matches(std::string_view pattern, std::string_view text) {
  constexpr std::string_view kAnything = "…";
  const std::size_t at = pattern.find(kAnything);
  if (at == std::string_view::npos) return pattern == text;
  if (text.substr(0, at) != pattern.substr(0, at)) return false;
  const std::string_view rest = pattern.substr(at + kAnything.size());
  for (std::size_t from = at; from <= text.size(); ++from)
    if (matches(rest, text.substr(from))) return true;
  return false;
}

std::string trimmed(std::string line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t'))
    line.pop_back();
  return line;
}

// The shown lines must come in this order; with … lines between, others may stand there.
void expect_lines(const Exchange& exchange, const std::string& output) {
  std::vector<std::string> actual;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);)
    if (!trimmed(line).empty()) actual.push_back(trimmed(line));
  std::size_t at = 0;
  bool gap = false;
  for (const std::string& line : exchange.lines) {
    if (line == "…") {
      gap = true;
      continue;
    }
    while (gap && at < actual.size() && !matches(line, actual[at]))
      ++at;
    ASSERT_TRUE(at < actual.size() && matches(line, actual[at]))
        << "(gdb) " << exchange.command << "\nthe README has: " << line << "\nGDB says:\n"
        << output;
    ++at;
    gap = false;
  }
  EXPECT_TRUE(gap || at == actual.size())
      << "(gdb) " << exchange.command << "\nGDB says more than the README:\n"
      << output;
}

TEST(Readme, TheTranscriptIsTrue) {
  SKIP_IF(GdbSession::missing());
  std::string start;
  std::vector<Exchange> exchanges;
  for (const std::string& line : transcript()) {
    if (line.rfind("$ build/ringside ", 0) == 0) start = line.substr(2);
    if (line.rfind("(gdb) ", 0) == 0) {
      exchanges.push_back({line.substr(6), {}});
    } else if (!exchanges.empty() && !trimmed(line).empty()) {
      exchanges.back().lines.push_back(trimmed(line));
    }
  }
  ASSERT_EQ(start, "build/ringside -c 2 -G w1234 build/guests/demo.elf &");
  ASSERT_GE(exchanges.size(), 5u);

  GuestProcess guest("demo", {.cpus = 2});
  GdbSession gdb(guest.image().path());
  for (Exchange& exchange : exchanges) {
    if (exchange.command == "target remote :1234") {
      // By number: a minimal system may not even know the name localhost, which GDB fills in.
      const std::string port = "127.0.0.1:" + std::to_string(guest.port());
      std::string output = gdb.command("target remote " + port);
      output.replace(output.find(port), port.size(), ":1234");
      expect_lines(exchange, output);
    } else if (!exchange.lines.empty() && exchange.lines.front() == "^C") {
      exchange.lines.front() = "Continuing.";
      expect_lines(exchange, gdb.interrupt_command(exchange.command, guest.process()));
    } else {
      expect_lines(exchange, gdb.command(exchange.command));
    }
  }
}

TEST(Readme, IsShort) {
  std::ifstream readme(std::string(RINGSIDE_SOURCE) + "/README.md");
  int lines = 0;
  for (std::string line; std::getline(readme, line);)
    ++lines;
  EXPECT_GT(lines, 10);
  EXPECT_LE(lines, 110);  // two screens
}

}  // namespace
}  // namespace ringside::testing

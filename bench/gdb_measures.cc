// Commands of stock GDB, timed from the line typed to the prompt. What GDB itself needs is in the
// figures: where ringside is quick they say how quick GDB is.
#include <stdexcept>

#include "clock.h"
#include "gdb/gdb_session.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::GdbSession;

// GDB attached to a guest at work.
struct Debugged {
  Target target;
  GdbSession gdb;

  Debugged(Subject subject, const GuestChoice& choice)
      : target(start(subject, choice)), gdb(target.image.path()) {
    target.client->detach();
    gdb.command("target remote 127.0.0.1:" + std::to_string(target.port));
  }

  // Seconds that a command takes; it must print `expected`.
  double time(const std::string& command, const std::string& expected) {
    const auto start = Clock::now();
    const std::string printed = gdb.command(command, testing::Deadline(std::chrono::minutes(5)));
    const double elapsed = since(start);
    if (printed.find(expected) == std::string::npos)
      throw std::runtime_error(command + " printed: " + printed);
    return elapsed;
  }
};

Values step_instructions(Subject subject, double) {
  Debugged debugged(subject, {"mix"});
  debugged.time("stepi 20", "");
  constexpr double kSteps = 1000;
  const double forward = debugged.time("stepi 1000", "\t");
  if (subject != Subject::Ringside) return {kSteps / forward, std::nullopt};
  return {kSteps / forward, debugged.time("reverse-stepi 1000", "\t") / forward};
}

Values next_line(Subject subject, double) {
  Debugged debugged(subject, {"lines"});
  debugged.gdb.command("tbreak *long_line");
  debugged.time("continue", "long_line");
  return {debugged.time("next", "after the long line") * 1000};
}

Values dump(Subject subject, double) {
  Debugged debugged(subject, {"mix"});
  constexpr double kSize = 0x1000000;
  return {kSize / 1e6 / debugged.time("dump binary memory /dev/null 0x1000000 0x2000000", "")};
}

// RAM is full of bytes without a pattern. QEMU's takes long, so its range is shorter.
Values find(Subject subject, double) {
  GuestChoice choice{"filled", 1, "640M"};
  std::uint64_t size = 16u << 20;
  if (subject == Subject::Ringside) choice.words["fill_bytes"] = size = 512u << 20;
  Debugged debugged(subject, choice);
  const std::string command = "find /g 0x1000000, +" + std::to_string(size);
  return {static_cast<double>(size) / 1e6 /
          debugged.time(command + ", 0x1122334455667788", "not found")};
}

}  // namespace

std::vector<Measure> gdb_measures() {
  return {
      {"stepi",
       "`stepi 1000` in GDB, and `reverse-stepi 1000`",
       {{"GDB `stepi`", "/s", Better::Higher, {3, {}, {}}},
        {"`reverse-stepi 1000`, by that time", "", Better::Lower, {0, {}, 2}}},
       step_instructions},
      {"next",
       "`next` in GDB over a line of 10,000 instructions",
       {{"GDB `next` over 10,000 instructions", "ms", Better::Lower, {100, {}, {}}}},
       next_line},
      {"dump",
       "`dump binary memory` in GDB, 16 MiB",
       {{"GDB `dump memory`", "MB/s", Better::Higher, {8, {}, {}}}},
       dump},
      {"find",
       "`find` in GDB over 512 MiB (16 MiB for QEMU)",
       {{"GDB `find`", "MB/s", Better::Higher, {500, {}, {}}}},
       find},
  };
}

}  // namespace ringside::bench

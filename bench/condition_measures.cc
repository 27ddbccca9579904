// Breakpoints whose condition is false, on the first instruction of `tick` in counters.S
// (counters.c for a native process): how many the guest passes in a second.
#include <stdexcept>

#include "clock.h"
#include "gdb/gdb_session.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::DebugClient;
using testing::GdbSession;
using testing::hex_number;

const GuestChoice kCounters{"counters", 1, "64M", "0"};

std::string big_endian(std::uint64_t value, unsigned digits) {
  const std::string text = hex_number(value);
  return std::string(digits - text.size(), '0') + text;
}

// Agent bytecode of `*(long *)counters == never`: const32, ref64, const64, equal, end.
std::string never(std::uint64_t counters) {
  return "24" + big_endian(counters, 8) + "1a" + "25" + big_endian(~std::uint64_t{0} >> 1, 16) +
         "13" + "27";
}

}  // namespace

// The server decides: the client sets the breakpoint and is silent.
double conditions_in_server(Target& target, double seconds) {
  DebugClient& client = *target.client;
  const std::string code = never(target["counters"]);
  const std::string breakpoint =
      "Z0," + hex_number(target["tick"]) + ",1;X" + hex_number(code.size() / 2) + "," + code;
  if (client.request(breakpoint) != "OK") throw std::runtime_error("no condition is taken");
  const std::uint64_t before = client.read_u64(target["counters"]);
  const auto start = Clock::now();
  client.resume();
  let_run(seconds);
  client.stop();
  const double elapsed = since(start);
  return static_cast<double>(client.read_u64(target["counters"]) - before) / elapsed;
}

namespace {

// The client decides, as well as a client of QEMU can: without acknowledgements, reading just what
// the condition needs, and stepping on with the breakpoint in place, over which QEMU's step goes.
double in_client(Target& target, double seconds) {
  DebugClient& client = *target.client;
  stop_acknowledging(client);
  client.insert(target["tick"]);
  client.resume();
  client.await_stop();
  return rate(seconds, [&] {
    if (client.read_u64(target["counters"]) == ~std::uint64_t{0} >> 1)
      throw std::runtime_error("it cannot be true");
    client.step();
    client.resume();
    client.await_stop();
  });
}

Values raw(Subject subject, double seconds) {
  if (subject == Subject::GdbServer) {
    Target native = start_gdbserver();
    return {conditions_in_server(native, seconds)};
  }
  Target target = start(subject, kCounters);
  return {subject == Subject::Ringside ? conditions_in_server(target, seconds)
                                       : in_client(target, seconds)};
}

// GDB has it evaluated where that is possible.
Values with_gdb(Subject subject, double) {
  const std::uint64_t hits = subject == Subject::Ringside ? 2'000'000 : 500;
  Target target = start(subject, kCounters);
  target.client->detach();
  GdbSession gdb(target.image.path());
  gdb.command("target remote 127.0.0.1:" + std::to_string(target.port));
  // By its address, because GDB makes no bytecode for a symbol without a type.
  const std::string counter = "{long}" + std::to_string(target["counters"]);
  const std::uint64_t wanted = std::stoull(gdb.command("output " + counter)) + hits;
  gdb.command("break *" + std::to_string(target["tick"]) + " if " + counter +
              " == " + std::to_string(wanted));
  const auto start = Clock::now();
  const std::string stopped = gdb.command("continue", testing::Deadline(std::chrono::minutes(1)));
  const double elapsed = since(start);
  if (stopped.find("Breakpoint 1") == std::string::npos) throw std::runtime_error(stopped);
  return {static_cast<double>(hits) / elapsed};
}

}  // namespace

std::vector<Measure> condition_measures() {
  return {
      {"conditions",
       "false conditions; QEMU's are evaluated by an ideal raw client",
       {{"false conditions", "/s", Better::Higher, {0, 6e6, {}}}},
       raw},
      {"conditions-gdb",
       "false conditions, set from stock GDB",
       {{"false conditions with GDB", "/s", Better::Higher, {0, 1e6, {}}}},
       with_gdb},
      {"conditions-gdbserver",
       "false conditions in the server; gdbserver's are on a native process",
       {{"false conditions, against gdbserver", "/s", Better::Higher, {0, 1e6, {}}}},
       raw,
       Subject::GdbServer},
  };
}

}  // namespace ringside::bench

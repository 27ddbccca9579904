// Going back in Debian's boot: cloud kernel at the shell's prompt, 1 vCPU, 512 MiB, by a client
// that speaks the protocol itself. QEMU has no past of a machine that runs; its replay of a
// recorded boot is another thing, and is not measured here.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "clock.h"
#include "linux_files.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;
using testing::DebugClient;
using Stream = ChildProcess::Stream;

double timed(DebugClient& client, const std::string& packet) {
  const auto from = Clock::now();
  client.request(packet);
  return since(from);
}

// The count in the first line of `when`, "at COUNT".
double count(DebugClient& client) { return std::stod(monitor(client, "when").substr(3)); }

double processor_seconds_to_prompt(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "-e", testing::engine(),       "--pace", "off",       "-m", "512M",
      "-i", linux_files().initramfs, "-a",     kCommandLine};
  arguments.insert(arguments.end(), more.begin(), more.end());
  arguments.push_back(linux_files().kernel);
  ChildProcess process(ringside_command(arguments));
  process.await(Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  return processor_time(process.pid());
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

Values run_once(Subject subject, double) {
  if (subject != Subject::Ringside) return {};
  ChildProcess process(
      ringside_command({"-e", testing::engine(), "-m", "512M", "-i", linux_files().initramfs, "-a",
                        kCommandLine, "-G", "0", linux_files().kernel}));
  const std::uint16_t port = port_of(process);
  const auto from = Clock::now();
  process.await(Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  const double boot = since(from);
  DebugClient client(port);
  client.request("?");
  const double first = timed(client, "bs") * 1e3;
  std::vector<double> steps;
  for (unsigned i = 0; i < 1000; ++i)
    steps.push_back(timed(client, "bs") * 1e6);
  // Where the kernel was entered: its first instruction is a hit of the whole run's distance.
  monitor(client, "goto start");
  const std::string entry = monitor(client, "when");
  const std::string rip = entry.substr(entry.rfind("rip 0x") + 6, 7);
  client.request("s");
  monitor(client, "goto present");
  client.request("Z1," + rip + ",1");
  const double whole = timed(client, "bc");
  client.request("z1," + rip + ",1");
  if (count(client) != 0) throw std::runtime_error("the first instruction was not found");
  // In turns, and each first in every other turn, because a machine is not always as fast.
  std::vector<double> without, with;
  for (unsigned i = 0; i < 8; ++i) {
    if (i % 2 == 0) without.push_back(processor_seconds_to_prompt({"--history", "off"}));
    with.push_back(processor_seconds_to_prompt({"--history", "256M"}));
    if (i % 2 != 0) without.push_back(processor_seconds_to_prompt({"--history", "off"}));
  }
  const double cost = (median(with) / median(without) - 1) * 100;
  return {first, median(steps), whole / boot, cost};
}

}  // namespace

std::vector<Measure> travel_measures() {
  return {{"back",
           "back in a booted Linux: steps, and a breakpoint that was hit first of all",
           {{"the first step back", "ms", Better::Lower, {0, {}, 60}},
            {"each that follows", "us", Better::Lower, {0, {}, 200}},
            {"to the first instruction, by the boot's time", "", Better::Lower, {0, {}, 1.5}},
            {"what keeping the past costs a boot", "%", Better::Lower, {0, {}, 5}}},
           run_once}};
}

}  // namespace ringside::bench

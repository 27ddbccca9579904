#include "measures.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace ringside::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Calls `action` for a while; how often per second.
template <typename Action>
double rate(double seconds, Action action) {
  for (int i = 0; i < 10; ++i)
    action();
  const auto start = Clock::now();
  int count = 0;
  do {
    action();
    ++count;
  } while (since(start) < seconds);
  return count / since(start);
}

void let_run(double seconds) { ::poll(nullptr, 0, static_cast<int>(seconds * 1000)); }

}  // namespace

double register_packets_per_second(Target& target, double seconds) {
  return rate(seconds, [&] { target.client->request("g"); });
}

double steps_per_second(Target& target, double seconds) {
  return rate(seconds, [&] { target.client->request("s"); });
}

double memory_megabytes_per_second(Target& target, double seconds) {
  // Packets as large as the server says, as GDB does it.
  const std::string features = target.client->request("qSupported");
  const std::size_t at = features.find("PacketSize=");
  const std::uint64_t packet = std::stoull(features.substr(at + 11), nullptr, 16);
  const std::uint64_t size = std::min<std::uint64_t>((packet - 8) / 2, 1 << 18);
  std::uint64_t offset = 0;
  const double packets = rate(seconds, [&] {
    target.client->request("m" + testing::hex_number(target["block"] + offset) + "," +
                           testing::hex_number(size));
    offset = (offset + size) % ((1 << 20) - size);
  });
  return packets * static_cast<double>(size) / 1e6;
}

double loop_mips(Target& target, double seconds) {
  constexpr double kInstructionsPerRound = 10;
  target.client->resume();
  let_run(0.1);
  target.client->stop();
  const std::uint64_t before = target.client->read_u64(target["rounds"]);
  const auto start = Clock::now();
  target.client->resume();
  let_run(seconds);
  target.client->stop();
  const double elapsed = since(start);
  const std::uint64_t rounds = target.client->read_u64(target["rounds"]) - before;
  return static_cast<double>(rounds) * kInstructionsPerRound / elapsed / 1e6;
}

Latency stop_latency(Target& target, int stops) {
  std::vector<double> times;
  for (int i = 0; i < stops; ++i) {
    target.client->resume();
    let_run(0.002);
    const auto start = Clock::now();
    target.client->stop();
    times.push_back(since(start) * 1e6);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

}  // namespace ringside::bench

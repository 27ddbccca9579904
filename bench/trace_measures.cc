// A tracepoint on the first instruction of `tick` in counters.S that collects all registers: how
// many hits are recorded in a second, while the oldest are dropped.
#include <stdexcept>

#include "clock.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::DebugClient;
using testing::hex_number;

void expect_ok(DebugClient& client, const std::string& packet) {
  const std::string reply = client.request(packet);
  if (reply != "OK") throw std::runtime_error(packet + ": " + reply);
}

Values record(Subject subject, double seconds) {
  if (subject != Subject::Ringside) return {std::nullopt};  // QEMU has no tracepoints
  Target target = start(subject, {"counters", 1, "64M", "0"});
  DebugClient& client = *target.client;
  const std::string place = hex_number(target["tick"]);
  for (const std::string& packet :
       {std::string("QTinit"), std::string("QTBuffer:circular:1"), "QTDP:1:" + place + ":E:0:0-",
        "QTDP:-1:" + place + ":Rffffffff", std::string("QTStart")})
    expect_ok(client, packet);
  const std::uint64_t before = client.read_u64(target["counters"]);
  const auto begin = Clock::now();
  client.resume();
  let_run(seconds);
  client.stop();
  const double elapsed = since(begin);
  const std::uint64_t hits = client.read_u64(target["counters"]) - before;
  const std::string status = client.request("qTStatus");
  const std::size_t created = status.find("tcreated:");
  const bool all = status.starts_with("T1;") && created != std::string::npos &&
                   std::stoull(status.substr(created + 9), nullptr, 16) >= hits;
  if (!all) throw std::runtime_error("not all were recorded: " + status);
  return {static_cast<double>(hits) / elapsed};
}

}  // namespace

std::vector<Measure> trace_measures() {
  return {{"trace",
           "hits of a tracepoint that records all registers; QEMU has none",
           {{"recorded hits", "/s", Better::Higher, {0, 5e5, {}}}},
           record}};
}

}  // namespace ringside::bench

// Conditions and watchpoints on KVM. Without a /dev/kvm they have no values. QEMU's conditions are
// measured with its KVM, where that runs the guest and its breakpoints at all, and with its TCG.
#include <stdexcept>

#include "clock.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::DebugClient;
using testing::hex_number;

GuestChoice counters(bool kvm) {
  GuestChoice choice{"counters", 1, "64M", "0"};
  choice.kvm = kvm;
  return choice;
}

// As an ideal client of QEMU does it: it reads what the condition needs, steps without the
// breakpoint, which QEMU's KVM would hit again, and goes on. `type` is Z0's or Z1's.
double by_client(bool kvm, char type, double seconds) {
  Target target = start(Subject::Qemu, counters(kvm));
  DebugClient& client = *target.client;
  const std::string place = std::string(1, type) + "," + hex_number(target["tick"]) + ",1";
  const auto must = [&](const std::string& packet) {
    if (client.request(packet) != "OK") throw std::runtime_error(packet + " is refused");
  };
  const auto go_on = [&] {
    client.resume();
    client.await_stop(testing::Deadline(std::chrono::seconds(2)));
    if (client.rip() != target["tick"]) throw std::runtime_error("it stops elsewhere");
  };
  must("Z" + place);
  go_on();
  const std::uint64_t before = client.read_u64(target["counters"]);
  const double result = rate(seconds, [&] {
    client.read_u64(target["counters"]);
    must("z" + place);
    client.step();
    must("Z" + place);
    client.resume();
    client.await_stop();
  });
  if (client.read_u64(target["counters"]) == before) throw std::runtime_error("it does not go on");
  return result;
}

std::optional<double> attempt(bool kvm, char type, double seconds) {
  try {
    return by_client(kvm, type, seconds);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

Values conditions(Subject subject, double seconds) {
  if (!have_kvm()) return {std::nullopt, std::nullopt};
  if (subject == Subject::Ringside) {
    Target target = start(subject, counters(true));
    const double ours = conditions_in_server(target, seconds);
    return {ours, ours};
  }
  std::optional<double> on_kvm = attempt(true, '0', seconds);
  if (!on_kvm) on_kvm = attempt(true, '1', seconds);
  return {on_kvm, attempt(false, '0', seconds)};
}

// Writes to a page of which other bytes are watched, by more than debug registers can.
Values protected_page(Subject subject, double seconds) {
  if (subject == Subject::Qemu || !have_kvm()) return {std::nullopt};
  Target target = start(subject, counters(true));
  DebugClient& client = *target.client;
  if (client.request("Z2," + hex_number(target["counters"] + 64) + ",30") != "OK")
    return {std::nullopt};
  const std::uint64_t before = client.read_u64(target["counters"]);
  const auto from = Clock::now();
  client.resume();
  let_run(seconds);
  client.stop();
  const double elapsed = since(from);
  return {static_cast<double>(client.read_u64(target["counters"]) - before) / elapsed};
}

}  // namespace

std::vector<Measure> kvm_measures() {
  return {
      {"conditions-kvm",
       "false conditions on KVM; QEMU's are evaluated by an ideal raw client",
       {{"false conditions on KVM, QEMU on KVM", "/s", Better::Higher, {20, {}, {}}},
        {"false conditions on KVM, QEMU TCG", "/s", Better::Higher, {}}},
       conditions},
      {"watch-pages",
       "accesses beside a watchpoint by page protection, on KVM",
       {{"accesses to a protected page", "/s", Better::Higher, {}}},
       protected_page},
  };
}

}  // namespace ringside::bench

#include "kvm/race_bed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "support/debug_client.h"

namespace ringside::testing {

RaceBed::RaceBed(const EngineKind& kind, unsigned seed)
    : random_(seed), vm_(kind, "counters", kVcpus), server_(vm_.engine(), {}) {
  const std::uint64_t call = vm_["entry_of_loop"];
  places_ = {call, vm_["tick"], vm_["tick_end"], call + 5};
  code_ = loop();
  server_.start();
  // The last one says its number before it counts.
  await([&] { return vm_.physical_u64(vm_["counters"] + 8 * (kVcpus - 1)) > 0; }, "the start");
  for (unsigned i = 0; i < kVcpus; ++i)
    await([&] { return vm_.physical_u64(vm_["counters"] + 8 * i) > 0; }, "the start");
}

// By physical address, as the guest has it.
std::string RaceBed::loop() {
  std::string code(vm_["tick_end"] + 1 - places_[kCall], '\0');
  const auto bytes = std::as_writable_bytes(std::span(code));
  EXPECT_TRUE(vm_.engine().memory().read_ram({places_[kCall]}, bytes));
  return code;
}

bool RaceBed::everybody_runs() {
  for (std::uint32_t i = 0; i < kVcpus; ++i) {
    if (!vm_.vcpu(i).in_guest()) return false;
  }
  return true;
}

void RaceBed::turn(int milliseconds) {
  if (!vm_.engine().run_slice() && vm_.engine().event_fd() >= 0) {
    pollfd entry{vm_.engine().event_fd(), POLLIN, 0};
    ::poll(&entry, 1, milliseconds);
  }
  server_.drain_events();
}

void RaceBed::await(const std::function<bool()>& condition, const char* what) {
  for (const Deadline deadline; !condition(); turn(1)) {
    if (deadline.passed()) throw std::runtime_error(fmt::format("not in time: {}", what));
  }
}

std::string RaceBed::await_reply() {
  std::string reply;
  await([&] { return (reply = client_->receive()) != kNothing; }, "a reply");
  return reply;
}

std::string RaceBed::ask(const std::string& packet) {
  client_->send(packet);
  return await_reply();
}

void RaceBed::attach() {
  client_.emplace(server_);
  client_->connect();
  inserted_.clear();
  greet();
}

std::uint64_t RaceBed::progress_of(unsigned vcpu) {
  std::uint64_t count = 0, rip = 0;
  EXPECT_EQ(ask(fmt::format("Hg{:x}", vcpu + 1)), "OK");
  const std::string counter = unhex(ask(fmt::format("m{:x},8", vm_["counters"] + 8 * vcpu)));
  const std::string bytes = unhex(ask("p10"));
  std::memcpy(&count, counter.data(), 8);
  std::memcpy(&rip, bytes.data(), 8);
  const auto place = std::find(places_.begin(), places_.end(), rip) - places_.begin();
  EXPECT_LT(place, kPlaces) << "vCPU " << vcpu << " is at " << std::hex << rip;
  // The word is counted up between the second place and the third.
  return kPlaces * (place > kTick ? count - 1 : count) + static_cast<unsigned>(place);
}

RaceBed::Progress RaceBed::look() {
  Progress progress{};
  for (unsigned i = 0; i < kVcpus; ++i)
    progress[i] = progress_of(i);
  return progress;
}

void RaceBed::kill() {
  ++counts_.kills;
  client_->disconnect();
  await([&] { return everybody_runs() && loop() == code_; }, "the guest as it was");
  for (unsigned i = 0; i < kVcpus; ++i) {
    const std::uint64_t address = vm_["counters"] + 8 * i, count = vm_.physical_u64(address);
    await([&] { return vm_.physical_u64(address) > count + 1; }, "a vCPU that counts");
  }
  attach();
}

}  // namespace ringside::testing

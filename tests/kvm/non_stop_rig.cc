#include "kvm/non_stop_rig.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/debug_client.h"

namespace ringside::testing {

NonStopRig::NonStopRig(const EngineKind& kind, unsigned seed) : RaceBed(kind, seed) { attach(); }

void NonStopRig::greet() {
  ask("qSupported:swbreak+");
  ask("vCont?");
  EXPECT_EQ(ask("QNonStop:1"), "OK");
  cpus_ = {};
  told(ask("?"));  // one stands, and the others run on
  EXPECT_EQ(ask("vStopped"), "OK");
  acknowledged_ = true;
  stop_all();
}

void NonStopRig::act(unsigned kills) {
  const unsigned vcpu = pick(kVcpus);
  switch (pick(8)) {
    case 0:
      change_breakpoint();
      break;
    case 1:
      stop(vcpu);
      break;
    case 2:
      check_that_the_stopped_stand();
      break;
    default:
      if (cpus_[vcpu].runs) {
        turn(static_cast<int>(pick(2)));
      } else {
        resume(vcpu);
      }
      break;
  }
  take_notifications();
  if (chance(kills)) kill();
}

void NonStopRig::change_breakpoint() {
  const unsigned place = pick(2) == 0 ? kTick : kTickEnd;
  const bool insert = !inserted_.contains(place);
  EXPECT_EQ(ask(fmt::format("{}0,{:x},1", insert ? "Z" : "z", places_[place])), "OK");
  if (insert) {
    inserted_.insert(place);
  } else {
    inserted_.erase(place);
  }
  for (Cpu& cpu : cpus_) {
    if (insert) {
      cpu.ever.insert(place);
    } else {
      cpu.always.erase(place);
      if (cpu.at % kPlaces == place) cpu.told = false;  // of the next one it would be
    }
  }
}

void NonStopRig::resume(unsigned vcpu) {
  acknowledge();  // the server resumes nobody whose stop it does not know to be known
  Cpu& cpu = cpus_[vcpu];
  cpu.steps = pick(3) == 0;
  EXPECT_EQ(ask(fmt::format("vCont;{}:{:x}", cpu.steps ? 's' : 'c', vcpu + 1)), "OK");
  ++counts_.resumes;
  cpu.runs = true;
  cpu.always = cpu.ever = inserted_;
}

void NonStopRig::stop(unsigned vcpu) {
  const bool all = pick(4) == 0;
  EXPECT_EQ(ask(all ? "vCont;t" : fmt::format("vCont;t:{:x}", vcpu + 1)), "OK");
  await(
      [&] {
        take_notifications();
        const auto stopped = [](const Cpu& cpu) { return !cpu.runs; };
        return all ? std::all_of(cpus_.begin(), cpus_.end(), stopped) : stopped(cpus_[vcpu]);
      },
      "a stop that was asked for");
}

void NonStopRig::stop_all() {
  EXPECT_EQ(ask("vCont;t"), "OK");
  await(
      [&] {
        take_notifications();
        return std::none_of(cpus_.begin(), cpus_.end(), [](const Cpu& cpu) { return cpu.runs; });
      },
      "everybody's stop");
}

void NonStopRig::take_notifications() {
  for (std::string text = client_->notified(); text != kNothing; text = client_->notified()) {
    EXPECT_TRUE(acknowledged_) << "a second notification before the first is acknowledged";
    ASSERT_EQ(text.substr(0, 5), "Stop:");
    acknowledged_ = false;
    told(text.substr(5));
  }
  if (pick(3) != 0) acknowledge();
}

void NonStopRig::acknowledge() {
  if (acknowledged_) return;
  std::string next = ask("vStopped");
  for (; next != "OK"; next = ask("vStopped"))
    told(next);
  acknowledged_ = true;
}

void NonStopRig::told(const std::string& reply) {
  const StopReply stop = parse_stop(reply);
  const unsigned who = stop.vcpu.value_or(kVcpus);
  ASSERT_LT(who, kVcpus) << reply;
  Cpu& cpu = cpus_[who];
  EXPECT_TRUE(cpu.runs) << "a stop of one that does not run: " << reply;
  const std::uint64_t from = cpu.at, now = progress_of(who);
  // A breakpoint that comes back is another one.
  const bool there = inserted_.contains(now % kPlaces);
  const bool knew = std::exchange(cpu.told, stop.swbreak && there);
  cpu.runs = false;
  cpu.at = now;
  if (from == 0) return;  // it ran before the client came
  EXPECT_GE(now, from);
  if (stop.swbreak) {
    ++counts_.hits;
    EXPECT_TRUE(cpu.ever.contains(now % kPlaces)) << "a stale report: " << reply;
    EXPECT_FALSE(knew && now == from) << "told twice: " << reply;
  } else if (stop.signal == 0) {
    ++counts_.stops;
    cpu.told = knew && now == from;
  } else {
    ++counts_.steps;
    EXPECT_TRUE(cpu.steps) << reply;
    EXPECT_EQ(now, from + 1) << reply;
  }
  if (cpu.steps) {
    EXPECT_LE(now, from + 1) << reply;
    return;
  }
  // Nobody came past a breakpoint that was there all the time. Where it stood it may not have been
  // told of it, and hits it then.
  for (const unsigned place : cpu.always) {
    const std::uint64_t next = from + 1 + (place + kPlaces - (from + 1) % kPlaces) % kPlaces;
    EXPECT_LE(now, next) << "vCPU " << who << " came past a breakpoint, from " << from;
  }
}

void NonStopRig::check_that_the_stopped_stand() {
  for (unsigned i = 0; i < kVcpus; ++i) {
    if (cpus_[i].runs) continue;
    EXPECT_EQ(progress_of(i), cpus_[i].at) << "vCPU " << i;
  }
}

}  // namespace ringside::testing

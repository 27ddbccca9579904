#include "kvm/race_rig.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/debug_client.h"

namespace ringside::testing {

RaceRig::RaceRig(const EngineKind& kind, unsigned seed) : RaceBed(kind, seed) { attach(); }

void RaceRig::greet() {
  ask("qSupported:swbreak+");
  ask("vCont?");
  EXPECT_EQ(ask("?").substr(0, 1), "T");
  told_ = unsure_ = {};
}

void RaceRig::change_breakpoint() {
  const unsigned place = pick(2) == 0 ? kTick : kTickEnd;
  const bool insert = !inserted_.contains(place);
  EXPECT_EQ(ask(fmt::format("{}0,{:x},1", insert ? "Z" : "z", places_[place])), "OK");
  if (insert) {
    inserted_.insert(place);
  } else {
    inserted_.erase(place);
  }
  const Progress now = look();
  for (unsigned i = 0; i < kVcpus; ++i) {
    if (now[i] % kPlaces == place) unsure_[i] = now[i];
  }
}

void RaceRig::act(unsigned kills) {
  switch (pick(6)) {
    case 0:
      change_breakpoint();
      break;
    case 1:
    case 2: {
      const unsigned vcpu = pick(kVcpus);
      go(fmt::format("vCont;s:{:x}", vcpu + 1), vcpu, kills);
      return;
    }
    default:
      go("vCont;c", std::nullopt, kills);
      return;
  }
  if (chance(kills)) kill();
}

// Resumes, perhaps interrupts, and takes the one reply; or is killed somewhere between.
void RaceRig::go(const std::string& packet, std::optional<unsigned> stepped, unsigned kills) {
  const Progress before = look();
  client_->send(packet);
  ++counts_.resumes;
  if (chance(kills)) return kill();
  // Without a breakpoint nothing else ends a run; and an interrupt may come at any time.
  const bool interrupt = (inserted_.empty() && !stepped) || pick(3) == 0;
  std::string reply = kNothing;
  if (interrupt) {
    for (unsigned turns = pick(4); turns > 0 && reply == kNothing; --turns) {
      turn(static_cast<int>(pick(2)));
      reply = client_->receive();
    }
    if (reply == kNothing) client_->interrupt();
    if (chance(kills)) return kill();
  }
  if (reply == kNothing) reply = await_reply();
  if (chance(kills)) return kill();
  check_stop(reply, before, stepped);
  EXPECT_EQ(ask("qC").substr(0, 2), "QC");  // and no second report before it
}

void RaceRig::check_stop(const std::string& reply, const Progress& before,
                         std::optional<unsigned> stepped) {
  const StopReply stop = parse_stop(reply);
  const Progress now = look();
  const unsigned who = stop.vcpu.value_or(kVcpus);
  ASSERT_LT(who, kVcpus) << reply;
  if (stop.swbreak) {
    ++counts_.hits;
    EXPECT_TRUE(inserted_.contains(now[who] % kPlaces)) << "a stale report: " << reply;
    EXPECT_TRUE(told_[who] != now[who] || unsure_[who] == now[who]) << "told twice: " << reply;
  } else {
    ++(stepped ? counts_.steps : counts_.stops);
  }
  if (!stepped) {
    check_free_run(before, now);
  } else {
    // Either the step, or an event that was waiting to be told, or neither before the interrupt.
    for (unsigned i = 0; i < kVcpus; ++i) {
      const bool may_move = i == *stepped && !stop.swbreak;
      EXPECT_TRUE(now[i] == before[i] || (may_move && now[i] == before[i] + 1))
          << "vCPU " << i << " from " << before[i] << " to " << now[i] << ": " << reply;
    }
    if (stop.signal == 5 && !stop.swbreak) {
      EXPECT_EQ(who, *stepped) << reply;
      EXPECT_EQ(now[who], before[who] + 1) << reply;
    }
    if (now[*stepped] != before[*stepped]) unsure_[*stepped] = now[*stepped];
  }
  if (stop.swbreak) told_[who] = now[who];
}

// Nobody came past a breakpoint without its being told.
void RaceRig::check_free_run(const Progress& before, const Progress& now) {
  for (unsigned i = 0; i < kVcpus; ++i) {
    EXPECT_GE(now[i], before[i]) << "vCPU " << i;
    const bool may_pass = told_[i] == before[i] || unsure_[i] == before[i];
    for (const unsigned place : inserted_) {
      const std::uint64_t first = before[i] + (may_pass ? 1 : 0);
      const std::uint64_t next = first + (place + kPlaces - first % kPlaces) % kPlaces;
      EXPECT_LE(now[i], next) << "vCPU " << i << " came past a breakpoint, from " << before[i];
    }
  }
}

}  // namespace ringside::testing

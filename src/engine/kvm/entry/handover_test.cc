#include "engine/kvm/entry/handover.h"

#include <gtest/gtest.h>

namespace ringside::kvm {
namespace {

Handover::Requests requests_of(Handover& handover) { return handover.requests(handover.lock()); }

void start(Handover& handover) { handover.set_alive(handover.lock(), true); }

TEST(Handover, AProcessorThatWasNotStartedIsNotGiven) {
  Handover handover;
  EXPECT_FALSE(handover.give());
  EXPECT_FALSE(handover.given());
  EXPECT_FALSE(handover.is_in_guest(handover.lock()));
}

TEST(Handover, GivenOnceUntilItsEventIsTaken) {
  Handover handover;
  start(handover);
  EXPECT_TRUE(handover.give());
  EXPECT_FALSE(handover.give());
  handover.give_back(handover.lock());
  EXPECT_FALSE(handover.is_in_guest(handover.lock()));
  // The main thread has not seen the event yet.
  EXPECT_TRUE(handover.given());
  EXPECT_FALSE(handover.give());
  handover.event_taken();
  EXPECT_TRUE(handover.give());
}

TEST(Handover, NobodyIsAskedForAVcpuThatIsOut) {
  Handover handover;
  start(handover);
  EXPECT_FALSE(handover.ask_back());
  ASSERT_TRUE(handover.give());
  EXPECT_TRUE(handover.ask_back());
  EXPECT_TRUE(requests_of(handover).suspend);
  handover.give_back(handover.lock());
  EXPECT_FALSE(handover.ask_back());
}

// What was asked for before counts no more, for whoever is given the vCPU next.
TEST(Handover, ARequestToComeOutEndsWithTheEvent) {
  Handover handover;
  start(handover);
  ASSERT_TRUE(handover.give());
  ASSERT_TRUE(handover.ask_back());
  handover.give_back(handover.lock());
  handover.event_taken();
  EXPECT_FALSE(requests_of(handover).any());
  ASSERT_TRUE(handover.give());
  EXPECT_FALSE(requests_of(handover).suspend);
}

TEST(Handover, EveryRequestIsAReasonToLook) {
  EXPECT_FALSE(Handover::Requests{}.any());
  EXPECT_TRUE((Handover::Requests{.quit = true}).any());
  EXPECT_TRUE((Handover::Requests{.suspend = true}).any());
  EXPECT_TRUE((Handover::Requests{.init = true}).any());
  EXPECT_TRUE((Handover::Requests{.start_up = 0}).any());
}

}  // namespace
}  // namespace ringside::kvm

// How much tests do of what can be done any number of times. From RINGSIDE_TEST_EVENTS, with which
// a machine that takes long for each asks for fewer, and one with time for more.
#pragma once

namespace ringside::testing {

// That number; `usual` where none is given. Never 0.
unsigned test_events(unsigned usual);

// By how much this machine is slower than those that do the usual 1,000 events: 10 where 100 are
// asked for; 1 where as many or more are. For guests whose own time must allow for it.
unsigned slowness();

}  // namespace ringside::testing

// A descriptor's interest as poll(2) and epoll(7) take it, and what they report as a callback is
// told it. Pure functions.
#pragma once

#include <cstdint>

#include "ringside/event_loop.h"

namespace ringside::transport {

// Whether all of `part` is in `interest`.
bool includes(Interest interest, Interest part);

// Both calls have the same bits.
std::uint32_t events_of(Interest interest);

// What is not of interest is not told.
EventLoop::Ready ready_for(Interest interest, std::uint32_t reported);

}  // namespace ringside::transport

// Clients that have connected and said nothing yet. They have no effect on the guest, and no claim
// to it: the debugger that speaks first is the first. What does not begin like a debugger is closed
// unread, so that a web page cannot have a browser send packets in the body of a request.
//
// Owned by the endpoint; one thread, the loop's.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>

#include "ringside/event_loop.h"
#include "transport/connection.h"
#include "transport/descriptor_group.h"
#include "transport/refusals.h"

namespace ringside {

using TimeSource = std::function<std::chrono::steady_clock::time_point()>;

// So many wait at once, and more are turned away; but who has waited for so long loses its place to
// who comes then.
inline constexpr std::size_t kPlaces = 16;
inline constexpr std::chrono::seconds kPatience{10};

// Whether there is a place for one more in this list, the eldest first.
template <typename Place>
bool make_room(std::list<Place>& places, std::chrono::steady_clock::time_point now) {
  if (places.size() < kPlaces) return true;
  if (now - places.front().since() < kPatience) return false;
  places.pop_front();
  return true;
}

class Reception {
 public:
  // The loop outlives it. `come` gets those that have begun like a debugger, with all that they
  // have sent still to be read.
  Reception(EventLoop& loop, transport::Refusals& refusals,
            std::function<void(transport::Connection)> come,
            TimeSource clock = std::chrono::steady_clock::now);
  ~Reception();
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  void take(transport::Connection connection);

 private:
  class Place;
  void look(std::list<Place>::iterator place);
  bool is_debugger(transport::Connection& connection);
  EventLoop& loop() { return group_ ? *group_ : loop_; }

  EventLoop& loop_;
  // As observers': who is silent costs the loop nothing. Null where the system has no more
  // descriptors.
  std::unique_ptr<transport::DescriptorGroup> group_;
  transport::Refusals& refusals_;
  std::function<void(transport::Connection)> come_;
  TimeSource clock_;
  std::list<Place> places_;
};

}  // namespace ringside

// Debuggers of other hosts, until they have said the token. Owned by the endpoint; one thread, the
// loop's.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "debug/server/doorkeeper.h"
#include "library/reception.h"
#include "ringside/event_loop.h"
#include "transport/connection.h"
#include "transport/descriptor_group.h"
#include "transport/refusals.h"

namespace ringside {

class Strangers {
 public:
  // Loop and refusals outlive it. `abilities`: of the machine, as far as that is known.
  Strangers(EventLoop& loop, transport::Refusals& refusals, std::string token,
            std::function<debug::Abilities()> abilities,
            TimeSource clock = std::chrono::steady_clock::now);
  ~Strangers();
  Strangers(const Strangers&) = delete;
  Strangers& operator=(const Strangers&) = delete;

  // `address`: for the log.
  void take(transport::Connection connection, std::string address);
  // Writes what there is to say, and lets go those who are done.
  void update();
  // One that has said the token: its connection, and what was said on it.
  struct Admitted {
    transport::Connection connection;
    debug::Introduction said;
  };
  std::optional<Admitted> take_admitted();

 private:
  class Seat;

  EventLoop& loop_;
  std::unique_ptr<transport::DescriptorGroup> group_;  // as Reception's
  transport::Refusals& refusals_;
  const std::string token_;
  std::function<debug::Abilities()> abilities_;
  TimeSource clock_;
  std::list<Seat> seats_;
};

}  // namespace ringside

// The way of a client from the listening socket to the debug server: who may connect at all is
// decided there (transport/doorman.h), then it has to begin like a debugger, and say the token if
// it is of another host. Owned by the endpoint; one thread, the loop's.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "library/reception.h"
#include "library/strangers.h"
#include "ringside/event_loop.h"
#include "transport/single_client.h"

namespace ringside {

class Entrance {
 public:
  // Both outlive it.
  Entrance(EventLoop& loop, transport::SingleClient& client,
           std::function<debug::Abilities()> abilities);
  Entrance(const Entrance&) = delete;
  Entrance& operator=(const Entrance&) = delete;

  void update() { strangers_.update(); }
  // A debugger of another host that has said the token.
  std::optional<Strangers::Admitted> take_admitted() { return strangers_.take_admitted(); }
  const std::string& token() const { return token_; }

 private:
  const std::string token_;
  Reception reception_;
  Strangers strangers_;
};

}  // namespace ringside

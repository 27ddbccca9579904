// What is another host to the program under test, and yet within reach: a network namespace, in
// which a socket listens that the program inherits. Owned by one test; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "support/guest_process.h"

namespace ringside::testing {

class OtherHost {
 public:
  OtherHost();  // needs host::no_network_namespaces() to be empty

  // Does something there: connects, or starts a program.
  template <typename Action>
  auto there(Action action) const {
    const Stay stay(*this);
    return action();
  }
  // Where a client there finds the socket.
  std::uint16_t port() const { return port_; }
  // With these a guest has its debug server at that socket.
  GuestOptions options(std::vector<std::string> arguments = {}) const;
  // The token that such a guest's program tells.
  static std::string token_in(ChildProcess& program);

 private:
  class Stay {
   public:
    explicit Stay(const OtherHost& host);
    ~Stay();
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;

   private:
    const OtherHost& host_;
  };

  Fd here_, there_;  // the namespaces
  Fd socket_;        // not closed on exec
  std::uint16_t port_ = 0;
};

}  // namespace ringside::testing

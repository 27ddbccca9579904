// Lets clients in or not, by who they are: at the door of an endpoint that listens, before anything
// of theirs is read. Owned by who listens; one thread.
#pragma once

#include <optional>
#include <string>

#include "ringside/admission.h"
#include "transport/peer.h"
#include "transport/refusals.h"

namespace ringside::transport {

class Doorman {
 public:
  Doorman(const std::string& name, Admission admission);

  // Before clients come, who may come when nothing can be opened any more: reads who this process
  // is, and for TCP opens what is needed to ask about them.
  void expect_clients();
  void expect_tcp();
  // Where this client is, if it may connect. Otherwise there is a line in the log.
  std::optional<Peer> admit(int socket);
  // For other reasons not to let a client in.
  Refusals& refusals() { return refusals_; }
  const Admission& admission() const { return admission_; }

 private:
  Admission admission_;
  Refusals refusals_;
  std::optional<Self> self_;
  std::optional<SocketOwners> owners_;
  std::string why_no_owners_;
};

}  // namespace ringside::transport

#include "transport/doorman.h"

#include <unistd.h>

#include <utility>

namespace ringside::transport {

Doorman::Doorman(const std::string& name, Admission admission)
    : admission_(std::move(admission)), refusals_(name) {}

void Doorman::expect_clients() {
  if (!self_) self_ = this_process();
}

// Nothing is asked yet: the first question has some kernels look for a module, which takes
// milliseconds, and most machines never have a client.
void Doorman::expect_tcp() {
  expect_clients();
  if (owners_) return;
  auto opened = SocketOwners::open();
  if (!opened) {
    why_no_owners_ = opened.error().text();
    return;
  }
  owners_.emplace(*std::move(opened));
}

// As whom this process runs may have changed since the start (--user).
std::optional<Peer> Doorman::admit(int socket) {
  expect_clients();
  self_->user = ::geteuid();
  Peer peer = peer_of(socket, owners_ ? &*owners_ : nullptr, why_no_owners_);
  const Result<void> judged = judge(peer, admission_, *self_);
  if (judged) return peer;
  if (peer.where == Peer::Where::Gone) return std::nullopt;  // nobody to be told of
  refusals_.tell(judged.error().text());
  return std::nullopt;
}

}  // namespace ringside::transport

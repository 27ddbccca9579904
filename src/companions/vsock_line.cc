#include "companions/vsock_line.h"

#include <unistd.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "transport/peer.h"
#include "vsock/line.h"

namespace ringside::companions {

// What is of no connection any more needs no room.
VsockLine::VsockLine(transport::Poller& poller, Fd socket, Admission admission, Guest guest)
    : poller_(poller),
      admission_(std::move(admission)),
      guest_(std::move(guest)),
      channel_(poller, std::move(socket),
               {[this] { return unanswered_ != 0 || guest_.has_room(); },
                [this](std::vector<std::byte> message) { take(std::move(message)); },
                [this] { gone(); }}) {}

// It takes at once what comes, unless somebody has stopped it.
VsockLine::~VsockLine() {
  constexpr std::chrono::seconds kPatience{1};
  (void)channel_.send(vsock::kMachineHasEnded);
  channel_.drain(kPatience);
}

void VsockLine::send(std::span<const std::byte> packet) {
  if (packet.empty()) ++unanswered_;
  if (!channel_.send(packet)) refuse(packet);
}

// A guest that forgets awaits no answers.
void VsockLine::refuse(std::span<const std::byte> packet) {
  const std::lock_guard guard(lock_);
  machine::VsockHeader header;
  if (packet.size() < sizeof header) return resets_.clear();
  std::memcpy(&header, packet.data(), sizeof header);
  resets_.answer(header);
  poller_.wake();
}

// One look under the lock: whoever is told that it is full hears when it no longer is, also where
// the main thread has sent everything a moment later.
bool VsockLine::is_full() {
  const std::lock_guard guard(lock_);
  const bool is_full = channel_.unsent() >= vsock::kEnoughWaits;
  was_full_ |= is_full;
  return is_full;
}

bool VsockLine::has_room_again() {
  const std::lock_guard guard(lock_);
  return was_full_ && channel_.unsent() < vsock::kEnoughWaits && std::exchange(was_full_, false);
}

void VsockLine::update() {
  channel_.update();
  if (has_room_again()) guest_.has_room_again();
  if (guest_is_to_forget_) {
    if (!guest_.has_room()) return;
    guest_is_to_forget_ = false;
    guest_.receive({});
  }
  give_resets();
}

// Nothing of the machine's is called under the lock, which its devices take.
void VsockLine::give_resets() {
  while (guest_.has_room()) {
    std::unique_lock guard(lock_);
    const std::optional<machine::VsockHeader> reset = resets_.take();
    guard.unlock();
    if (!reset) return;
    const auto bytes = std::as_bytes(std::span(&*reset, 1));
    guest_.receive({bytes.begin(), bytes.end()});
  }
}

void VsockLine::forget() {
  send({});
  guest_is_to_forget_ = true;
}

void VsockLine::take(std::vector<std::byte> message) {
  if (message.empty()) {
    if (unanswered_ != 0) --unanswered_;
    return;
  }
  if (const auto notice = vsock::Notice::in(message)) return tell(*notice);
  if (unanswered_ == 0) guest_.receive(std::move(message));
}

void VsockLine::tell(const vsock::Notice& notice) {
  switch (notice.what) {
    case vsock::Notice::What::Refused:
      return tell_of_refusal(notice.user);
    case vsock::Notice::What::NobodyCalls:
      log::warning(
          "vsock: the process that connects to programs of this host is gone, and the guest is "
          "refused what it connects to");
  }
}

void VsockLine::tell_of_refusal(std::uint32_t user) {
  transport::Self self;
  self.user = ::geteuid();
  const Result<void> judged =
      transport::judge({transport::Peer::Where::ThisHost, user}, admission_, self);
  if (!judged) refusals_.tell(judged.error().text());
}

void VsockLine::gone() {
  guest_.process_is_gone();
  log::warning("vsock: the process at its other end is gone, and so are all connections");
  unanswered_ = 0;
  guest_is_to_forget_ = true;
}

}  // namespace ringside::companions

#include "companions/vsock_line.h"

#include <unistd.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "transport/peer.h"
#include "vsock/line.h"

namespace ringside::companions {
namespace {

constexpr std::size_t kEnough = 256u << 10;

}  // namespace

// What is of no connection any more needs no room.
VsockLine::VsockLine(transport::Poller& poller, Fd socket, Admission admission, Guest guest)
    : admission_(std::move(admission)),
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
  (void)channel_.send(packet);
}

bool VsockLine::is_full() {
  if (channel_.unsent() < kEnough) return false;
  was_full_ = true;
  return true;
}

void VsockLine::update() {
  channel_.update();
  if (was_full_ && channel_.unsent() < kEnough) {
    was_full_ = false;
    guest_.has_room_again();
  }
  if (!guest_is_to_forget_ || !guest_.has_room()) return;
  guest_is_to_forget_ = false;
  guest_.receive({});
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
  if (message.size() == vsock::kRefusal) return tell_of_refusal(message);
  if (unanswered_ == 0) guest_.receive(std::move(message));
}

void VsockLine::tell_of_refusal(std::span<const std::byte> message) {
  std::uint32_t user = 0;
  std::memcpy(&user, message.data(), sizeof user);
  transport::Self self;
  self.user = ::geteuid();
  const Result<void> judged =
      transport::judge({transport::Peer::Where::ThisHost, user}, admission_, self);
  if (!judged) refusals_.tell(judged.error().text());
}

void VsockLine::gone() {
  log::warning("vsock: the process at its other end is gone, and so are all connections");
  is_gone_ = true;
  unanswered_ = 0;
  guest_is_to_forget_ = true;
}

}  // namespace ringside::companions

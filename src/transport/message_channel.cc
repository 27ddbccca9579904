#include "transport/message_channel.h"

#include <poll.h>

#include <utility>

namespace ringside::transport {
namespace {

// For messages that are not taken at once: the largest, and one more.
constexpr std::size_t kRoom = std::size_t{2} * (kMessageHeader + kMaxMessage);

}  // namespace

MessageChannel::MessageChannel(Poller& poller, Fd socket, Receiver receiver)
    : poller_(poller),
      socket_(std::move(socket)),
      receiver_(std::move(receiver)),
      out_(kRoom),
      is_open_(static_cast<bool>(socket_)) {
  if (!socket_) return;
  poller_.add(socket_.get(), Interest::Read, [this](Poller::Ready ready) {
    flush();
    if (ready.readable) read();
    settle_interest();
  });
}

MessageChannel::~MessageChannel() {
  if (socket_) poller_.remove(socket_.get());
}

// At once, where the other process takes it; what it does not take is the main loop's, which may be
// waiting if this is a vCPU's own thread.
bool MessageChannel::send(std::span<const std::byte> message) {
  const std::lock_guard guard(lock_);
  const bool is_first = out_.empty();
  if (!is_open_ || !out_.add(message)) return false;
  if (!is_first) return true;
  (void)out_.flush(socket_.get());  // that it is gone is seen where it is read from
  if (!out_.empty()) poller_.wake();
  return true;
}

std::size_t MessageChannel::unsent() {
  const std::lock_guard guard(lock_);
  return out_.size();
}

void MessageChannel::drain(std::chrono::milliseconds most) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + most;
  const std::lock_guard guard(lock_);
  while (is_open_ && out_.flush(socket_.get()) && !out_.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    pollfd entry{socket_.get(), POLLOUT, 0};
    if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) <= 0) return;
  }
}

void MessageChannel::update() {
  if (!socket_) return;
  flush();
  if (reader_.has_message()) read();
  settle_interest();
}

void MessageChannel::settle_interest() {
  if (!socket_) return;
  const std::lock_guard guard(lock_);
  const bool writes = !out_.empty(), reads = !reader_.has_message();
  poller_.set_interest(socket_.get(), writes ? (reads ? Interest::ReadWrite : Interest::Write)
                                             : (reads ? Interest::Read : Interest::None));
}

void MessageChannel::flush() {
  const std::lock_guard guard(lock_);
  (void)out_.flush(socket_.get());
}

// One message at a time may be more than the receiver has room for; it waits in the reader then,
// and the rest of the stream in the socket.
void MessageChannel::read() {
  using Received = MessageReader::Received;
  for (Received received = Received::Part; received != Received::End;) {
    hand_on();
    if (reader_.is_broken()) break;
    if (reader_.has_message() || received != Received::Part) return;
    received = reader_.receive(socket_.get(), MessageReader::Waiting::No);
  }
  end();
}

void MessageChannel::hand_on() {
  while (reader_.has_message() && receiver_.has_room()) {
    const auto message = *reader_.next();
    receiver_.receive({message.begin(), message.end()});
  }
}

void MessageChannel::end() {
  {
    const std::lock_guard guard(lock_);
    is_open_ = false;
    out_.clear();
  }
  poller_.remove(socket_.get());
  socket_.reset();
  receiver_.gone();
}

}  // namespace ringside::transport

#include "transport/message_channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace ringside::transport {
namespace {

// A message that comes when so much waits is not taken.
constexpr std::size_t kEnough = 1 << 20;

}  // namespace

MessageChannel::MessageChannel(Poller& poller, Fd socket, Receiver receiver)
    : poller_(poller), socket_(std::move(socket)), receiver_(std::move(receiver)) {
  poller_.add(socket_.get(), Interest::Read, [this](Poller::Ready ready) {
    flush();
    if (ready.readable) read();
    settle_interest();
  });
}

MessageChannel::~MessageChannel() {
  if (socket_) poller_.remove(socket_.get());
}

bool MessageChannel::send(std::span<const std::byte> message) {
  const std::lock_guard guard(lock_);
  if (!is_open_ || out_.size() - sent_ >= kEnough || message.size() > kMaxMessage) return false;
  // The main loop may be waiting, if this is a vCPU's own thread.
  if (out_.size() == sent_) poller_.wake();
  const std::vector<std::byte> bytes = framed(message);
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  return true;
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
  const bool writes = out_.size() != sent_, reads = !reader_.has_message();
  poller_.set_interest(socket_.get(), writes ? (reads ? Interest::ReadWrite : Interest::Write)
                                             : (reads ? Interest::Read : Interest::None));
}

void MessageChannel::flush() {
  const std::lock_guard guard(lock_);
  while (sent_ != out_.size()) {
    const ssize_t count = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;  // that it is gone is seen where it is read from
    sent_ += static_cast<std::size_t>(count);
  }
  if (sent_ != out_.size() && sent_ < kEnough) return;
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent_));
  sent_ = 0;
}

// One message at a time may be more than the receiver has room for; it waits in the reader then,
// and the rest of the stream in the socket.
void MessageChannel::read() {
  std::array<std::byte, 256u << 10> buffer;
  for (;;) {
    hand_on();
    if (reader_.is_broken()) return end();
    if (reader_.has_message()) return;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count <= 0) return end();
    reader_.append(std::span(buffer).first(static_cast<std::size_t>(count)));
  }
}

void MessageChannel::hand_on() {
  while (reader_.has_message() && receiver_.has_room())
    receiver_.receive(*reader_.next());
}

void MessageChannel::end() {
  {
    const std::lock_guard guard(lock_);
    is_open_ = false;
    out_.clear();
    sent_ = 0;
  }
  poller_.remove(socket_.get());
  socket_.reset();
  receiver_.gone();
}

}  // namespace ringside::transport

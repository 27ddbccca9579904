#include "network/frame_queue.h"

#include <sys/socket.h>

#include <cerrno>

#include "transport/message_stream.h"

namespace ringside::network {

bool FrameQueue::add(std::span<const std::byte> frame) {
  const std::vector<std::byte> message = transport::framed(frame);
  if (size() + message.size() > kRoom) return false;
  if (sent_ > kRoom / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  bytes_.insert(bytes_.end(), message.begin(), message.end());
  return true;
}

bool FrameQueue::flush(int socket) {
  while (!empty()) {
    const ssize_t count =
        ::send(socket, bytes_.data() + sent_, size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    sent_ += static_cast<std::size_t>(count);
  }
  bytes_.clear();
  sent_ = 0;
  return true;
}

}  // namespace ringside::network

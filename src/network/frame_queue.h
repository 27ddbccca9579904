// Frames on their way to the guest, as messages of the stream (transport/message_stream.h). Nobody
// waits for its reader: a frame for which there is no room is lost, as on a wire.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ringside::network {

class FrameQueue {
 public:
  static constexpr std::size_t kRoom = 4 << 20;

  // False: it is lost.
  bool add(std::span<const std::byte> frame);
  // Sends what the socket takes now. False: the other side is gone.
  bool flush(int socket);

  bool empty() const { return sent_ == bytes_.size(); }
  // Half of the room is taken: what can wait should.
  bool is_crowded() const { return size() > kRoom / 2; }
  std::size_t size() const { return bytes_.size() - sent_; }

 private:
  std::vector<std::byte> bytes_;
  std::size_t sent_ = 0;  // of bytes_
};

}  // namespace ringside::network

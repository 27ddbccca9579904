// Messages to and from another process of ours, without waiting for it. What it does not take at
// once is kept, up to a bound; what it sends is read while its receiver has room.
//
// send() and unsent() may be called on the thread that runs a vCPU; everything else is the main
// thread's.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "base/fd.h"
#include "transport/message_stream.h"
#include "transport/poller.h"

namespace ringside::transport {

class MessageChannel {
 public:
  struct Receiver {
    std::function<bool()> has_room;  // for one more message
    std::function<void(std::vector<std::byte> message)> receive;
    std::function<void()> gone;  // once: the other process has gone, or makes no sense
  };

  // `socket` is a stream socket that is connected to it. None: as if it had gone, and the receiver
  // has been told.
  MessageChannel(Poller& poller, Fd socket, Receiver receiver);
  ~MessageChannel();
  MessageChannel(const MessageChannel&) = delete;
  MessageChannel& operator=(const MessageChannel&) = delete;

  // False: it is not sent, because the other process is gone or has not taken enough of what was
  // sent before.
  bool send(std::span<const std::byte> message);
  // Bytes that were sent and that it has not taken. As send(), on any thread.
  std::size_t unsent();
  // At the end: waits until the other process has taken what was sent, but no longer than that, and
  // not when a signal comes.
  void drain(std::chrono::milliseconds most);
  // Between slices of the guest: sends what can be without waiting, and hands on what the receiver
  // has room for by now.
  void update();

 private:
  void flush();
  void read();
  void hand_on();
  void settle_interest();
  void end();

  Poller& poller_;
  Fd socket_;
  Receiver receiver_;
  MessageReader reader_;
  std::mutex lock_;    // of what follows
  MessageWriter out_;  // what the other process has not taken yet
  bool is_open_;
};

}  // namespace ringside::transport

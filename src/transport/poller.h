// Waits on a few descriptors with poll(2) and calls back. Owned by one thread, which alone may call
// it, except wake(). A callback may add, change and remove any descriptor, its own too; a
// descriptor removed in a round gets no callback in it, even when its number is in use again.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "ringside/event_loop.h"

namespace ringside::transport {

class Poller final : public EventLoop {
 public:
  static Result<Poller> create();

  ~Poller() override = default;
  Poller(Poller&&) = default;
  Poller& operator=(Poller&&) = default;

  // Does not own `fd`, which must stay open until it is removed. One entry a descriptor.
  void add(int fd, Interest interest, Callback callback) override;
  void set_interest(int fd, Interest interest) override;
  void remove(int fd) override;
  // What wait() would wait for now; wake() is one of them.
  std::vector<std::pair<int, Interest>> watched() const;

  // Waits until something is ready, and calls back for all that is. At most `timeout`; none: for
  // ever. Also returns after wake() or a signal.
  Result<> wait(std::optional<std::chrono::nanoseconds> timeout);

  // Makes the wait that is on, or else the next one, return. From any thread and from a signal
  // handler.
  void wake() const;

 private:
  struct Entry {
    int fd = -1;
    Interest interest = Interest::None;
    Callback callback;
    bool removed = false;
  };

  explicit Poller(Fd wakeup) : wakeup_(std::move(wakeup)) {}
  void dispatch();

  Fd wakeup_;  // an eventfd
  // Shared, so that an entry outlives its removal by its own callback.
  std::vector<std::shared_ptr<Entry>> entries_;
  // Of the round that is on; kept for their memory.
  std::vector<pollfd> polled_;
  std::vector<std::shared_ptr<Entry>> round_;
};

}  // namespace ringside::transport

// A program's event loop, as far as an endpoint needs one. For programs that have a loop already
// and want no second one: glib, libuv, epoll.
//
// Implemented by the owner of the loop; called, and calling back, on the one thread that runs it.
#pragma once

#include <cstdint>
#include <functional>

namespace ringside {

enum class Interest : std::uint8_t { None = 0, Read = 1, Write = 2, ReadWrite = 3 };

class EventLoop {
 public:
  // `readable` also when the other end is gone: reading tells.
  struct Ready {
    bool readable = false;
    bool writable = false;
  };
  using Callback = std::function<void(Ready)>;

  virtual ~EventLoop() = default;
  // Calls `callback` whenever the descriptor is ready for what is of interest (level-triggered).
  // The loop does not own it; it is open until it is removed. Each descriptor is added once.
  virtual void add(int fd, Interest interest, Callback callback) = 0;
  virtual void set_interest(int fd, Interest interest) = 0;
  // Also from within a callback, its own too; there are no callbacks for it from then on.
  virtual void remove(int fd) = 0;
};

}  // namespace ringside

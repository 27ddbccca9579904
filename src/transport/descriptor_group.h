// Many descriptors that seldom have something, behind one in another loop: waiting costs what that
// one costs. For sockets whose owner must not slow the loop down, as those of debuggers that look.
//
// Owned by who owns the descriptors; used on the loop's thread.
#pragma once

#include <map>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "ringside/event_loop.h"

namespace ringside::transport {

class DescriptorGroup final : public EventLoop {
 public:
  // The loop outlives it. The error is the system's.
  static Result<std::unique_ptr<DescriptorGroup>> create(EventLoop& loop);
  ~DescriptorGroup() override;
  DescriptorGroup(const DescriptorGroup&) = delete;
  DescriptorGroup& operator=(const DescriptorGroup&) = delete;

  void add(int fd, Interest interest, Callback callback) override;
  void set_interest(int fd, Interest interest) override;
  void remove(int fd) override;

 private:
  struct Entry {
    int fd = -1;
    Interest interest = Interest::None;
    Interest watched = Interest::None;  // by the system: at least interest
    Callback callback;
    bool removed = false;
    bool apart = false;  // the loop watches it, not the system for the group
  };

  DescriptorGroup(EventLoop& loop, Fd epoll);
  void watch(Entry& entry, Interest now);
  void watch_apart(Entry& entry);
  void dispatch();

  EventLoop& loop_;
  Fd epoll_;
  // Shared, so that an entry outlives its removal by its own callback.
  std::map<int, std::shared_ptr<Entry>> entries_;
};

}  // namespace ringside::transport

#include "transport/readiness.h"

#include <poll.h>
#include <sys/epoll.h>

namespace ringside::transport {
namespace {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLHUP == POLLHUP &&
              EPOLLERR == POLLERR);

}  // namespace

bool includes(Interest interest, Interest part) {
  return (static_cast<unsigned>(interest) & static_cast<unsigned>(part)) ==
         static_cast<unsigned>(part);
}

std::uint32_t events_of(Interest interest) {
  return (includes(interest, Interest::Read) ? POLLIN : 0u) |
         (includes(interest, Interest::Write) ? POLLOUT : 0u);
}

// A descriptor that has come to its end is ready for everything: reading and writing tell.
EventLoop::Ready ready_for(Interest interest, std::uint32_t reported) {
  const bool ended = (reported & (POLLHUP | POLLERR | POLLNVAL)) != 0;
  return {((reported & POLLIN) != 0 || ended) && includes(interest, Interest::Read),
          ((reported & POLLOUT) != 0 || ended) && includes(interest, Interest::Write)};
}

}  // namespace ringside::transport

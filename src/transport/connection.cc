#include "transport/connection.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ringside::transport {
namespace {

bool ready(int fd, short events) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, 0) > 0;
}

// write(2) without its SIGPIPE. There is no flag for pipes as MSG_NOSIGNAL is for sockets, and how
// the process takes the signal is not ours to change; so it is held back on this thread meanwhile
// and one that we caused is taken off again.
ssize_t write_quietly(int fd, const char* data, std::size_t size) {
  sigset_t pipe_signal;
  sigset_t before;
  sigset_t pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t result = ::write(fd, data, size);
  const int error = errno;
  if (result < 0 && error == EPIPE && sigismember(&pending, SIGPIPE) == 0) {
    const timespec now{};
    while (sigtimedwait(&pipe_signal, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return result;
}

}  // namespace

int why_no_connection(int socket) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return errno;
  if (type != SOCK_STREAM) return EPROTOTYPE;
  sockaddr_storage peer{};
  size = sizeof peer;
  return ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) == 0 ? 0 : errno;
}

// What a peer has not room for waits with us, in bounded queues, and not in the kernel, which would
// let megabytes of a guest's text gather there before a debugger's stop report. A peer that reads
// is sent as much as ever.
Connection Connection::over_socket(Fd socket) {
  const int on = 1, waiting = 8 * 1024, waiting_unix = 64 * 1024;
  // Both fail on a unix socket, whose whole queue is bounded instead.
  const bool tcp = ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  if (tcp) {
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &waiting, sizeof waiting);
  } else {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &waiting_unix, sizeof waiting_unix);
  }
  return {std::move(socket), Fd()};
}

Connection Connection::over_descriptors(Fd input, Fd output) {
  return {std::move(input), std::move(output)};
}

Connection::~Connection() {
  if (!input_ || !is_socket()) return;
  // Closing a socket with unread input resets it, and a reset may overtake our last reply. So end
  // our side first and take what is there; a bounded amount, for a client that never stops.
  ::shutdown(input_.get(), SHUT_WR);
  char unread[4096];
  for (int i = 0; i < 64; ++i) {
    if (::recv(input_.get(), unread, sizeof unread, MSG_DONTWAIT) <= 0) break;
  }
}

std::size_t Connection::finish(ssize_t result, bool zero_is_end) {
  if (result > 0) return static_cast<std::size_t>(result);
  if (result == 0 && !zero_is_end) return 0;
  const bool later = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  if (!later) gone_ = true;
  return 0;
}

ssize_t Connection::receive(std::span<char> buffer) {
  if (!keeps_descriptors_) return ::recv(input_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  // What does not fit is closed by the kernel.
  constexpr std::size_t kMost = 16;
  alignas(cmsghdr) char control[CMSG_SPACE(kMost * sizeof(int))];
  iovec bytes{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t count = ::recvmsg(input_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) return count;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t size = part->cmsg_len - CMSG_LEN(0);
    for (std::size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      descriptors_.emplace_back(fd);
    }
  }
  return count;
}

std::size_t Connection::read(std::span<char> buffer) {
  if (gone_ || buffer.empty()) return 0;
  descriptors_.clear();
  if (is_socket()) return finish(receive(buffer), true);
  // Standard input and output share their open files with the shell and with stderr: making them
  // non-blocking would do so for all. Asking first does as well.
  if (!ready(input_.get(), POLLIN)) return 0;
  return finish(::read(input_.get(), buffer.data(), buffer.size()), true);
}

std::size_t Connection::peek(std::span<char> buffer) {
  if (gone_ || buffer.empty() || !is_socket()) return 0;
  return finish(::recv(input_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_PEEK), true);
}

std::size_t Connection::write(std::string_view bytes) {
  if (gone_ || bytes.empty()) return 0;
  if (is_socket()) {
    return finish(::send(input_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
                  false);
  }
  // A pipe that is ready takes PIPE_BUF bytes without blocking (POSIX, write).
  std::size_t written = 0;
  while (written < bytes.size() && ready(output_.get(), POLLOUT)) {
    const std::size_t size = std::min<std::size_t>(bytes.size() - written, PIPE_BUF);
    const std::size_t count =
        finish(write_quietly(output_.get(), bytes.data() + written, size), false);
    if (count == 0) break;
    written += count;
  }
  return written;
}

}  // namespace ringside::transport

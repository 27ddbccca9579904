#include "support/local_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "transport/unix_address.h"

namespace ringside::testing {
namespace {

constexpr std::chrono::seconds kPatience{400};

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

transport::UnixAddress address_of(const std::string& path) {
  const auto address = transport::unix_address(path);
  if (!address) throw std::runtime_error(address.error().text());
  return *address;
}

Fd make_socket() { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

void await(int socket, short events, const Deadline& deadline) {
  pollfd entry{socket, events, 0};
  const int ready = ::poll(&entry, 1, deadline.left());
  if (ready == 0) throw std::runtime_error("nothing comes from the other side of a socket");
  if (ready < 0 && errno != EINTR) fail("poll");
}

}  // namespace

LocalSocket LocalSocket::connect(const std::string& path) {
  const transport::UnixAddress address = address_of(path);
  Fd socket = make_socket();
  if (::connect(socket.get(), address.any(), address.kSize) != 0) fail("connect " + path);
  return LocalSocket(std::move(socket));
}

void LocalSocket::write(std::string_view text) {
  const Deadline deadline(kPatience);
  while (!text.empty()) {
    await(socket_.get(), POLLOUT, deadline);
    const ssize_t sent =
        ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EPIPE) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) fail("send");
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void LocalSocket::end_writing() { ::shutdown(socket_.get(), SHUT_WR); }

bool LocalSocket::read_some(std::string& text, std::size_t most) {
  await(socket_.get(), POLLIN, Deadline(kPatience));
  std::vector<char> room(most);
  const ssize_t count = ::recv(socket_.get(), room.data(), room.size(), 0);
  if (count > 0) text.append(room.data(), static_cast<std::size_t>(count));
  return count > 0;
}

std::string LocalSocket::read_line() {
  std::string text;
  while (read_some(text, 1)) {
    if (text.back() != '\n') continue;
    text.pop_back();
    break;
  }
  return text;
}

std::string LocalSocket::read_to_end() {
  std::string text;
  while (read_some(text, 65536)) {
  }
  return text;
}

std::string LocalSocket::exchange(std::string_view text) {
  std::string come;
  for (const Deadline deadline(kPatience); !text.empty();) {
    await(socket_.get(), POLLIN | POLLOUT, deadline);
    const ssize_t sent =
        ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
    char room[65536];
    const ssize_t count = ::recv(socket_.get(), room, sizeof room, MSG_DONTWAIT);
    if (count > 0) come.append(room, static_cast<std::size_t>(count));
    if (count == 0) return come;
  }
  end_writing();
  return come + read_to_end();
}

LocalListener::LocalListener(const std::string& path) : path_(path), socket_(make_socket()) {
  const transport::UnixAddress address = address_of(path);
  if (::bind(socket_.get(), address.any(), address.kSize) != 0 || ::listen(socket_.get(), 8) != 0)
    fail("listen " + path);
}

LocalListener::~LocalListener() { ::unlink(path_.c_str()); }

LocalSocket LocalListener::accept() const {
  await(socket_.get(), POLLIN, Deadline(kPatience));
  Fd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) fail("accept");
  return LocalSocket(std::move(socket));
}

}  // namespace ringside::testing

#include "transport/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "transport/unix_address.h"

namespace ringside::transport {
namespace {

// Programs that connect without waiting are refused beyond it, and to the guest's sockets many may
// come at once.
constexpr int kBacklog = 256;

Error cannot_listen(const Endpoint& endpoint, int errno_value) {
  return Error::from_errno("cannot listen on " + to_string(endpoint), errno_value);
}

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un local;
  sockaddr_storage storage;
};

SocketAddress local_address(int socket) {
  SocketAddress address{};
  socklen_t size = sizeof address.storage;
  ::getsockname(socket, &address.any, &size);
  return address;
}

bool is_loopback(const SocketAddress& address) {
  if (address.any.sa_family == AF_INET) return (ntohl(address.v4.sin_addr.s_addr) >> 24) == 127;
  const in6_addr& v6 = address.v6.sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

std::uint16_t port_of(const SocketAddress& address) {
  return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

// As a client would write it; nothing for what it cannot write: vsock, an abstract or no name.
std::optional<Endpoint> endpoint_at(const SocketAddress& address) {
  if (address.any.sa_family == AF_UNIX) {
    const std::string path = address.local.sun_path;
    if (path.empty()) return std::nullopt;
    return UnixEndpoint{path};
  }
  const bool v6 = address.any.sa_family == AF_INET6;
  if (!v6 && address.any.sa_family != AF_INET) return std::nullopt;
  char text[INET6_ADDRSTRLEN];
  const void* const bytes =
      v6 ? static_cast<const void*>(&address.v6.sin6_addr) : &address.v4.sin_addr;
  ::inet_ntop(address.any.sa_family, bytes, text, sizeof text);
  return TcpEndpoint{text, port_of(address)};
}

// A socket bound to `address` and listening, or the errno.
tl::expected<Fd, int> listen_on(int family, const sockaddr* address, socklen_t size) {
  Fd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return tl::unexpected<int>(errno);
  if (family == AF_UNIX) {
    // On Linux the file is made with the socket's own mode, so there is no moment in which others
    // could open it, and no umask to change under other threads.
    if (::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0) return tl::unexpected<int>(errno);
  } else {
    // A restart need not wait until the last connection's TIME_WAIT is over.
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (::bind(socket.get(), address, size) != 0) return tl::unexpected<int>(errno);
  if (::listen(socket.get(), kBacklog) != 0) return tl::unexpected<int>(errno);
  return socket;
}

// A socket file that nobody listens on, left by a process that was killed.
bool is_stale(const UnixAddress& address) {
  struct stat status {};
  if (::lstat(address.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  // A datagram socket cannot connect to a stream socket (EPROTOTYPE), so this never disturbs a
  // living listener with a client that is none; only where nobody is behind the file is it refused.
  const Fd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), address.any(), address.kSize) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Result<Listener> Listener::open(const Endpoint& endpoint) {
  Listener listener(endpoint);
  if (const auto* tcp = std::get_if<TcpEndpoint>(&endpoint)) {
    TRY(listener.open_tcp(*tcp));
  } else if (const auto* local = std::get_if<UnixEndpoint>(&endpoint)) {
    TRY(listener.open_unix(*local));
  } else if (const auto* inherited = std::get_if<FdEndpoint>(&endpoint)) {
    TRY(listener.open_inherited(*inherited));
  } else {
    TRY(listener.open_stdio());
  }
  return listener;
}

Result<> Listener::open_tcp(const TcpEndpoint& wanted) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(wanted.port);
  const int failure = ::getaddrinfo(wanted.address.c_str(), port.c_str(), &hints, &found);
  if (failure != 0) {
    return fail(ErrorCode::System, fmt::format("cannot listen on {}: {}", to_string(endpoint_),
                                               ::gai_strerror(failure)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    auto socket = listen_on(address->ai_family, address->ai_addr, address->ai_addrlen);
    if (!socket) {
      if (error == 0) error = socket.error();
      continue;
    }
    socket_ = std::move(*socket);
    const SocketAddress local = local_address(socket_.get());
    endpoint_ = TcpEndpoint{wanted.address, port_of(local)};
    outside_ = !is_loopback(local);
    return {};
  }
  return fail(cannot_listen(endpoint_, error));
}

Result<> Listener::open_unix(const UnixEndpoint& wanted) {
  const auto address = unix_address(wanted.path);
  if (!address) return fail(cannot_listen(endpoint_, ENAMETOOLONG));
  auto socket = listen_on(AF_UNIX, address->any(), address->kSize);
  if (!socket && socket.error() == EADDRINUSE && is_stale(*address)) {
    ::unlink(wanted.path.c_str());
    socket = listen_on(AF_UNIX, address->any(), address->kSize);
  }
  if (!socket) return fail(cannot_listen(endpoint_, socket.error()));
  socket_ = std::move(*socket);
  struct stat status {};
  if (::lstat(wanted.path.c_str(), &status) == 0) {
    file_ = SocketFile{wanted.path, status.st_dev, status.st_ino};
  }
  return {};
}

Result<> Listener::open_stdio() {
  // Copies, so that the originals stay open for whoever else has them.
  socket_ = Fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!socket_) return fail(Error::from_errno("cannot use standard input", errno));
  standard_output_ = Fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!standard_output_) return fail(Error::from_errno("cannot use standard output", errno));
  return {};
}

Result<> Listener::open_inherited(const FdEndpoint& wanted) {
  int listening = 0;
  socklen_t size = sizeof listening;
  const bool is_socket = ::getsockopt(wanted.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0;
  is_client_ = !is_socket || listening == 0;
  const int why_not = is_client_ ? why_no_connection(wanted.fd) : 0;
  if (why_not != 0) return fail(cannot_listen(endpoint_, why_not));
  // A copy, as of standard input.
  socket_ = Fd(::fcntl(wanted.fd, F_DUPFD_CLOEXEC, 3));
  if (!socket_) return fail(cannot_listen(endpoint_, errno));
  const int flags = ::fcntl(socket_.get(), F_GETFL);
  ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
  const SocketAddress local = local_address(socket_.get());
  const bool internet = local.any.sa_family == AF_INET || local.any.sa_family == AF_INET6;
  outside_ = internet ? !is_loopback(local) : local.any.sa_family != AF_UNIX;
  if (!is_client_) endpoint_ = endpoint_at(local).value_or(endpoint_);
  return {};
}

Listener::~Listener() {
  // A moved-from listener has no socket and thereby no claim on the file.
  if (!socket_ || !file_) return;
  struct stat status {};
  if (::lstat(file_->path.c_str(), &status) != 0) return;
  if (status.st_dev == file_->device && status.st_ino == file_->inode) {
    ::unlink(file_->path.c_str());
  }
}

std::optional<int> Listener::descriptor() const {
  if (!socket_) return std::nullopt;
  return socket_.get();
}

Fd Listener::hand_over() {
  file_.reset();
  return std::move(socket_);
}

std::optional<Connection> Listener::accept() {
  if (!socket_) return std::nullopt;
  if (is_client_) return Connection::over_socket(std::move(socket_));
  if (standard_output_) {
    return Connection::over_descriptors(std::move(socket_), std::move(standard_output_));
  }
  // A failure here is the client's (it went away again) or passes; the listener stays.
  Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client) return std::nullopt;
  return Connection::over_socket(std::move(client));
}

}  // namespace ringside::transport

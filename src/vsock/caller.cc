#include "vsock/caller.h"

#include <sys/socket.h>

#include <cerrno>

#include "sandbox/companion.h"
#include "sandbox/landlock.h"
#include "sandbox/messages.h"
#include "sandbox/system_calls.h"
#include "transport/unix_address.h"
#include "vsock/options.h"

namespace ringside::vsock {
namespace {

// At once, or not at all: where more wait than the listener takes, that is as if there were nobody.
Fd connect_to(const std::string& path) {
  const auto address = transport::unix_address(path);
  if (!address) return {};
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return {};
  if (::connect(socket.get(), address->any(), address->kSize) != 0) return {};
  return socket;
}

ssize_t receive_port(int socket, std::uint32_t& port) {
  ssize_t size = 0;
  do {
    size = ::recv(socket, &port, sizeof port, 0);
  } while (size < 0 && errno == EINTR);
  return size;
}

}  // namespace

void connect_for_others(int socket, const std::string& path) {
  std::uint32_t port = 0;
  while (receive_port(socket, port) == sizeof port) {
    sandbox::Answer answer;
    answer.fd = connect_to(path_of_port(path, port));
    if (!sandbox::send(socket, answer)) return;
  }
}

Result<Fd> start_caller(const std::string& path, const sandbox::Rights& rights) {
  const auto serve = [&](sandbox::CompanionFiles files) {
    const Result<void> prepared =
        sandbox::give_up(rights, {sandbox::forbid_names, sandbox::allow_only_local_calls});
    sandbox::Answer ready;
    if (!prepared) {
      ready.code = prepared.error().code();
      ready.text = prepared.error().text();
    }
    if (sandbox::send(files.socket, ready) && prepared) connect_for_others(files.socket, path);
  };
  Fd socket =
      TRY(sandbox::start_companion("ringside-call", sandbox::CompanionSocket::Packets, serve));
  const std::optional<sandbox::Answer> ready = sandbox::receive_answer(socket.get());
  if (!ready) return fail(ErrorCode::System, "the process that connects for the guest has died");
  if (ready->code) return fail(*ready->code, ready->text);
  return socket;
}

Fd call(int caller, std::uint32_t port) {
  if (::send(caller, &port, sizeof port, MSG_NOSIGNAL) != sizeof port) return {};
  std::optional<sandbox::Answer> answer = sandbox::receive_answer(caller);
  return answer ? std::move(answer->fd) : Fd();
}

}  // namespace ringside::vsock

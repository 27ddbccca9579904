#include "vsock/serve.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/landlock.h"
#include "sandbox/system_calls.h"
#include "transport/message_stream.h"
#include "transport/peer.h"
#include "vsock/caller.h"
#include "vsock/exchange.h"

namespace ringside::vsock {
namespace {

using transport::MessageReader;

// Of the guest, with what programs of the host have not taken, 32 MiB in all.
constexpr std::size_t kMostSockets = 256;

// As many as there can be, where a limit lets this process have fewer. A core would hold what the
// guest sent.
std::size_t limit_resources() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  constexpr rlim_t kOthers = 32;  // open beside them
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return kMostSockets;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
  const rlim_t most = files.rlim_max > kOthers ? files.rlim_max - kOthers : 1;
  return static_cast<std::size_t>(std::min<rlim_t>(most, kMostSockets));
}

// Lets programs of the host in, by who they are.
class Door {
 public:
  Door(Fd listener, const Admission& admission)
      : listener_(std::move(listener)), admission_(admission), self_(transport::this_process()) {}

  // The rights of whoever this process has become.
  void set_user() { self_.user = ::geteuid(); }
  int descriptor() const { return listener_.get(); }
  void open(Exchange& exchange) {
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;
    const transport::Peer peer = transport::peer_of(client.get(), nullptr, "");
    if (transport::judge(peer, admission_, self_))
      return exchange.welcome(std::move(client), Clock::now());
    if (!peer.user) return;
    const std::uint32_t user = *peer.user;
    if (exchange.out().has_room()) exchange.out().put_message(std::as_bytes(std::span(&user, 1)));
  }

 private:
  Fd listener_;
  const Admission& admission_;
  transport::Self self_;
};

void run(int socket, Exchange& exchange, Door& door) {
  MessageReader reader;
  std::vector<pollfd> polled;
  for (;;) {
    if (!exchange.out().flush(socket)) return;
    const int wanted = exchange.out().empty() ? POLLIN : POLLIN | POLLOUT;
    const int listener = exchange.has_place() ? door.descriptor() : -1;
    polled.assign({{socket, static_cast<short>(wanted), 0}, {listener, POLLIN, 0}});
    const int timeout = exchange.prepare(polled, Clock::now());
    if (::poll(polled.data(), polled.size(), timeout) < 0) {
      if (errno != EINTR) return;
      for (pollfd& entry : polled)
        entry.revents = 0;
    }
    exchange.proceed(std::span(polled).subspan(2), Clock::now());
    if (polled[1].revents != 0) door.open(exchange);
    if (polled[0].revents != 0 &&
        reader.receive(socket, MessageReader::Waiting::No) == MessageReader::Received::End)
      return;
    while (const auto packet = reader.next())
      exchange.take(*packet, Clock::now());
    if (reader.is_broken()) return;
  }
}

}  // namespace

// The process that calls is made while this one still has the right to make one.
void serve(int socket, Fd listener, const VsockOptions& options, const Admission& admission,
           const sandbox::Rights& rights) {
  const Result<Fd> caller = start_caller(options.path, rights);
  const std::size_t most = limit_resources();
  Door door(std::move(listener), admission);
  const Result<void> prepared =
      caller ? sandbox::give_up(rights, {sandbox::forbid_names, sandbox::allow_only_local_sockets})
             : fail(caller.error());
  const std::string reason = prepared ? "" : prepared.error().text();
  if (!transport::send_message(socket, std::as_bytes(std::span(reason))) || !prepared) return;
  door.set_user();
  Exchange exchange(options.cid, most,
                    [&caller](std::uint32_t port) { return call(caller->get(), port); });
  run(socket, exchange, door);
}

}  // namespace ringside::vsock

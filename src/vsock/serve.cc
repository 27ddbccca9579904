#include "vsock/serve.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "sandbox/landlock.h"
#include "sandbox/messages.h"
#include "sandbox/system_calls.h"
#include "transport/message_stream.h"
#include "transport/peer.h"
#include "vsock/caller.h"
#include "vsock/carry.h"
#include "vsock/exchange.h"
#include "vsock/line.h"

namespace ringside::vsock {
namespace {

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

// Lets programs of the host in, by who they are, once there is a place where they come.
class HostsDoor final : public Door {
 public:
  HostsDoor(Fd socket, const Admission& admission)
      : socket_(std::move(socket)), admission_(admission), self_(transport::this_process()) {}

  // The rights of whoever this process has become.
  void set_user() { self_.user = ::geteuid(); }
  int descriptor() const override { return listener_ ? listener_.get() : socket_.get(); }
  void open(Exchange& exchange) override {
    if (!listener_) return take_listener();
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;
    const transport::Peer peer = transport::peer_of(client.get(), nullptr, "");
    if (transport::judge(peer, admission_, self_))
      return exchange.welcome(std::move(client), Clock::now());
    if (peer.user && exchange.out().has_room())
      exchange.out().put_message(Notice{Notice::What::Refused, *peer.user}.bytes());
  }
  // Whoever has connected and was not let in is turned away.
  void close() { listener_.reset(); }

 private:
  void take_listener() {
    std::optional<sandbox::Answer> given = sandbox::receive_answer(socket_.get());
    socket_.reset();
    if (given) listener_ = std::move(given->fd);
  }

  Fd socket_, listener_;
  const Admission& admission_;
  transport::Self self_;
};

// What a companion ignores: ringside is there no longer to obey them.
void obey_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    ::signal(signal, SIG_DFL);
}

}  // namespace

// The process that calls is made while this one still has the right to make one.
void serve(int socket, Fd door, const VsockOptions& options, const Admission& admission,
           const sandbox::Rights& rights) {
  Result<Fd> caller = start_caller(options.path, rights);
  const std::size_t most = limit_resources();
  HostsDoor hosts_door(std::move(door), admission);
  const Result<void> prepared =
      caller ? sandbox::give_up(rights, {sandbox::forbid_names, sandbox::allow_only_local_sockets})
             : fail(caller.error());
  const std::string reason = prepared ? "" : prepared.error().text();
  if (!transport::send_message(socket, std::as_bytes(std::span(reason))) || !prepared) return;
  hosts_door.set_user();
  Exchange exchange(options.cid, most,
                    [&caller](std::uint32_t port) { return call(caller->get(), port); });
  if (carry(socket, exchange, hosts_door, caller->get()) == LineEnd::Cut) return;
  obey_signals();
  hosts_door.close();
  caller->reset();
  give_what_is_left(exchange, Clock::now() + kLastTime);
}

bool give_listener(const Fd& door, Fd listener) {
  sandbox::Answer answer;
  answer.fd = std::move(listener);
  return sandbox::send(door.get(), answer);
}

}  // namespace ringside::vsock

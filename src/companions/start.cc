#include "companions/start.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "network/user_network.h"
#include "sandbox/companion.h"
#include "share/serve.h"
#include "transport/message_stream.h"
#include "vsock/serve.h"

namespace ringside::companions {
namespace {

// The first message says how the start went: nothing, or why it failed.
Result<Fd> ready(Fd socket, std::string_view what) {
  const auto message = transport::receive_message(socket.get());
  if (!message)
    return fail(ErrorCode::System, std::string(what) + ": the process that serves it has died");
  if (message->empty()) return socket;
  return fail(ErrorCode::System,
              std::string(reinterpret_cast<const char*>(message->data()), message->size()));
}

Result<Fd> start_share(const SharedFolder& folder, const sandbox::Rights& rights) {
  const Fd directory(::open(folder.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail(Error::from_errno("--share: directory '" + folder.path + "'", errno));
  return sandbox::start_companion(
      "ringside-share", sandbox::CompanionSocket::Stream,
      [&](sandbox::CompanionFiles files) {
        share::serve(files.socket, Fd(files.kept), folder.access, rights);
      },
      directory.get());
}

Result<void> start_vsock(const Wishes& wishes, Sockets& sockets) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(Error::from_errno("socketpair", errno));
  sockets.vsock_door.reset(ends[0]);
  const Fd door(ends[1]);
  sockets.vsock = TRY(sandbox::start_companion(
      "ringside-vsock", sandbox::CompanionSocket::Stream,
      [&](sandbox::CompanionFiles files) {
        vsock::serve(files.socket, Fd(files.kept), *wishes.vsock, wishes.admission, wishes.rights);
      },
      door.get()));
  return {};
}

}  // namespace

// All of them start at once, and then each is asked.
Result<Sockets> start(const Wishes& wishes) {
  Sockets sockets;
  if (wishes.network) {
    sockets.network = TRY(sandbox::start_companion(
        "ringside-net", sandbox::CompanionSocket::Stream, [&](sandbox::CompanionFiles files) {
          network::serve(files.socket, *wishes.network, wishes.rights);
        }));
  }
  for (const SharedFolder& folder : wishes.shares)
    sockets.shares.push_back(TRY(start_share(folder, wishes.rights)));
  if (wishes.vsock) TRY(start_vsock(wishes, sockets));
  if (sockets.network) sockets.network = TRY(ready(std::move(sockets.network), "--net"));
  for (Fd& socket : sockets.shares)
    socket = TRY(ready(std::move(socket), "--share"));
  if (sockets.vsock) sockets.vsock = TRY(ready(std::move(sockets.vsock), "--vsock"));
  return sockets;
}

}  // namespace ringside::companions

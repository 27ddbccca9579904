// What the other ends of the guest's sockets call: Unix sockets that are there, of programs of the
// host; and what the process calls that connects to such programs.
#include <sys/socket.h>

#include <cerrno>

#include "sandbox/companion_calls.h"
#include "sandbox/system_calls.h"

namespace ringside::sandbox {
namespace {

// Whatever their arguments are. No socket is made, bound or connected.
constexpr int kNeeded[] = {
    SCMP_SYS(poll),     SCMP_SYS(ppoll),       SCMP_SYS(recvmsg),       SCMP_SYS(accept4),
    SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(clock_gettime),
};

}  // namespace

Result<void> allow_only_local_sockets() {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  allow_what_companions_need(filter);
  for (const int call : kNeeded)
    filter.allow(call);
  // Who is at the other end.
  filter.allow(SCMP_SYS(getsockopt), {number_is(1, SOL_SOCKET)});
  return filter.load();
}

Result<void> allow_only_local_calls() {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  allow_what_companions_need(filter);
  constexpr std::uint32_t kKindOnly = 0xf;  // without SOCK_NONBLOCK and SOCK_CLOEXEC
  filter.allow(SCMP_SYS(socket),
               {number_is(0, AF_UNIX), bits_are(1, kKindOnly, SOCK_STREAM), number_is(2, 0)});
  filter.allow(SCMP_SYS(connect));
  return filter.load();
}

}  // namespace ringside::sandbox

// What a user-mode network calls: sockets of the internet's protocols, and the file that names the
// host's name server.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "sandbox/companion_calls.h"
#include "sandbox/system_calls.h"

namespace ringside::sandbox {
namespace {

// Whatever their arguments are.
constexpr int kNeeded[] = {
    // sockets that are there
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvmsg),
    SCMP_SYS(connect),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    // files that are there
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    // time
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    // who
    SCMP_SYS(getuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
};

// TCP, UDP and the echoes of ping, which need a raw socket where the host permits no other. None of
// the kernel's own sockets, of the host's local ones or of those that see others' packets.
void allow_sockets(Filter& filter) {
  constexpr std::uint32_t kKindOnly = 0xf;  // without SOCK_NONBLOCK and SOCK_CLOEXEC
  for (const std::uint32_t family : {AF_INET, AF_INET6}) {
    for (const std::uint32_t kind : {SOCK_STREAM, SOCK_DGRAM})
      filter.allow(SCMP_SYS(socket),
                   {number_is(0, family), bits_are(1, kKindOnly, kind), number_is(2, 0)});
  }
  for (const std::uint32_t kind : {SOCK_DGRAM, SOCK_RAW})
    filter.allow(SCMP_SYS(socket),
                 {number_is(0, AF_INET), bits_are(1, kKindOnly, kind), number_is(2, IPPROTO_ICMP)});
  struct Option {
    std::uint32_t level, name;
  };
  for (const Option option :
       {Option{SOL_SOCKET, SO_REUSEADDR}, Option{SOL_SOCKET, SO_OOBINLINE},
        Option{IPPROTO_TCP, TCP_NODELAY}, Option{IPPROTO_IP, IP_TTL},
        Option{IPPROTO_IP, IP_RECVERR}, Option{IPPROTO_IPV6, IPV6_UNICAST_HOPS},
        Option{IPPROTO_IPV6, IPV6_RECVERR}})
    filter.allow(SCMP_SYS(setsockopt), {number_is(1, option.level), number_is(2, option.name)});
}

}  // namespace

Result<void> allow_only_a_network() {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  allow_what_companions_need(filter, SendsTo::Anybody);
  for (const int call : kNeeded)
    filter.allow(call);
  allow_sockets(filter);
  allow_opening_to_read(filter);
  for (const std::uint32_t command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL})
    filter.allow(SCMP_SYS(fcntl), {number_is(1, command)});
  filter.allow(SCMP_SYS(ioctl), {number_is(1, FIONREAD)});
  return filter.load();
}

}  // namespace ringside::sandbox

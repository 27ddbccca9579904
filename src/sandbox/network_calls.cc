// What a user-mode network calls: sockets of the internet's protocols, and the file that names the
// host's name server.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/filter.h"
#include "sandbox/system_calls.h"

namespace ringside::sandbox {
namespace {

// Whatever their arguments are.
constexpr int kNeeded[] = {
    // sockets that are there
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
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
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    // memory
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    // signals and time
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    // who, and the end
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrandom),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
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
  for (const int call : kNeeded)
    filter.allow(call);
  allow_sockets(filter);
  constexpr std::uint64_t kWrites = O_ACCMODE | O_CREAT | O_TRUNC;
  filter.allow(SCMP_SYS(openat), {bits_are(2, kWrites, O_RDONLY)});
  filter.allow(SCMP_SYS(open), {bits_are(1, kWrites, O_RDONLY)});
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    filter.allow(call, {bits_are(2, PROT_EXEC, 0)});
  for (const std::uint32_t command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL})
    filter.allow(SCMP_SYS(fcntl), {number_is(1, command)});
  filter.allow(SCMP_SYS(ioctl), {number_is(1, FIONREAD)});
  // abort()
  filter.allow(SCMP_SYS(tgkill), {number_is(0, static_cast<std::uint32_t>(::getpid()))});
  kill_for_what_is_hostile(filter);
  return filter.load();
}

}  // namespace ringside::sandbox

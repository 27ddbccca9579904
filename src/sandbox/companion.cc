#include "sandbox/companion.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace ringside::sandbox {
namespace {

void close_between(int first, int last) {
  if (first > last ||
      ::close_range(static_cast<unsigned>(first), static_cast<unsigned>(last), 0) == 0)
    return;
  constexpr long kMostByHand = 65536;
  const long end = std::min(::sysconf(_SC_OPEN_MAX), kMostByHand);
  for (int fd = first; fd <= last && fd < end; ++fd)
    ::close(fd);
}

// The same open file, by a number that no standard stream has.
int above_standard(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); }

// Nobody's output, input or connection stays open because of a companion: were the other process's
// end open here, this one would never see that it has gone.
void let_go_of_everything_but(int socket, int kept) {
  const Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    ::dup2(nothing.get(), standard);
  const int low = std::min(socket, kept), high = std::max(socket, kept);
  close_between(STDERR_FILENO + 1, low - 1);
  close_between(std::max(low, STDERR_FILENO) + 1, high - 1);
  close_between(high + 1, std::numeric_limits<int>::max());
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE})
    ::signal(number, SIG_IGN);
}

}  // namespace

Result<Fd> start_companion(const char* name, CompanionSocket kind,
                           const std::function<void(CompanionFiles)>& serve, int kept) {
  int ends[2];
  const int type = kind == CompanionSocket::Packets ? SOCK_SEQPACKET : SOCK_STREAM;
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(Error::from_errno("socketpair", errno));
  Fd ours(ends[0]), companions(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail(Error::from_errno("fork", errno));
  if (child != 0) return ours;
  // Whatever is not kept closes with everything else.
  const int socket = above_standard(companions.release());
  ours.release();
  const int also = kept < 0 ? kept : above_standard(kept);
  let_go_of_everything_but(socket, also);
  ::prctl(PR_SET_NAME, name);
  serve({socket, also});
  ::_exit(0);
}

}  // namespace ringside::sandbox

// What a client of a server calls that it is connected with: it sends, receives and waits.
#include "sandbox/companion_calls.h"
#include "sandbox/system_calls.h"

#include <fcntl.h>

#include <cerrno>

namespace ringside::sandbox {
namespace {

// Whatever their arguments are.
constexpr int kNeeded[] = {
    SCMP_SYS(poll),          SCMP_SYS(ppoll),        SCMP_SYS(read),
    SCMP_SYS(recvmsg),       SCMP_SYS(shutdown),     SCMP_SYS(getsockopt),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),
};

}  // namespace

Result<void> allow_only_a_client() {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  allow_what_companions_need(filter);
  for (const int call : kNeeded)
    filter.allow(call);
  for (const std::uint32_t command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL})
    filter.allow(SCMP_SYS(fcntl), {number_is(1, command)});
  return filter.load();
}

}  // namespace ringside::sandbox

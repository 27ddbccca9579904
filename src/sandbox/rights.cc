#include "sandbox/rights.h"

#include <sys/prctl.h>

#include <cerrno>

#include "sandbox/sandbox.h"
#include "sandbox/user.h"

namespace ringside::sandbox {

// Names first: the filter would forbid Landlock's calls.
Result<void> give_up(const Rights& rights, const Walls& walls) {
  if (!rights.user.empty()) TRY(become(rights.user));
  if (rights.confinement == Confinement::Off || !why_none().empty()) return {};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(Error::from_errno("PR_SET_NO_NEW_PRIVS", errno));
  (void)walls.names();
  const Result<void> filtered = walls.calls();
  return rights.confinement == Confinement::Required ? filtered : Result<void>();
}

}  // namespace ringside::sandbox

#include "share/ownership.h"

#include <fcntl.h>
#include <unistd.h>

namespace ringside::share {

// Where this fails, as in a namespace that does not have the user, the file stays this process's.
void give(const Object& object, std::uint32_t user, std::uint32_t group) {
  if (::geteuid() == 0) (void)!::fchownat(object.fd.get(), "", user, group, AT_EMPTY_PATH);
}

}  // namespace ringside::share

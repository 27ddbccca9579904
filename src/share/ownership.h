// To whom belongs what a guest makes. Where this process has root's rights: to the user who has
// attached, and to the group that the request names. Elsewhere: to the user who runs it.
#pragma once

#include <cstdint>

#include "share/tree.h"

namespace ringside::share {

void give(const Object& object, std::uint32_t user, std::uint32_t group);

}  // namespace ringside::share

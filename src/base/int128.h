// Integers of 128 bits, which the compilers have beside the standard.
#pragma once

namespace ringside {

__extension__ using Unsigned128 = unsigned __int128;
__extension__ using Signed128 = __int128;

}  // namespace ringside

// For results where the manual leaves open which NaN of several comes out.
#pragma once

#include <cmath>
#include <cstring>

namespace ringside::soft::testing {

// Vectors of bytes, as lanes of float or double: where both have a NaN, `to` gets the one of
// `from`.
template <typename Lane, typename Vector>
void take_nans(const Vector& from, Vector& to) {
  for (std::size_t at = 0; at < from.size(); at += sizeof(Lane)) {
    Lane theirs, ours;
    std::memcpy(&theirs, from.data() + at, sizeof theirs);
    std::memcpy(&ours, to.data() + at, sizeof ours);
    if (std::isnan(theirs) && std::isnan(ours)) std::memcpy(to.data() + at, &theirs, sizeof theirs);
  }
}

}  // namespace ringside::soft::testing

// Random states in which an instruction does something worth comparing: edge values in registers,
// memory operands where memory is, now and then across pages, read-only or unmapped.
#pragma once

#include <span>

#include "differential/forms.h"
#include "differential/state.h"

namespace ringside::differential {

// A random value with a liking for edges.
std::uint64_t edge_value(Random& random);

// A case for `encoding`. The memory that it uses is refilled in `data` (kData's pages).
Case make_case(const Encoding& encoding, std::span<std::uint8_t> data, Random& random);

}  // namespace ringside::differential

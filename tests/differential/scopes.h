// Which encodings each family's test compares with the host: together, with what coverage_test.cc
// leaves out by name, all that the software CPU executes at privilege 3.
#pragma once

#include "differential/forms.h"

namespace ringside::differential {

bool claimed_as_integer(const Encoding& encoding);  // branches and strings too
bool claimed_as_system(const Encoding& encoding);
bool claimed_as_vector(const Encoding& encoding);      // MMX and SSE
bool claimed_as_avx(const Encoding& encoding);         // with FMA and F16C
bool claimed_as_bit_fields(const Encoding& encoding);  // BMI, LZCNT, ADX
bool claimed_as_x87(const Encoding& encoding);

}  // namespace ringside::differential

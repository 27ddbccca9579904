// The system calls that ringside makes, and how each can fail though it was asked rightly: the
// errors of its manual page (section 2) that come from the host, not from the arguments. A call
// that no row is about fails the test, so that nobody forgets to say how it can fail.
#pragma once

#include <cstdint>
#include <vector>

namespace ringside::testing {

enum class Part {
  Never,
  Possible,  // it may do less than it was asked to, and say so
};

struct Call {
  const char* name;
  long number;
  std::vector<int> errors;  // the likeliest first; none: it cannot fail
  Part part = Part::Never;
};

// The row of that number; null: there is none.
const Call* find_call(long number);

// A write to standard error is a call of its own: what cannot be said there cannot be said.
inline constexpr long kWriteToStandardError = 100'000;
// Waking a thread, which futex(2) does, too, cannot fail.
inline constexpr long kWakeByFutex = 100'001;
long kind_of_call(long number, std::uint64_t first_argument, std::uint64_t second_argument);

}  // namespace ringside::testing

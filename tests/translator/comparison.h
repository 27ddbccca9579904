// Two long runs compared at many counts.
#pragma once

#include <functional>
#include <string>

#include "translator/twins.h"

namespace ringside::testing {

struct Comparison {
  std::uint64_t every = 1'000'000;          // instructions: everything; and once in between, at
                                            // random, everything but memory
  std::uint64_t until = ~std::uint64_t{0};  // at most so far
  std::uint64_t seed = 0;                   // of the counts at random
  bool narrow = true;                       // a difference is narrowed down
  // Asked where the two were alike; false: far enough. Empty: never.
  std::function<bool(Twins&)> goes_on{};
};

struct Compared {
  std::uint64_t instructions = 0, times = 0;
  // Empty: none, at any of these counts. A block that the assembler refused counts as one.
  std::string difference;
  std::unique_ptr<Twins> twins;  // where they are now
};

// Until both have come to an end, or to the last count, or are different.
Compared compare(const MakeTwins& make, const Comparison& comparison);

}  // namespace ringside::testing

// For the targets alone.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace ringside::fuzz {

// Stays on in every build, unlike assert, and says which one failed.
inline void check(bool condition, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  if (condition) return;
  std::fprintf(stderr, "%s:%d: a check has failed\n", file, line);
  std::abort();
}

}  // namespace ringside::fuzz

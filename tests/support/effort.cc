#include "support/effort.h"

#include <algorithm>
#include <cstdlib>

namespace ringside::testing {

unsigned test_events(unsigned usual) {
  const char* text = std::getenv("RINGSIDE_TEST_EVENTS");
  return text == nullptr ? usual : static_cast<unsigned>(std::max(1, std::atoi(text)));
}

unsigned slowness() {
  constexpr unsigned kUsual = 1000;
  return std::max(1u, kUsual / test_events(kUsual));
}

}  // namespace ringside::testing

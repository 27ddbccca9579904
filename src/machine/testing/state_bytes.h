// Saving into and loading from a byte vector. For tests only.
#pragma once

#include <vector>

#include "base/state_bytes.h"

namespace ringside::machine::testing {

template <typename Stateful>
std::vector<std::byte> save(Stateful& object) {
  StateSaver saver;
  object.visit_state(saver);
  return saver.saved;
}

// True when all that was saved was taken.
template <typename Stateful>
bool load(Stateful& object, const std::vector<std::byte>& saved) {
  StateLoader loader(saved);
  object.visit_state(loader);
  return loader.finished();
}

}  // namespace ringside::machine::testing

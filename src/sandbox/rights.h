// What is left to a companion (companion.h) once it does its work.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace ringside::sandbox {

enum class Confinement : std::uint8_t {
  Off,
  On,        // as far as the host can
  Required,  // or it is an error; Landlock is a second wall, which a kernel may lack
};

struct Rights {
  Confinement confinement = Confinement::On;
  std::string user;  // to whom root's rights are handed down; empty: nobody
};

// What a companion is left with where it is confined.
struct Walls {
  std::function<Result<void>()> names;  // of landlock.h
  std::function<Result<void>()> calls;  // of system_calls.h
};

// Takes away all other rights of the process, for good. What a host does not have is gone without
// unless it is required, as in the process that runs the guest, which says so.
Result<void> give_up(const Rights& rights, const Walls& walls);

}  // namespace ringside::sandbox

// What is left to a companion (companion.h) once it does its work.
#pragma once

#include <cstdint>
#include <string>

namespace ringside::sandbox {

enum class Confinement : std::uint8_t { Off, On };

struct Rights {
  Confinement confinement = Confinement::On;
  std::string user;  // to whom root's rights are handed down; empty: nobody
};

}  // namespace ringside::sandbox

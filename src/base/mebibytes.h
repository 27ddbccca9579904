// A size of memory for people: "256 MiB", and "1028 KiB" where it is no whole number of MiB.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace ringside {

inline std::string in_mebibytes(std::uint64_t bytes) {
  return bytes % (1u << 20) == 0 ? fmt::format("{} MiB", bytes >> 20)
                                 : fmt::format("{} KiB", bytes >> 10);
}

}  // namespace ringside

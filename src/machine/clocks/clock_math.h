// Exact conversion between nanoseconds and the ticks of a clock.
#pragma once

#include <cstdint>

namespace ringside::machine {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

// Ticks that have begun and ended by `ns`.
constexpr std::uint64_t ns_to_ticks(std::uint64_t ns, std::uint64_t hz) {
  return ns / kNsPerSecond * hz + ns % kNsPerSecond * hz / kNsPerSecond;
}

// The first nanosecond at which ns_to_ticks gives `ticks`.
constexpr std::uint64_t ticks_to_ns(std::uint64_t ticks, std::uint64_t hz) {
  return ticks / hz * kNsPerSecond + (ticks % hz * kNsPerSecond + hz - 1) / hz;
}

}  // namespace ringside::machine

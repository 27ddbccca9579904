// Strong types for the numbers that must never be mixed up. They are plain values, freely copied,
// owned by nobody; they convert to one another only where a mapping is at hand (paging).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace ringside {

// An address as the guest's instructions see it after segmentation (a linear address).
struct Gva {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const Gva&, const Gva&) = default;
  friend constexpr Gva operator+(Gva a, std::uint64_t n) { return {a.value + n}; }
  friend constexpr Gva operator-(Gva a, std::uint64_t n) { return {a.value - n}; }
};

// An address on the guest's memory bus, after paging.
struct Gpa {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const Gpa&, const Gpa&) = default;
  friend constexpr Gpa operator+(Gpa a, std::uint64_t n) { return {a.value + n}; }
  friend constexpr Gpa operator-(Gpa a, std::uint64_t n) { return {a.value - n}; }
};

// The number of a virtual CPU, from 0. The debugger's thread id is this plus one.
struct VcpuId {
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(const VcpuId&, const VcpuId&) = default;
};

// Instructions retired, the software CPU's only clock.
struct InsnCount {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const InsnCount&, const InsnCount&) = default;
};

// The guest's time since power-on, in nanoseconds.
struct VirtualTime {
  std::uint64_t ns = 0;
  friend constexpr auto operator<=>(const VirtualTime&, const VirtualTime&) = default;
  friend constexpr VirtualTime operator+(VirtualTime a, std::uint64_t n) { return {a.ns + n}; }
};
inline constexpr VirtualTime kNever{~std::uint64_t{0}};

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr std::uint64_t kPageMask = ~(kPageSize - 1);
inline constexpr unsigned kMaxVcpus = 64;

}  // namespace ringside

template <>
struct std::hash<ringside::Gva> {
  std::size_t operator()(ringside::Gva a) const noexcept {
    return std::hash<std::uint64_t>{}(a.value);
  }
};
template <>
struct std::hash<ringside::Gpa> {
  std::size_t operator()(ringside::Gpa a) const noexcept {
    return std::hash<std::uint64_t>{}(a.value);
  }
};

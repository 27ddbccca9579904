// Vectors seen as lanes of integers, for the semantics of MMX and integer SSE: each operation is
// written once, over lanes, and works on 8-byte (MMX) and 16-byte (XMM) values. Plain functions of
// values; the compiler makes vector code of the loops.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "engine/soft/state/fpu.h"

namespace ringside::soft {

struct alignas(8) Mmx {
  std::array<std::uint8_t, 8> bytes{};
};

template <typename T, typename V>
inline constexpr unsigned kLanes = sizeof(V) / sizeof(T);

template <typename T, typename V>
using LanesOf = std::array<T, kLanes<T, V>>;

template <typename T, typename V>
LanesOf<T, V> lanes(const V& value) {
  return std::bit_cast<LanesOf<T, V>>(value);
}
template <typename V, typename T, std::size_t kCount>
V vector_of(const std::array<T, kCount>& values) {
  return std::bit_cast<V>(values);
}

// function(a lane, b lane) for each lane of T.
template <typename T, typename V, typename Function>
V map(const V& a, const V& b, Function function) {
  const auto x = lanes<T>(a);
  const auto y = lanes<T>(b);
  LanesOf<T, V> result;
  for (unsigned i = 0; i < kLanes<T, V>; ++i)
    result[i] = static_cast<T>(function(x[i], y[i]));
  return vector_of<V>(result);
}
template <typename T, typename V, typename Function>
V map(const V& a, Function function) {
  const auto x = lanes<T>(a);
  LanesOf<T, V> result;
  for (unsigned i = 0; i < kLanes<T, V>; ++i)
    result[i] = static_cast<T>(function(x[i]));
  return vector_of<V>(result);
}

// To the nearest value of the narrower type.
template <typename T, typename Wide>
constexpr T saturate(Wide value) {
  constexpr auto low = static_cast<Wide>(std::numeric_limits<T>::min());
  constexpr auto high = static_cast<Wide>(std::numeric_limits<T>::max());
  return static_cast<T>(value < low ? low : value > high ? high : value);
}

template <typename T>
constexpr T all_ones_if(bool condition) {
  return condition ? static_cast<T>(~T{0}) : T{0};
}

}  // namespace ringside::soft

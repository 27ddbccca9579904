// Binary floating-point formats as bits (IEEE 754), and how an exact value is rounded to one of
// them under MXCSR: for operations that are computed here, not by the host. Plain functions of
// values.
#pragma once

#include <bit>
#include <cstdint>

#include "base/int128.h"
#include "engine/soft/instructions/vector/mxcsr_bits.h"

namespace ringside::soft {

using Significand = Unsigned128;

template <typename T>
struct FloatFormat {  // of std::uint16_t, std::uint32_t and std::uint64_t
  static constexpr int kFractionBits = sizeof(T) == 2 ? 10 : sizeof(T) == 4 ? 23 : 52;
  static constexpr int kExponentBits = 8 * static_cast<int>(sizeof(T)) - 1 - kFractionBits;
  static constexpr T kSign = static_cast<T>(T{1} << (8 * sizeof(T) - 1));
  static constexpr T kExponentMax = static_cast<T>((T{1} << kExponentBits) - 1);
  static constexpr T kInfinity = static_cast<T>(kExponentMax << kFractionBits);
  static constexpr T kQuiet = static_cast<T>(T{1} << (kFractionBits - 1));
  static constexpr T kDefaultNan = static_cast<T>(kSign | kInfinity | kQuiet);
  static constexpr T kHidden = static_cast<T>(T{1} << kFractionBits);
  static constexpr T kFraction = static_cast<T>(kHidden - 1);
  static constexpr int kBias = static_cast<int>(kExponentMax / 2);
  static constexpr int kLeastExponent = 1 - kBias, kGreatestExponent = kBias;

  static constexpr T magnitude(T x) { return static_cast<T>(x & ~kSign); }
  static constexpr bool is_nan(T x) { return magnitude(x) > kInfinity; }
  static constexpr bool is_signalling(T x) { return is_nan(x) && (x & kQuiet) == 0; }
  static constexpr bool is_infinite(T x) { return magnitude(x) == kInfinity; }
  static constexpr bool is_zero(T x) { return magnitude(x) == 0; }
  static constexpr bool is_denormal(T x) { return !is_zero(x) && magnitude(x) < kHidden; }
  static constexpr T denormal_as_zero(T x) {
    return is_denormal(x) ? static_cast<T>(x & kSign) : x;
  }
};

// A finite value other than zero: significand * 2^exponent, and where `more` a little further from
// zero, by less than one unit of the significand's last place.
struct ExactValue {
  bool negative = false;
  int exponent = 0;
  Significand significand = 0;
  bool more = false;

  int top_bit() const {
    const auto high = static_cast<std::uint64_t>(significand >> 64);
    return high != 0 ? 127 - std::countl_zero(high)
                     : 63 - std::countl_zero(static_cast<std::uint64_t>(significand));
  }
};
template <typename T>
ExactValue exact(T x) {
  using F = FloatFormat<T>;
  const int exponent = static_cast<int>(F::magnitude(x) >> F::kFractionBits);
  const T fraction = static_cast<T>(x & F::kFraction);
  const int scale = (exponent == 0 ? F::kLeastExponent : exponent - F::kBias) - F::kFractionBits;
  return {(x & F::kSign) != 0, scale,
          static_cast<Significand>(exponent == 0 ? fraction : fraction | F::kHidden), false};
}

enum class Rounding : unsigned { Nearest, Down, Up, Zero };  // as MXCSR.RC has them
constexpr Rounding rounding_of(std::uint32_t guest) {
  return static_cast<Rounding>(guest >> 13 & 3);
}

// `value` without its lowest `lost` bits, rounded; and whether anything was lost.
struct Rounded {
  std::uint64_t significand = 0;
  bool inexact = false;
};
inline Rounded round_off(const ExactValue& value, int lost, Rounding mode) {
  if (lost <= 0) {
    const auto whole = static_cast<std::uint64_t>(value.significand << -lost);
    // What is beyond the last place is beyond a half of nothing here: the caller keeps more bits
    // than a format has.
    return {whole, value.more};
  }
  if (lost > 127) lost = 127;
  const Significand unit = static_cast<Significand>(1) << lost;
  auto kept = static_cast<std::uint64_t>(value.significand >> lost);
  const Significand rest = value.significand & (unit - 1), half = unit >> 1;
  const bool inexact = rest != 0 || value.more;
  bool up = false;
  switch (mode) {
    case Rounding::Nearest:
      up = rest > half || (rest == half && (value.more || (kept & 1) != 0));
      break;
    case Rounding::Down:
      up = inexact && value.negative;
      break;
    case Rounding::Up:
      up = inexact && !value.negative;
      break;
    case Rounding::Zero:
      break;
  }
  return {kept + (up ? 1 : 0), inexact};
}

// Rounded to T, with what the operation raises after its computation (SDM 1 4.9.1.4 to 4.9.1.6). An
// unmasked exception is spoken of with an unbounded exponent; its result is not used.
template <typename T>
T round_to(const ExactValue& value, Rounding mode, std::uint32_t guest, bool flushes,
           std::uint32_t& raised) {
  using F = FloatFormat<T>;
  using namespace mxcsr;
  const auto is_masked = [&](std::uint32_t flag) { return (guest & flag << kMaskShift) != 0; };
  const T sign = value.negative ? F::kSign : T{0};
  const int top = value.top_bit();
  const int lost = top - F::kFractionBits;
  const Rounded unbounded = round_off(value, lost, mode);
  // A carry out of all ones makes it the next power of two.
  const bool carry = unbounded.significand >> (F::kFractionBits + 1) != 0;
  const int exponent = value.exponent + top + (carry ? 1 : 0);
  const std::uint32_t precision = unbounded.inexact ? kPrecision : 0;

  if (exponent > F::kGreatestExponent) {
    raised |= is_masked(kOverflow) ? kOverflow | kPrecision : kOverflow | precision;
    const bool to_infinity = mode == Rounding::Nearest ||
                             (mode == Rounding::Up && !value.negative) ||
                             (mode == Rounding::Down && value.negative);
    return static_cast<T>(sign | (to_infinity ? F::kInfinity : F::kInfinity - 1));
  }
  if (exponent >= F::kLeastExponent) {
    raised |= precision;
    const auto fraction = static_cast<T>(unbounded.significand >> (carry ? 1 : 0) & F::kFraction);
    return static_cast<T>(sign | static_cast<T>(exponent + F::kBias) << F::kFractionBits |
                          fraction);
  }
  if (!is_masked(kUnderflow)) {
    raised |= kUnderflow | precision;
    return sign;
  }
  if (flushes) {
    raised |= kUnderflow | kPrecision;
    return sign;
  }
  // Fewer bits than a normal number has. A carry makes the least normal number, as it should.
  const int dropped = F::kLeastExponent - F::kFractionBits - value.exponent;
  const Rounded denormal = round_off(value, dropped, mode);
  if (denormal.inexact) raised |= kUnderflow | kPrecision;
  return static_cast<T>(sign | static_cast<T>(denormal.significand));
}

}  // namespace ringside::soft

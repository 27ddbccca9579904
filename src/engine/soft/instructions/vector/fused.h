// x * y + z, rounded once: exact on every host, whether its processor has FMA or not. A plain
// function of values; what it raises goes to `raised`.
#pragma once

#include <utility>

#include "engine/soft/instructions/vector/float_format.h"

namespace ringside::soft {

// The sum of two values that are not zero; nothing if it is zero.
inline bool add_exact(ExactValue a, ExactValue b, ExactValue& sum) {
  // The leading bits at the same place, with room for a carry above and for what is lost below.
  constexpr int kTop = 124;
  for (ExactValue* const value : {&a, &b}) {
    const int shift = kTop - value->top_bit();
    value->significand <<= shift;
    value->exponent -= shift;
  }
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand))
    std::swap(a, b);
  const int distance = a.exponent - b.exponent;
  bool lost = distance > kTop;
  if (lost) {
    b.significand = 0;
  } else {
    const Significand aligned = b.significand >> distance;
    lost = aligned << distance != b.significand;
    b.significand = aligned;
  }
  sum = a;
  sum.more = lost;
  if (a.negative == b.negative) {
    sum.significand += b.significand;
  } else {
    // What was lost of b makes the difference less by a part of the last place.
    sum.significand -= b.significand + (lost ? 1 : 0);
  }
  return sum.significand != 0;
}

// Which of product and addend are negated before they are added.
struct FusedSigns {
  bool negates_product = false, negates_addend = false;
};

template <typename T>
T fused_multiply_add(T x, T y, T z, FusedSigns signs, std::uint32_t guest, std::uint32_t& raised) {
  using F = FloatFormat<T>;
  using namespace mxcsr;
  if ((guest & kDaz) != 0) {
    x = F::denormal_as_zero(x);
    y = F::denormal_as_zero(y);
    z = F::denormal_as_zero(z);
  }
  if (F::is_nan(x) || F::is_nan(y) || F::is_nan(z)) {
    if (F::is_signalling(x) || F::is_signalling(y) || F::is_signalling(z)) raised |= kInvalid;
    const T first = F::is_nan(x) ? x : F::is_nan(y) ? y : z;
    return static_cast<T>(first | F::kQuiet);
  }
  const bool infinite_product = F::is_infinite(x) || F::is_infinite(y);
  const bool zero_product = F::is_zero(x) || F::is_zero(y);
  const bool product_sign = (((x ^ y) & F::kSign) != 0) != signs.negates_product;
  const bool addend_sign = ((z & F::kSign) != 0) != signs.negates_addend;
  const auto with_sign = [](T value, bool negative) {
    return static_cast<T>(value | (negative ? F::kSign : T{0}));
  };
  if (infinite_product && (zero_product || (F::is_infinite(z) && product_sign != addend_sign))) {
    raised |= kInvalid;
    return F::kDefaultNan;
  }
  if (F::is_denormal(x) || F::is_denormal(y) || F::is_denormal(z)) raised |= kDenormal;
  if (infinite_product) return with_sign(F::kInfinity, product_sign);
  if (F::is_infinite(z)) return with_sign(F::kInfinity, addend_sign);

  const Rounding mode = rounding_of(guest);
  const auto zero = [&] {
    return with_sign(T{0}, product_sign == addend_sign ? product_sign : mode == Rounding::Down);
  };
  ExactValue addend = exact(z);
  addend.negative = addend_sign;
  ExactValue sum = addend;
  if (zero_product) {
    if (F::is_zero(z)) return zero();
  } else {
    const ExactValue a = exact(x), b = exact(y);
    const ExactValue product{product_sign, a.exponent + b.exponent, a.significand * b.significand,
                             false};
    if (F::is_zero(z)) {
      sum = product;
    } else if (!add_exact(product, addend, sum)) {
      return zero();
    }
  }
  return round_to<T>(sum, mode, guest, (guest & kFtz) != 0, raised);
}

}  // namespace ringside::soft

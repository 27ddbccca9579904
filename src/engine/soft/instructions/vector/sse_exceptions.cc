// Which of overflow, underflow and precision an SSE operation raises when one of the first two is
// unmasked. Then the flags speak of the result with an unbounded exponent (SDM 1 4.9.1.4
// to 4.9.1.6), which the host, running masked, does not show. The x87 unit computes just that: the
// same precision and rounding with a wider exponent. Rare, and nowhere near a fast path.
#include "engine/soft/instructions/vector/sse_float.h"
#include "engine/soft/instructions/x87/x87_host.h"

namespace ringside::soft {
namespace {

using x87::HostResult;

constexpr std::uint16_t kX87AllMasked = 0x7f, kX87Precision = 0x20;
constexpr unsigned kX87Bias = 0x3fff;

template <typename T>
struct Format {  // of the result
  static constexpr unsigned kFractionBits = sizeof(T) == 4 ? 23 : 52;
  static constexpr unsigned kBias = sizeof(T) == 4 ? 127 : 1023;
  static constexpr unsigned kMinExponent =
      kX87Bias - kBias + 1;  // of a normal number, as x87 has it
  static constexpr unsigned kMaxExponent = kX87Bias + kBias;
  static constexpr std::uint16_t kPrecisionControl = sizeof(T) == 4 ? 0 : 0x200;
};

#define RINGSIDE_DOUBLES(name, text)                                                     \
  HostResult name(std::uint16_t control, double a, double b) {                           \
    HostResult result;                                                                   \
    const std::uint16_t host = x87::host_control();                                      \
    asm volatile("fnclex\n\tfldcw %[guest]\n\tfldl %[b]\n\tfldl %[a]\n\tfnclex\n\t" text \
                 " %%st(1), %%st\n\tfnstsw %[status]\n\tfstpt %[r]\n\tfstp %%st(0)\n\t"  \
                 "fnclex\n\tfldcw %[host]"                                               \
                 : [r] "=m"(result.value), [status] "=m"(result.status)                  \
                 : [a] "m"(a), [b] "m"(b), [guest] "m"(control), [host] "m"(host)        \
                 : RINGSIDE_X87_CLOBBERS);                                               \
    return result;                                                                       \
  }
RINGSIDE_DOUBLES(sum, "fadd")
RINGSIDE_DOUBLES(difference, "fsub")
RINGSIDE_DOUBLES(product, "fmul")
RINGSIDE_DOUBLES(quotient, "fdiv")
#undef RINGSIDE_DOUBLES

// One lane with a result of T.
template <typename T>
std::uint32_t lane_flags(HostResult (*operation)(std::uint16_t, double, double), double a, double b,
                         std::uint32_t guest) {
  using F = Format<T>;
  using namespace mxcsr;
  const auto rounding = static_cast<std::uint16_t>((guest >> 13 & 3) << 10);
  const auto control = static_cast<std::uint16_t>(kX87AllMasked | F::kPrecisionControl | rounding);
  const HostResult result = operation(control, a, b);
  const unsigned exponent = result.value.sign_exponent & 0x7fffu;
  if (exponent == 0x7fff || result.value.significand == 0) return 0;  // not by this operation
  const std::uint32_t inexact = (result.status & kX87Precision) != 0 ? kPrecision : 0;
  const auto masked = [&](std::uint32_t flag) { return (guest & flag << kMaskShift) != 0; };
  if (exponent > F::kMaxExponent) {
    return masked(kOverflow) ? kOverflow | kPrecision : kOverflow | inexact;
  }
  if (exponent >= F::kMinExponent) return inexact;
  if (!masked(kUnderflow)) return kUnderflow | inexact;
  if ((guest & kFtz) != 0) return kUnderflow | kPrecision;
  // A denormal result drops more bits than a normal one.
  const unsigned dropped = 63 - F::kFractionBits + (F::kMinExponent - exponent);
  const bool loses = dropped > 63 || (result.value.significand << (64 - dropped)) != 0;
  return loses || inexact != 0 ? kUnderflow | kPrecision : 0;
}

// As the operation sees it: DAZ makes denormals zero.
double operand(std::uint32_t bits, bool daz) {
  if (daz && (bits & 0x7f800000) == 0) bits &= 0x80000000;
  return static_cast<double>(std::bit_cast<float>(bits));
}
double operand(std::uint64_t bits, bool daz) {
  if (daz && (bits & 0x7ff0000000000000) == 0) bits &= 0x8000000000000000;
  return std::bit_cast<double>(bits);
}

template <typename T>
std::uint32_t flags_of(Step step, unsigned count, const Xmm& first, const Xmm& second,
                       std::uint32_t guest) {
  const bool daz = (guest & mxcsr::kDaz) != 0;
  const auto x = lanes<T>(first);
  const auto y = lanes<T>(second);
  std::uint32_t flags = 0;
  const auto add_lane = [&](auto operation, T a, T b) {
    flags |= lane_flags<T>(operation, operand(a, daz), operand(b, daz), guest);
  };
  for (unsigned i = 0; i < count; ++i) {
    switch (step) {
      case Step::Add:
        add_lane(sum, x[i], y[i]);
        break;
      case Step::Subtract:
        add_lane(difference, x[i], y[i]);
        break;
      case Step::Multiply:
        add_lane(product, x[i], y[i]);
        break;
      case Step::Divide:
        add_lane(quotient, x[i], y[i]);
        break;
      case Step::AddSubtract:
        add_lane(i % 2 == 0 ? difference : sum, x[i], y[i]);
        break;
      case Step::HorizontalAdd:
      case Step::HorizontalSubtract: {
        const auto& from = i < count / 2 ? x : y;
        const unsigned pair = 2 * i % count;
        add_lane(step == Step::HorizontalAdd ? sum : difference, from[pair], from[pair + 1]);
        break;
      }
      case Step::Narrow:
      case Step::Other:
        break;
    }
  }
  return flags;
}

}  // namespace

std::uint32_t flags_after_computation(Result result, Step step, const Xmm& a, const Xmm& b,
                                      std::uint32_t guest) {
  if (step == Step::Narrow) {  // two doubles or one to singles
    const bool daz = (guest & mxcsr::kDaz) != 0;
    const auto y = lanes<std::uint64_t>(b);
    std::uint32_t flags = lane_flags<float>(sum, operand(y[0], daz), 0.0, guest);
    if (result == Result::Singles) flags |= lane_flags<float>(sum, operand(y[1], daz), 0.0, guest);
    return flags;
  }
  switch (result) {
    case Result::Singles:
      return flags_of<std::uint32_t>(step, 4, a, b, guest);
    case Result::Doubles:
      return flags_of<std::uint64_t>(step, 2, a, b, guest);
    case Result::Single:
      return flags_of<std::uint32_t>(step, 1, a, b, guest);
    case Result::Double:
      return flags_of<std::uint64_t>(step, 1, a, b, guest);
  }
  return 0;
}

}  // namespace ringside::soft

// x87 functions of one and two operands: roots, rounding, remainders, scaling, logarithms, angles.
#include "engine/soft/instructions/x87/x87.h"
#include "engine/soft/instructions/x87/x87_host.h"

namespace ringside::soft::x87 {
namespace {

#define RINGSIDE_X87_UNARY(Name, text)                                                         \
  struct Name {                                                                                \
    static HostImage run(std::uint16_t control, const X87Value& a) { RINGSIDE_X87_ONE(text); } \
  }
#define RINGSIDE_X87_PAIR(Name, text)                                                   \
  struct Name {                                                                         \
    static HostImage run(std::uint16_t control, const X87Value& a, const X87Value& b) { \
      RINGSIDE_X87_TWO(text);                                                           \
    }                                                                                   \
  }
RINGSIDE_X87_UNARY(SquareRoot, "fsqrt");
RINGSIDE_X87_UNARY(RoundToInteger, "frndint");
RINGSIDE_X87_UNARY(TwoToTheXMinusOne, "f2xm1");
RINGSIDE_X87_UNARY(Sine, "fsin");
RINGSIDE_X87_UNARY(Cosine, "fcos");
RINGSIDE_X87_UNARY(SineAndCosine, "fsincos");
RINGSIDE_X87_UNARY(Tangent, "fptan");
RINGSIDE_X87_UNARY(Extract, "fxtract");
RINGSIDE_X87_PAIR(Scale, "fscale");
RINGSIDE_X87_PAIR(RemainderTruncated, "fprem");
RINGSIDE_X87_PAIR(RemainderNearest, "fprem1");
RINGSIDE_X87_PAIR(Logarithm, "fyl2x");
RINGSIDE_X87_PAIR(LogarithmPlusOne, "fyl2xp1");
RINGSIDE_X87_PAIR(Arctangent, "fpatan");

bool is_nan(const X87Value& value) {
  return (value.sign_exponent & 0x7fff) == 0x7fff && value.significand << 1 != 0;
}
// Takes over flags and the condition bits that the instruction defines; false: it was not done. An
// operation that is not done or gives a NaN clears C1 and C2 and leaves C0 and C3.
bool take_status(Fpu& fpu, const HostImage& image, std::uint16_t conditions) {
  const auto status = static_cast<std::uint16_t>(image.status);
  const bool done = accept(fpu, status);
  if (done && !is_nan(image.value(0))) {
    set_conditions(fpu, conditions, status);
  } else {
    set_conditions(fpu, conditions & (kC1 | kC2), 0);
  }
  return done;
}
// A stack fault: C1 says which, C2 is clear where it is defined. True: give the masked response.
bool underflow(Fpu& fpu, std::uint16_t conditions) {
  set_conditions(fpu, conditions & kC2, 0);
  return stack_underflow(fpu);
}
bool overflow(Fpu& fpu, std::uint16_t conditions) {
  set_conditions(fpu, conditions & kC2, 0);
  return stack_overflow(fpu);
}

// ST(0) = f(ST(0)).
template <typename Function, std::uint16_t kDefined>
void unary(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0)) {
    if (underflow(fpu, kDefined)) set_st(fpu, 0, kIndefinite);
    return;
  }
  const HostImage image = Function::run(fpu.control, fpu.st(0));
  if (take_status(fpu, image, kDefined)) set_st(fpu, 0, image.value(0));
}

// ST(0) = f(ST(0), ST(1)).
template <typename Function, std::uint16_t kDefined>
void binary(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0) || is_empty(fpu, 1)) {
    if (underflow(fpu, kDefined)) set_st(fpu, 0, kIndefinite);
    return;
  }
  const HostImage image = Function::run(fpu.control, fpu.st(0), fpu.st(1));
  if (take_status(fpu, image, kDefined)) set_st(fpu, 0, image.value(0));
}

// ST(1) = f(ST(0), ST(1)), then pop.
template <typename Function>
void binary_and_pop(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0) || is_empty(fpu, 1)) {
    if (!stack_underflow(fpu)) return;
    set_st(fpu, 1, kIndefinite);
    pop(fpu);
    return;
  }
  const HostImage image = Function::run(fpu.control, fpu.st(0), fpu.st(1));
  if (!take_status(fpu, image, kC1)) return;
  set_st(fpu, 1, image.value(0));
  pop(fpu);
}

// ST(0) becomes two values. Out of range (C2 set) nothing is pushed.
template <typename Function, std::uint16_t kDefined>
void unary_and_push(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  const bool no_source = is_empty(fpu, 0);
  if (no_source || !is_empty(fpu, 7)) {
    if (!(no_source ? underflow(fpu, kDefined) : overflow(fpu, kDefined))) return;
    set_st(fpu, 0, kIndefinite);
    push(fpu, kIndefinite);
    return;
  }
  const HostImage image = Function::run(fpu.control, fpu.st(0));
  if (!take_status(fpu, image, kDefined)) return;
  if (image.depth() == 1) {
    set_st(fpu, 0, image.value(0));
    return;
  }
  set_st(fpu, 0, image.value(1));
  push(fpu, image.value(0));
}

}  // namespace

void add_transcendentals(Table& table) {
  table.set(0xd9, 0xf0, unary<TwoToTheXMinusOne, kC1>);
  table.set(0xd9, 0xf1, binary_and_pop<Logarithm>);
  table.set(0xd9, 0xf2, unary_and_push<Tangent, kC1 | kC2>);
  table.set(0xd9, 0xf3, binary_and_pop<Arctangent>);
  table.set(0xd9, 0xf4, unary_and_push<Extract, kC1>);
  table.set(0xd9, 0xf5, binary<RemainderNearest, kConditions>);
  table.set(0xd9, 0xf8, binary<RemainderTruncated, kConditions>);
  table.set(0xd9, 0xf9, binary_and_pop<LogarithmPlusOne>);
  table.set(0xd9, 0xfa, unary<SquareRoot, kC1>);
  table.set(0xd9, 0xfb, unary_and_push<SineAndCosine, kC1 | kC2>);
  table.set(0xd9, 0xfc, unary<RoundToInteger, kC1>);
  table.set(0xd9, 0xfd, binary<Scale, kC1>);
  table.set(0xd9, 0xfe, unary<Sine, kC1 | kC2>);
  table.set(0xd9, 0xff, unary<Cosine, kC1 | kC2>);
}

}  // namespace ringside::soft::x87

// x87 against the host, with every combination of rounding, precision, masks, tags and TOP.
#include <gtest/gtest.h>

#include "engine/soft/instructions/vector/vector_oracle_test.h"

namespace ringside::soft::oracle {
namespace {

using enum Data;
constexpr auto V = Operand::Vector;
constexpr std::uint16_t kDenormal = 2, kC1 = 0x200;
// C0, C2, C3: unmasked invalid compares leave them on processors that follow the manual's
// pseudocode (SDM 2A, FCOM), others set them.
constexpr std::uint16_t kComparison = 0x4500;

// Per form.
constexpr unsigned kCases = 500;

TEST(X87Differential, Arithmetic) {
  static constexpr Row kRows[] = {
      {"fadd st, st(i) and m32", "d8 /0", Extended, 4},
      {"fadd st(i), st and m64", "dc /0", Extended, 8},
      {"fiadd m32int", "da /0", Extended, 4, false},
      {"fiadd m16int", "de /0", Extended, 2, false},
      {"fmul st, st(i) and m32", "d8 /1", Extended, 4},
      {"fmul st(i), st and m64", "dc /1", Extended, 8},
      {"fimul m32int", "da /1", Extended, 4, false},
      {"fimul m16int", "de /1", Extended, 2, false},
      {"fsub st, st(i) and m32", "d8 /4", Extended, 4},
      {"fsub st(i), st and m64", "dc /4", Extended, 8},
      {"fisub m32int", "da /4", Extended, 4, false},
      {"fisub m16int", "de /4", Extended, 2, false},
      {"fsubr st, st(i) and m32", "d8 /5", Extended, 4},
      {"fsubr st(i), st and m64", "dc /5", Extended, 8},
      {"fisubr m32int", "da /5", Extended, 4, false},
      {"fisubr m16int", "de /5", Extended, 2, false},
      {"fdiv st, st(i) and m32", "d8 /6", Extended, 4},
      {"fdiv st(i), st and m64", "dc /6", Extended, 8},
      {"fidiv m32int", "da /6", Extended, 4, false},
      {"fidiv m16int", "de /6", Extended, 2, false},
      {"fdivr st, st(i) and m32", "d8 /7", Extended, 4},
      {"fdivr st(i), st and m64", "dc /7", Extended, 8},
      {"fidivr m32int", "da /7", Extended, 4, false},
      {"fidivr m16int", "de /7", Extended, 2, false},
      {"faddp", "de /0", Extended},
      {"fmulp", "de /1", Extended},
      {"fsubrp", "de /4", Extended},
      {"fsubp", "de /5", Extended},
      {"fdivrp", "de /6", Extended},
      {"fdivp", "de /7", Extended},
  };
  check(kRows, kCases);
}

TEST(X87Differential, Compares) {
  static constexpr Row kRows[] = {
      {"fcom st, st(i) and m32", "d8 /2", Extended, 4, true, V, V, 0, 0, kComparison},
      {"fcom st(i), st and m64", "dc /2", Extended, 8, true, V, V, 0, 0, kComparison},
      {"ficom m32int", "da /2", Extended, 4, false, V, V, 0, 0, kComparison},
      {"ficom m16int", "de /2", Extended, 2, false, V, V, 0, 0, kComparison},
      {"fcomp st, st(i) and m32", "d8 /3", Extended, 4, true, V, V, 0, 0, kComparison},
      {"fcomp st(i), st and m64", "dc /3", Extended, 8, true, V, V, 0, 0, kComparison},
      {"ficomp m32int", "da /3", Extended, 4, false, V, V, 0, 0, kComparison},
      {"ficomp m16int", "de /3", Extended, 2, false, V, V, 0, 0, kComparison},
      {"fcompp", "de d9", Extended, 0, true, V, V, 0, 0, kComparison},
      {"fucom", "dd /4", Extended, 0, true, V, V, 0, 0, kComparison},
      {"fucomp", "dd /5", Extended, 0, true, V, V, 0, 0, kComparison},
      {"fucompp", "da e9", Extended, 0, true, V, V, 0, 0, kComparison},
      {"fcomi", "db /6", Extended, 0, true, V, V, 0, kC1, 0, true},
      {"fucomi", "db /5", Extended, 0, true, V, V, 0, kC1, 0, true},
      {"fcomip", "df /6", Extended, 0, true, V, V, 0, kC1, 0, true},
      {"fucomip", "df /5", Extended, 0, true, V, V, 0, kC1, 0, true},
      {"ftst", "d9 e4", Extended, 0, true, V, V, 0, 0, kComparison},
      {"fxam", "d9 e5", Extended},
      {"fcomp (undocumented)", "de /2", Extended, 0, true, V, V, 0, 0, kComparison},
  };
  check(kRows, kCases);
}

TEST(X87Differential, LoadsAndMoves) {
  static constexpr Row kRows[] = {
      // Some processors push a denormal operand though the exception is unmasked (SDM 1 8.5.2
      // forbids).
      {"fld m32", "d9 /0", Extended, 4, false, V, V, 0, 0, 0, false, kDenormal},
      // Some processors push a denormal operand though the exception is unmasked (SDM 1 8.5.2
      // forbids).
      {"fld m64", "dd /0", Extended, 8, false, V, V, 0, 0, 0, false, kDenormal},
      {"fild m16", "df /0", Extended, 2, false},
      {"fild m32", "db /0", Extended, 4, false},
      {"fild m64", "df /5", Extended, 8, false},
      {"fld m80", "db /5", Extended, 10, false},
      {"fld st(i)", "d9 /0", Extended},
      {"fst st(i)", "dd /2", Extended},
      {"fstp st(i)", "dd /3", Extended},
      {"fxch", "d9 /1", Extended},
      {"fchs", "d9 e0", Extended},
      {"fabs", "d9 e1", Extended},
      {"fld1", "d9 e8", Extended},
      {"fldl2t", "d9 e9", Extended},
      {"fldl2e", "d9 ea", Extended},
      {"fldpi", "d9 eb", Extended},
      {"fldlg2", "d9 ec", Extended},
      {"fldln2", "d9 ed", Extended},
      {"fldz", "d9 ee", Extended},
      {"fcmovb", "da /0", Extended},
      {"fcmovnb", "db /0", Extended},
      {"fcmove", "da /1", Extended},
      {"fcmovne", "db /1", Extended},
      {"fcmovbe", "da /2", Extended},
      {"fcmovnbe", "db /2", Extended},
      {"fcmovu", "da /3", Extended},
      {"fcmovnu", "db /3", Extended},
      {"fxch4 (undocumented)", "dd /1", Extended},
      {"fxch7 (undocumented)", "df /1", Extended},
      {"fstp8 (undocumented)", "df /2", Extended},
      {"fstp9 (undocumented)", "df /3", Extended},
  };
  check(kRows, kCases);
}

TEST(X87Differential, Stores) {
  static constexpr Row kRows[] = {
      {"fst m32", "d9 /2", Extended, 4, false},    {"fstp m32", "d9 /3", Extended, 4, false},
      {"fst m64", "dd /2", Extended, 8, false},    {"fstp m64", "dd /3", Extended, 8, false},
      {"fstp m80", "db /7", Extended, 10, false},  {"fist m16", "df /2", Extended, 2, false},
      {"fistp m16", "df /3", Extended, 2, false},  {"fist m32", "db /2", Extended, 4, false},
      {"fistp m32", "db /3", Extended, 4, false},  {"fistp m64", "df /7", Extended, 8, false},
      {"fisttp m16", "df /1", Extended, 2, false}, {"fisttp m32", "db /1", Extended, 4, false},
      {"fisttp m64", "dd /1", Extended, 8, false}, {"fbstp", "df /6", Extended, 10, false},
  };
  check(kRows, kCases);
}

TEST(X87Differential, Functions) {
  static constexpr Row kRows[] = {
      {"f2xm1", "d9 f0", Extended},   {"fyl2x", "d9 f1", Extended},   {"fptan", "d9 f2", Extended},
      {"fpatan", "d9 f3", Extended},  {"fxtract", "d9 f4", Extended}, {"fprem1", "d9 f5", Extended},
      {"fprem", "d9 f8", Extended},   {"fyl2xp1", "d9 f9", Extended}, {"fsqrt", "d9 fa", Extended},
      {"fsincos", "d9 fb", Extended}, {"frndint", "d9 fc", Extended}, {"fscale", "d9 fd", Extended},
      {"fsin", "d9 fe", Extended},    {"fcos", "d9 ff", Extended},
  };
  check(kRows, kCases);
}

TEST(X87Differential, Control) {
  static constexpr Row kRows[] = {
      {"fldcw", "d9 /5", Extended, 2, false},
      {"fnstcw", "d9 /7", Extended, 2, false},
      {"fnstsw m16", "dd /7", Extended, 2, false},
      {"fnstsw ax", "df e0", Extended},
      {"fnclex", "db e2", Extended},
      {"fninit", "db e3", Extended},
      {"fnop", "d9 d0", Extended},
      {"fincstp", "d9 f7", Extended},
      {"fdecstp", "d9 f6", Extended},
      {"ffree", "dd /0", Extended},
      {"ffreep (undocumented)", "df /0", Extended},
      {"fwait", "9b", Extended},
      {"fnstenv 32", "d9 /6", Extended, 28, false, V, V, 0, 0, 0, false, 0, false, 12, 28},
      {"fnstenv 16", "66 d9 /6", Extended, 14, false, V, V, 0, 0, 0, false, 0, false, 6, 14},
      {"fldenv 32", "d9 /4", Extended, 28, false},
      {"fldenv 16", "66 d9 /4", Extended, 14, false},
      {"fnsave 32", "dd /6", Extended, 108, false, V, V, 0, 0, 0, false, 0, false, 12, 28},
      {"fnsave 16", "66 dd /6", Extended, 94, false, V, V, 0, 0, 0, false, 0, false, 6, 14},
      {"frstor 32", "dd /4", Extended, 108, false},
      {"frstor 16", "66 dd /4", Extended, 94, false},
      {"feni (no operation)", "db e0", Extended},
      {"fdisi (no operation)", "db e1", Extended},
      {"fsetpm (no operation)", "db e4", Extended},
      {"fxsave", "0f ae /0", Extended, 512, false, V, V, 0, 0, 0, false, 0, false, 6, 32},
      {"fxsave64", "W 0f ae /0", Extended, 512, false, V, V, 0, 0, 0, false, 0, false, 6, 32},
  };
  check(kRows, kCases);
}

}  // namespace
}  // namespace ringside::soft::oracle

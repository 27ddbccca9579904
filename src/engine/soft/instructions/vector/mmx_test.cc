// MMX against the host: registers are those of the x87 stack, so every case also compares tags,
// TOP and the exponents.
#include <gtest/gtest.h>

#include "engine/soft/instructions/vector/vector_oracle_test.h"

namespace ringside::soft::oracle {
namespace {

using enum Data;
constexpr auto G = Operand::General;
constexpr auto V = Operand::Vector;

// Per form.
constexpr unsigned kCases = 200;

TEST(MmxDifferential, Moves) {
  static constexpr Row kRows[] = {
      {"movd to mm", "0f 6e /r", Integers, 4, true, V, G},
      {"movq to mm", "W 0f 6e /r", Integers, 8, true, V, G},
      {"movd from mm", "0f 7e /r", Integers, 4, true, V, G},
      {"movq from mm", "W 0f 7e /r", Integers, 8, true, V, G},
      {"movq load", "0f 6f /r", Integers, 8},
      {"movq store", "0f 7f /r", Integers, 8},
      {"movntq", "0f e7 /r", Integers, 8, false},
      {"movq2dq", "f3 0f d6 /r"},
      {"movdq2q", "f2 0f d6 /r"},
      {"pmovmskb", "0f d7 /r", Integers, 0, true, G},
      {"pshufw", "0f 70 /r ib", Integers, 8},
      {"pinsrw", "0f c4 /r ib", Integers, 2, true, V, G},
      {"pextrw", "0f c5 /r ib", Integers, 0, true, G, V},
      {"maskmovq", "0f f7 /r", Integers, 0, true, V, V, 0, 0, 0, false, 0, false, 0, 0, true},
      {"emms", "0f 77"},
  };
  check(kRows, kCases);
}

TEST(MmxDifferential, Integers) {
  static constexpr Row kRows[] = {
      {"paddb", "0f fc /r", Integers, 8},     {"paddw", "0f fd /r", Integers, 8},
      {"paddd", "0f fe /r", Integers, 8},     {"paddq", "0f d4 /r", Integers, 8},
      {"psubb", "0f f8 /r", Integers, 8},     {"psubw", "0f f9 /r", Integers, 8},
      {"psubd", "0f fa /r", Integers, 8},     {"psubq", "0f fb /r", Integers, 8},
      {"paddsb", "0f ec /r", Integers, 8},    {"paddsw", "0f ed /r", Integers, 8},
      {"paddusb", "0f dc /r", Integers, 8},   {"paddusw", "0f dd /r", Integers, 8},
      {"psubsb", "0f e8 /r", Integers, 8},    {"psubsw", "0f e9 /r", Integers, 8},
      {"psubusb", "0f d8 /r", Integers, 8},   {"psubusw", "0f d9 /r", Integers, 8},
      {"pavgb", "0f e0 /r", Integers, 8},     {"pavgw", "0f e3 /r", Integers, 8},
      {"pminub", "0f da /r", Integers, 8},    {"pminsw", "0f ea /r", Integers, 8},
      {"pmaxub", "0f de /r", Integers, 8},    {"pmaxsw", "0f ee /r", Integers, 8},
      {"pmullw", "0f d5 /r", Integers, 8},    {"pmulhw", "0f e5 /r", Integers, 8},
      {"pmulhuw", "0f e4 /r", Integers, 8},   {"pmuludq", "0f f4 /r", Integers, 8},
      {"pmaddwd", "0f f5 /r", Integers, 8},   {"psadbw", "0f f6 /r", Integers, 8},
      {"pcmpeqb", "0f 74 /r", Integers, 8},   {"pcmpeqw", "0f 75 /r", Integers, 8},
      {"pcmpeqd", "0f 76 /r", Integers, 8},   {"pcmpgtb", "0f 64 /r", Integers, 8},
      {"pcmpgtw", "0f 65 /r", Integers, 8},   {"pcmpgtd", "0f 66 /r", Integers, 8},
      {"pand", "0f db /r", Integers, 8},      {"pandn", "0f df /r", Integers, 8},
      {"por", "0f eb /r", Integers, 8},       {"pxor", "0f ef /r", Integers, 8},
      {"psllw", "0f f1 /r", Integers, 8},     {"pslld", "0f f2 /r", Integers, 8},
      {"psllq", "0f f3 /r", Integers, 8},     {"psrlw", "0f d1 /r", Integers, 8},
      {"psrld", "0f d2 /r", Integers, 8},     {"psrlq", "0f d3 /r", Integers, 8},
      {"psraw", "0f e1 /r", Integers, 8},     {"psrad", "0f e2 /r", Integers, 8},
      {"punpcklbw", "0f 60 /r", Integers, 4}, {"punpcklwd", "0f 61 /r", Integers, 4},
      {"punpckldq", "0f 62 /r", Integers, 4}, {"punpckhbw", "0f 68 /r", Integers, 8},
      {"punpckhwd", "0f 69 /r", Integers, 8}, {"punpckhdq", "0f 6a /r", Integers, 8},
      {"packsswb", "0f 63 /r", Integers, 8},  {"packssdw", "0f 6b /r", Integers, 8},
      {"packuswb", "0f 67 /r", Integers, 8},  {"psllw imm", "0f 71 /6 ib", Integers},
      {"pslld imm", "0f 72 /6 ib", Integers}, {"psllq imm", "0f 73 /6 ib", Integers},
      {"psrlw imm", "0f 71 /2 ib", Integers}, {"psrld imm", "0f 72 /2 ib", Integers},
      {"psrlq imm", "0f 73 /2 ib", Integers}, {"psraw imm", "0f 71 /4 ib", Integers},
      {"psrad imm", "0f 72 /4 ib", Integers},
  };
  check(kRows, kCases);
}

TEST(MmxDifferential, Ssse3) {
  static constexpr Row kRows[] = {
      {"pshufb", "0f 38 00 /r", Integers, 8},    {"phaddw", "0f 38 01 /r", Integers, 8},
      {"phaddd", "0f 38 02 /r", Integers, 8},    {"phaddsw", "0f 38 03 /r", Integers, 8},
      {"pmaddubsw", "0f 38 04 /r", Integers, 8}, {"phsubw", "0f 38 05 /r", Integers, 8},
      {"phsubd", "0f 38 06 /r", Integers, 8},    {"phsubsw", "0f 38 07 /r", Integers, 8},
      {"psignb", "0f 38 08 /r", Integers, 8},    {"psignw", "0f 38 09 /r", Integers, 8},
      {"psignd", "0f 38 0a /r", Integers, 8},    {"pmulhrsw", "0f 38 0b /r", Integers, 8},
      {"pabsb", "0f 38 1c /r", Integers, 8},     {"pabsw", "0f 38 1d /r", Integers, 8},
      {"pabsd", "0f 38 1e /r", Integers, 8},     {"palignr", "0f 3a 0f /r ib", Integers, 8},
  };
  check(kRows, kCases);
}

}  // namespace
}  // namespace ringside::soft::oracle

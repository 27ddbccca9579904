#include "engine/soft/state/x87_words.h"

namespace ringside::soft::x87 {
namespace {

unsigned tag_of(const X87Value& value) {
  const unsigned exponent = value.sign_exponent & 0x7fffu;
  if (exponent == 0 && value.significand == 0) return 1;
  const bool normal = exponent != 0 && exponent != 0x7fff && (value.significand >> 63) != 0;
  return normal ? 0 : 2;
}

}  // namespace

std::uint16_t tag_word(const Fpu& fpu) {
  unsigned tags = 0;
  for (unsigned i = 0; i < 8; ++i)
    tags |= ((fpu.empty >> i & 1) != 0 ? 3u : tag_of(fpu.physical[i])) << (2 * i);
  return static_cast<std::uint16_t>(tags);
}

void set_tag_word(Fpu& fpu, std::uint16_t tags) {
  unsigned empty = 0;
  for (unsigned i = 0; i < 8; ++i)
    empty |= ((tags >> (2 * i) & 3) == 3 ? 1u : 0u) << i;
  fpu.empty = static_cast<std::uint8_t>(empty);
}

}  // namespace ringside::soft::x87

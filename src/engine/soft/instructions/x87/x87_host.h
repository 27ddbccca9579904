// x87 operations done by the host's x87 unit under the guest's control word, unmasked exceptions
// included: the flags and the (possibly scaled or unchanged) result are taken with instructions
// that do not wait, so that a pending exception never becomes a signal. Each asm statement leaves
// the host's stack empty, its flags clear and its control word as it was. Results of transcendental
// functions are the host's in the last bit.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "engine/soft/state/fpu.h"

namespace ringside::soft::x87 {

struct HostResult {
  X87Value value;
  std::uint16_t status = 0;
};

inline std::uint16_t host_control() {
  std::uint16_t control;
  asm volatile("fnstcw %0" : "=m"(control));
  return control;
}

#define RINGSIDE_X87_CLOBBERS \
  "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory"

// a OP b in ST(0), b in ST(1) or in memory. `text` is the whole instruction.
#define RINGSIDE_X87_REGISTER(text)                                               \
  HostResult result;                                                              \
  const std::uint16_t host = host_control();                                      \
  asm volatile("fnclex\n\tfldcw %[guest]\n\tfldt %[b]\n\tfldt %[a]\n\t" text      \
               "\n\tfnstsw %[status]\n\tfnclex\n\tfstpt %[r]\n\tfstp %%st(0)\n\t" \
               "fldcw %[host]"                                                    \
               : [r] "=m"(result.value), [status] "=m"(result.status)             \
               : [a] "m"(a), [b] "m"(b), [guest] "m"(control), [host] "m"(host)   \
               : RINGSIDE_X87_CLOBBERS);                                          \
  return result
#define RINGSIDE_X87_MEMORY(text)                                               \
  HostResult result;                                                            \
  const std::uint16_t host = host_control();                                    \
  asm volatile("fnclex\n\tfldcw %[guest]\n\tfldt %[a]\n\t" text                 \
               " %[b]"                                                          \
               "\n\tfnstsw %[status]\n\tfnclex\n\tfstpt %[r]\n\tfldcw %[host]"  \
               : [r] "=m"(result.value), [status] "=m"(result.status)           \
               : [a] "m"(a), [b] "m"(b), [guest] "m"(control), [host] "m"(host) \
               : RINGSIDE_X87_CLOBBERS);                                        \
  return result

// Memory operands by their format.
struct Float32 {
  std::uint32_t bits;
};
struct Float64 {
  std::uint64_t bits;
};

// The state after an instruction that may push or pop: what FNSAVE wrote.
struct HostImage {
  std::uint32_t control, status, tags, pointers[4];
  std::array<std::array<std::uint8_t, 10>, 8> st;

  unsigned depth() const { return (8 - (status >> 11 & 7)) & 7; }
  X87Value value(unsigned position) const {
    X87Value result;
    std::memcpy(&result.significand, st[position].data(), 8);
    std::memcpy(&result.sign_exponent, st[position].data() + 8, 2);
    return result;
  }
};
static_assert(sizeof(HostImage) == 108);

#define RINGSIDE_X87_ONE(text)                                      \
  HostImage image;                                                  \
  const std::uint16_t host = host_control();                        \
  asm volatile("fnclex\n\tfldcw %[guest]\n\tfldt %[a]\n\t" text     \
               "\n\tfnsave %[image]\n\tfldcw %[host]"               \
               : [image] "=m"(image)                                \
               : [a] "m"(a), [guest] "m"(control), [host] "m"(host) \
               : RINGSIDE_X87_CLOBBERS);                            \
  return image
#define RINGSIDE_X87_TWO(text)                                                  \
  HostImage image;                                                              \
  const std::uint16_t host = host_control();                                    \
  asm volatile("fnclex\n\tfldcw %[guest]\n\tfldt %[b]\n\tfldt %[a]\n\t" text    \
               "\n\tfnsave %[image]\n\tfldcw %[host]"                           \
               : [image] "=m"(image)                                            \
               : [a] "m"(a), [b] "m"(b), [guest] "m"(control), [host] "m"(host) \
               : RINGSIDE_X87_CLOBBERS);                                        \
  return image

}  // namespace ringside::soft::x87

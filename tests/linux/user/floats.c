// Floating point: values that are known, and a digest of many more. The digest is printed, so that
// another processor's can be compared with it.
#include <stdint.h>
#include <string.h>

#include "exercise.h"

static uint64_t digest = 0xcbf29ce484222325;

static void add(const void* bytes, unsigned size) {
  const unsigned char* at = bytes;
  for (unsigned i = 0; i < size; ++i)
    digest = (digest ^ at[i]) * 0x100000001b3;
}
static void add_status(void) {
  unsigned short status;
  __asm__ volatile("fnstsw %0\n\tfnclex" : "=m"(status));
  status &= 0xff;
  add(&status, 2);
}

// 80-bit values, written without the compiler's help.
typedef struct __attribute__((packed)) {
  uint64_t significand;
  uint16_t exponent;
} Extended;

// result = x OP y on the x87 stack; y in ST(1), x in ST(0)
#define X87(instruction, x, y, result)                                                 \
  __asm__ volatile("fldt %2\n\tfldt %1\n\t" instruction "\n\tfstpt %0\n\tfstp %%st(0)" \
                   : "=m"(*(result))                                                   \
                   : "m"(x), "m"(y))

static void expect(const Extended* got, uint16_t exponent, uint64_t significand) {
  CHECK_EQUAL(got->exponent, exponent);
  CHECK_EQUAL(got->significand, significand);
}

static void known_x87(void) {
  Extended value;
  __asm__ volatile("fldpi\n\tfstpt %0" : "=m"(value));
  expect(&value, 0x4000, 0xc90fdaa22168c235);
  __asm__ volatile("fld1\n\tfadd %%st(0)\n\tfsqrt\n\tfstpt %0" : "=m"(value));
  expect(&value, 0x3fff, 0xb504f333f9de6484);  // the square root of 2
  const Extended one = {0x8000000000000000, 0x3fff}, three = {0xc000000000000000, 0x4000};
  X87("fdiv %%st(1), %%st", one, three, &value);
  expect(&value, 0x3ffd, 0xaaaaaaaaaaaaaaab);
  const Extended tiny = {1, 0}, two = {0x8000000000000000, 0x4000};
  X87("fmul %%st(1), %%st", tiny, two, &value);
  expect(&value, 0, 2);  // denormals keep all their bits
  const Extended huge = {~(uint64_t)0, 0x7ffe};
  X87("fmul %%st(1), %%st", huge, two, &value);
  expect(&value, 0x7fff, 0x8000000000000000);  // infinity
  __asm__ volatile("fldz\n\tfldz\n\tfdivrp\n\tfstpt %0" : "=m"(value));
  expect(&value, 0xffff, 0xc000000000000000);  // the indefinite
  __asm__ volatile("fnclex");

  // Decimal, and integers of 64 bits, which no double holds.
  unsigned char decimal[10];
  const int64_t number = -123456789012345678;
  int64_t again;
  __asm__ volatile("fildll %2\n\tfbstp %0\n\tfbld %0\n\tfistpll %1"
                   : "=m"(decimal), "=m"(again)
                   : "m"(number));
  CHECK_EQUAL(again, number);
  CHECK_EQUAL(decimal[0], 0x78);
  CHECK_EQUAL(decimal[8], 0x12);
  CHECK_EQUAL(decimal[9], 0x80);
}

static void known_sse(void) {
  volatile double three = 3, tenth = 0.1;
  volatile double third = 1 / three, sum = 0;
  uint64_t bits;
  memcpy(&bits, (void*)&third, 8);
  CHECK_EQUAL(bits, 0x3fd5555555555555);
  for (int i = 0; i < 10; ++i)
    sum += tenth;
#ifdef __x86_64__  // where a double is a double at each step
  memcpy(&bits, (void*)&sum, 8);
  CHECK_EQUAL(bits, 0x3fefffffffffffff);
#endif
  // Rounding of 2.5 and -2.5 in the four modes.
  static const int kExpected[4][2] = {{2, -2}, {2, -3}, {3, -2}, {2, -2}};
  const double half = 2.5, minus = -2.5;
  for (unsigned mode = 0; mode < 4; ++mode) {
    unsigned mxcsr = 0x1f80 | mode << 13;
    int up, down;
    __asm__ volatile("ldmxcsr %2\n\tcvtsd2si %3, %0\n\tcvtsd2si %4, %1"
                     : "=&r"(up), "=&r"(down)
                     : "m"(mxcsr), "m"(half), "m"(minus));
    CHECK_EQUAL(up, kExpected[mode][0]);
    CHECK_EQUAL(down, kExpected[mode][1]);
  }
  const unsigned usual = 0x1f80;
  __asm__ volatile("ldmxcsr %0" : : "m"(usual));
}

static uint64_t random_state = 88172645463325252;
static uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}
static Extended random_extended(void) {
  // mostly near one, sometimes anywhere
  const uint16_t spread = next_random() % 8 == 0 ? 0x7ffe : 0x3f;
  const uint16_t exponent = spread == 0x3f ? 0x3fe0 : 1;
  return (Extended){next_random() | 0x8000000000000000,
                    (uint16_t)((exponent + next_random() % spread) | (next_random() & 0x8000))};
}

static void many_x87(void) {
  for (int i = 0; i < 2000; ++i) {
    // each precision and rounding, all exceptions masked
    const unsigned short control =
        (unsigned short)(0x7f | (i % 3 == 1 ? 0 : i % 3 + 1) << 8 | (i / 3 % 4) << 10);
    __asm__ volatile("fldcw %0" : : "m"(control));
    const Extended x = random_extended(), y = random_extended();
    Extended result;
#define ONE(instruction)           \
  X87(instruction, x, y, &result); \
  add(&result, sizeof result);     \
  add_status();
    ONE("fadd %%st(1), %%st")
    ONE("fsub %%st(1), %%st")
    ONE("fmul %%st(1), %%st")
    ONE("fdiv %%st(1), %%st")
    ONE("fsqrt")
    ONE("frndint")
#undef ONE
    double narrow;
    __asm__ volatile("fldt %1\n\tfstpl %0" : "=m"(narrow) : "m"(x));
    add(&narrow, 8);
    add_status();
  }
  __asm__ volatile("fninit");
}

static void many_sse(void) {
  for (int i = 0; i < 2000; ++i) {
    const unsigned mxcsr = 0x1f80u | (unsigned)(i % 4) << 13;
    unsigned after;
    uint64_t x[2], y[2], result[2];
    for (int k = 0; k < 2; ++k) {
      // exponents near one, or anywhere (not-a-numbers too)
      const uint64_t mask = i % 5 == 0 ? ~(uint64_t)0 : 0xbfffffffffffffff;
      x[k] = next_random() & mask;
      y[k] = next_random() & mask;
    }
#define ONE(instruction)                                                                  \
  __asm__ volatile("ldmxcsr %2\n\tmovupd %3, %%xmm0\n\tmovupd %4, %%xmm1\n\t" instruction \
                   " %%xmm1, %%xmm0\n\tmovupd %%xmm0, %0\n\tstmxcsr %1"                   \
                   : "=m"(result), "=m"(after)                                            \
                   : "m"(mxcsr), "m"(x), "m"(y)                                           \
                   : "xmm0", "xmm1");                                                     \
  add(result, sizeof result);                                                             \
  add(&after, sizeof after);
    ONE("addpd")
    ONE("subpd")
    ONE("mulpd")
    ONE("divpd")
    ONE("sqrtpd")
    ONE("minpd")
    ONE("cmplepd")
    ONE("addps")
    ONE("mulps")
    ONE("divps")
    ONE("cvtpd2ps")
    ONE("cvtps2pd")
    ONE("cvttpd2dq")
    ONE("cvtdq2pd")
#undef ONE
  }
  const unsigned usual = 0x1f80;
  __asm__ volatile("ldmxcsr %0" : : "m"(usual));
}

void floats(void) {
  known_x87();
  known_sse();
  many_x87();
  many_sse();
  printf("floats: digest %016llx\n", (unsigned long long)digest);
}

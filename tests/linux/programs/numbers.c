// Arithmetic of each kind that a C compiler makes for a processor with SSE4.2, printed exactly.
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef float Floats __attribute__((vector_size(16)));
typedef int16_t Words __attribute__((vector_size(16)));
typedef uint8_t Bytes __attribute__((vector_size(16)));

static uint64_t state = 88172645463325252u;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static uint64_t digest(const void* data, size_t size, uint64_t hash) {
  const unsigned char* bytes = data;
  for (size_t i = 0; i < size; ++i)
    hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

static void integers(void) {
  uint64_t hash = 14695981039346656037u;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t a = next(), b = next() | 1;
    const unsigned shift = (unsigned)(a % 63) + 1;
    const uint64_t results[] = {a / b,
                                a % b,
                                a * b,
                                (uint64_t)((int64_t)a / (int64_t)(b >> 9)),
                                a << shift | a >> (64 - shift),
                                (uint64_t)((__uint128_t)a * b >> 64),
                                (uint64_t)__builtin_popcountll(a),
                                (uint64_t)__builtin_clzll(b),
                                (uint64_t)__builtin_ctzll(b << (shift % 8)),
                                __builtin_bswap64(a)};
    hash = digest(results, sizeof results, hash);
  }
  printf("integers %016llx\n", (unsigned long long)hash);
}

static void vectors(void) {
  Floats sum = {0, 0, 0, 0};
  Words words = {1, 2, 3, 4, 5, 6, 7, 8};
  Bytes bytes = {0};
  for (int i = 0; i < 20000; ++i) {
    const float f = (float)(int32_t)next() / 65536.0f;
    sum = sum * (Floats){0.5f, 0.25f, -0.75f, 0.125f} + (Floats){f, -f, f * f, 1.0f / f};
    words = words * (Words){3, 5, 7, 9, 11, 13, 15, 17} + (Words)(words > 0) - (words >> 3);
    bytes = (bytes ^ (Bytes)words) + (Bytes)(bytes < (Bytes)words);
  }
  printf("vectors %016llx %016llx %016llx\n", (unsigned long long)digest(&sum, sizeof sum, 1),
         (unsigned long long)digest(&words, sizeof words, 1),
         (unsigned long long)digest(&bytes, sizeof bytes, 1));
}

static void long_doubles(void) {
  long double x = 0.5L, total = 0;
  for (int i = 1; i < 300; ++i) {
    x = x * 3.7L * (1 - x);
    total += sinl(x * i) + cosl(x) - tanl(x / i) + atan2l(x, i) + sqrtl(x * i) + logl(x + 1) +
             expl(-x * i) + powl(x, 1.0L / i) + fmodl(i, x) + ldexpl(x, i % 40 - 20);
  }
  printf("x87 %.20Lg %La %Lg %lld\n", total, total, roundl(total * 1000), llrintl(total * 1e6L));
}

static void doubles(void) {
  double x = 0.3;
  uint64_t hash = 1;
  for (int i = 1; i < 2000; ++i) {
    x = 3.9 * x * (1 - x);
    const double results[] = {sin(x * i),
                              cos(x * i),
                              tan(x),
                              exp(x),
                              log(x),
                              pow(x, i),
                              sqrt(x),
                              cbrt(x),
                              hypot(x, i),
                              floor(-x),
                              rint(x * 9),
                              fma(x, x, -1),
                              tgamma(x),
                              erf(x),
                              (float)x,
                              remainder(i, x),
                              (double)(int64_t)(x * 1e18),
                              (double)(uint64_t)(x * 1.8e19)};
    hash = digest(results, sizeof results, hash);
  }
  printf("doubles %.17g %a %016llx\n", x, x, (unsigned long long)hash);
}

static void roundings(void) {
  static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int mode = 0; mode < 4; ++mode) {
    fesetround(modes[mode]);
    volatile double a = 1, b = 3;
    volatile float c = 0.1f;
    volatile long double d = 2;
    printf("rounding %d: %a %a %La %ld %g\n", mode, a / b, (double)(c * c), sqrtl(d),
           lrint(2.5 - a), nearbyint(-1.5));
  }
  fesetround(FE_TONEAREST);
  volatile double zero = 0, large = 1e308, small = 5e-324;
  feclearexcept(FE_ALL_EXCEPT);
  volatile double results[] = {1 / zero, large * 10, small / 2, 0 / zero};
  printf("special %g %g %g %d, exceptions %x\n", results[0], results[1], results[2],
         results[3] != results[3], fetestexcept(FE_ALL_EXCEPT));
}

static int compare(const void* a, const void* b) { return strcmp(a, b); }

static void texts(void) {
  static char names[3000][24];
  for (int i = 0; i < 3000; ++i)
    snprintf(names[i], sizeof names[i], "%llx", (unsigned long long)next());
  qsort(names, 3000, sizeof names[0], compare);
  uint64_t hash = 1;
  for (int i = 0; i < 3000; ++i) {
    const double value = strtod(names[i], NULL);
    char text[64];
    snprintf(text, sizeof text, "%s %.12e %g", names[i], value, value / 7);
    hash = digest(text, strlen(text), hash);
  }
  printf("texts %s %s %016llx\n", names[0], names[2999], (unsigned long long)hash);
}

int main(void) {
  integers();
  vectors();
  long_doubles();
  doubles();
  roundings();
  texts();
  return 0;
}

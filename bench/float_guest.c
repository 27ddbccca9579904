// A guest that computes with SSE and SSE2: the same amount in each run, in parts. It says on COM1
// when a part begins and ends, and then a digest of the results' bits. Runs on
// tests/guests/c_entry.S.
#include <emmintrin.h>

#include "guest.h"

enum { kSize = 1024, kBodies = 5 };

static double doubles[2][kSize] __attribute__((aligned(16)));
static float singles[2][kSize] __attribute__((aligned(16)));
static int32_t integers[kSize];
static uint64_t digest;

// FNV-1a of eight bytes of the result.
static void add_bits(uint64_t bits) {
  for (int i = 0; i < 64; i += 8)
    digest = (digest ^ (bits >> i & 0xff)) * 0x100000001b3;
}
static void add(double value) {
  union {
    double value;
    uint64_t bits;
  } result = {value};
  add_bits(result.bits);
}

// Values from 0.5 to 1.5 that need all bits of their significands.
static void fill(void) {
  uint64_t state = 88172645463325252;
  for (int i = 0; i < 2 * kSize; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    doubles[i / kSize][i % kSize] = 0.5 + (double)(state >> 11) / 9007199254740992.0;
    singles[i / kSize][i % kSize] = (float)doubles[i / kSize][i % kSize];
    integers[i % kSize] = (int32_t)state;
  }
}

// Dot products, packed: two doubles or four singles at a time.
static void dot(void) {
  for (int round = 0; round < 60000; ++round) {
    __m128d sum = _mm_setzero_pd();
    for (int i = 0; i < kSize; i += 2)
      sum = _mm_add_pd(sum, _mm_mul_pd(_mm_load_pd(doubles[0] + i), _mm_load_pd(doubles[1] + i)));
    __m128 sums = _mm_setzero_ps();
    for (int i = 0; i < kSize; i += 4)
      sums = _mm_add_ps(sums, _mm_mul_ps(_mm_load_ps(singles[0] + i), _mm_load_ps(singles[1] + i)));
    doubles[0][round % kSize] += _mm_cvtsd_f64(sum) * 1e-9;
    singles[0][round % kSize] += _mm_cvtss_f32(sums) * 1e-6f;
  }
  for (int i = 0; i < kSize; ++i)
    add(doubles[0][i] + (double)singles[0][i]);
}

// Bodies that attract each other; scalar doubles, with a division and a square root for each pair.
static void bodies(void) {
  static double place[kBodies][3], speed[kBodies][3];
  for (int i = 0; i < kBodies * 3; ++i) {
    place[i / 3][i % 3] = doubles[0][i] * 4 * (i % 2 ? -1 : 1);
    speed[i / 3][i % 3] = doubles[1][i] * 0.1;
  }
  for (int step = 0; step < 800000; ++step) {
    for (int a = 0; a < kBodies; ++a) {
      for (int b = a + 1; b < kBodies; ++b) {
        const double x = place[a][0] - place[b][0], y = place[a][1] - place[b][1],
                     z = place[a][2] - place[b][2];
        const double square = x * x + y * y + z * z + 0.01;
        const double pull =
            0.0001 / (square * _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(0), _mm_set_sd(square))));
        speed[a][0] -= x * pull, speed[a][1] -= y * pull, speed[a][2] -= z * pull;
        speed[b][0] += x * pull, speed[b][1] += y * pull, speed[b][2] += z * pull;
      }
    }
    for (int a = 0; a < kBodies; ++a) {
      for (int axis = 0; axis < 3; ++axis)
        place[a][axis] += speed[a][axis] * 0.001;
    }
  }
  for (int i = 0; i < kBodies * 3; ++i)
    add(place[i / 3][i % 3]);
}

// Horner's rule: a chain of scalar multiplications and additions, double and single.
static void polynomial(void) {
  for (int round = 0; round < 14000; ++round) {
    for (int i = 0; i < kSize; ++i) {
      const double x = doubles[1][i] - 1;
      const float y = singles[1][i] - 1;
      double value = 1.0 / 5040;
      float single = 1.0f / 120;
      value = value * x + 1.0 / 720;
      value = value * x + 1.0 / 120;
      value = value * x + 1.0 / 24;
      value = value * x + 1.0 / 6;
      value = value * x + 0.5;
      value = value * x + 1;
      single = single * y + 1.0f / 24;
      single = single * y + 1.0f / 6;
      single = single * y + 0.5f;
      single = single * y + 1;
      doubles[0][i] = value * x + 1;
      singles[0][i] = single * y + 1;
    }
  }
  for (int i = 0; i < kSize; ++i)
    add(doubles[0][i] + (double)singles[0][i]);
}

// Square roots and divisions, scalar and packed, minima and comparisons.
static void roots(void) {
  const __m128d one = _mm_set1_pd(1);
  for (int round = 0; round < 60000; ++round) {
    for (int i = 0; i < kSize; i += 4) {
      const __m128d value =
          _mm_sqrt_pd(_mm_div_pd(_mm_load_pd(doubles[1] + i), _mm_load_pd(doubles[0] + i)));
      _mm_store_pd(doubles[0] + i, _mm_min_pd(_mm_add_pd(value, one), _mm_load_pd(doubles[1] + i)));
      _mm_store_ps(singles[0] + i, _mm_sqrt_ps(_mm_div_ps(_mm_load_ps(singles[1] + i),
                                                          _mm_load_ps(singles[0] + i))));
      const double rest = doubles[0][i + 2] / doubles[1][i + 3];
      doubles[0][i + 3] = rest < 1 ? rest : _mm_cvtsd_f64(_mm_sqrt_sd(one, _mm_set_sd(rest)));
    }
  }
  for (int i = 0; i < kSize; ++i)
    add(doubles[0][i] + (double)singles[0][i]);
}

// Between integers of 32 and 64 bits, doubles and singles.
static void convert(void) {
  int64_t total = 0;
  for (int round = 0; round < 20000; ++round) {
    for (int i = 0; i < kSize; ++i) {
      const double value = integers[i] + (double)(total >> 40);
      const float single = (float)value;
      total += (int64_t)(value * 0.75) + (int32_t)(single * 0.125f);
      singles[0][i] = single;
    }
  }
  for (int i = 0; i < kSize; ++i)
    add((double)singles[0][i]);
  add_bits((uint64_t)total);
}

static void part(const char* name, void (*work)(void)) {
  fill();
  digest = 0xcbf29ce484222325;
  print("BEGIN "), print(name), print("\n");
  work();
  print("END "), print(name), print(" status 0\nDIGEST "), print(name), print(" ");
  for (int i = 60; i >= 0; i -= 4) {
    const char digit[2] = {"0123456789abcdef"[digest >> i & 15], 0};
    print(digit);
  }
  print("\n");
}

static __attribute__((noinline)) void work(void) {
  part("dot", dot);
  part("bodies", bodies);
  part("polynomial", polynomial);
  part("roots", roots);
  part("convert", convert);
}

void vcpu_main(unsigned vcpu) {
  // CR4: OSFXSR and OSXMMEXCPT; CR0: MP and not EM (SDM 3A 9.6.1). Nothing here uses XMM before.
  uint64_t control;
  __asm__ volatile("mov %%cr4, %0; or $0x600, %0; mov %0, %%cr4" : "=r"(control)::"memory");
  __asm__ volatile("mov %%cr0, %0; or $2, %0; mov %0, %%cr0" : "=r"(control)::"memory");
  if (vcpu == 0) work();
}

// A guest that does what C libraries and number crunchers do with vector registers: the same amount
// in each run, in parts, as float_guest.c. It is compiled for x86-64-v2 and for x86-64-v3, where it
// has registers of 256 bits, FMA and BMI. Runs on tests/guests/c_entry.S.
#include <immintrin.h>

#include "guest.h"

#ifdef __AVX2__
typedef __m256i Block;
#define LOAD(from) _mm256_loadu_si256((const Block*)(from))
#define STORE(to, value) _mm256_storeu_si256((Block*)(to), value)
#define ZEROS(at) \
  (uint32_t) _mm256_movemask_epi8(_mm256_cmpeq_epi8(LOAD(at), _mm256_setzero_si256()))
#else
typedef __m128i Block;
#define LOAD(from) _mm_loadu_si128((const Block*)(from))
#define STORE(to, value) _mm_storeu_si128((Block*)(to), value)
#define ZEROS(at) (uint32_t) _mm_movemask_epi8(_mm_cmpeq_epi8(LOAD(at), _mm_setzero_si128()))
#endif

enum { kBytes = 1 << 16, kNumbers = 1024 };

static uint8_t bytes[2][kBytes + 256] __attribute__((aligned(64)));
static double doubles[2][kNumbers] __attribute__((aligned(64)));
static float singles[2][kNumbers] __attribute__((aligned(64)));
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

static uint64_t state;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
static void fill(void) {
  state = 88172645463325252;
  for (int i = 0; i < kBytes; ++i)
    bytes[0][i] = (uint8_t)(next() | 1);
  for (int i = 0; i < 2 * kNumbers; ++i) {
    doubles[i / kNumbers][i % kNumbers] = 0.5 + (double)(next() >> 11) / 9007199254740992.0;
    singles[i / kNumbers][i % kNumbers] = (float)doubles[i / kNumbers][i % kNumbers];
  }
}

// Of any length from one block on: four blocks at a time, then single ones, the last of which may
// overlap.
static __attribute__((noinline)) void copy_some(uint8_t* to, const uint8_t* from, uint64_t length) {
  enum { kBlock = sizeof(Block) };
  const Block last = LOAD(from + length - kBlock);
  uint8_t* const end = to + length - kBlock;
  for (; to + 3 * kBlock < end; to += 4 * kBlock, from += 4 * kBlock) {
    const Block a = LOAD(from), b = LOAD(from + kBlock), c = LOAD(from + 2 * kBlock),
                d = LOAD(from + 3 * kBlock);
    STORE(to, a), STORE(to + kBlock, b), STORE(to + 2 * kBlock, c), STORE(to + 3 * kBlock, d);
  }
  for (; to < end; to += kBlock, from += kBlock)
    STORE(to, LOAD(from));
  STORE(end, last);
}
static void copy(void) {
  for (int round = 0; round < 2500000; ++round) {
    const uint64_t length = 32 + next() % 1500;
    copy_some(bytes[1] + next() % (kBytes - 2048), bytes[0] + next() % (kBytes - 2048), length);
  }
  for (int i = 0; i < kBytes; ++i)
    add_bits(bytes[1][i]);
}

static __attribute__((noinline)) uint64_t length_of(const uint8_t* text) {
  const uint8_t* at = (const uint8_t*)((uintptr_t)text & ~(sizeof(Block) - 1));
  uint32_t zeros = ZEROS(at) >> (text - at);
  if (zeros != 0) return (uint64_t)__builtin_ctz(zeros);
  do {
    at += sizeof(Block);
    zeros = ZEROS(at);
  } while (zeros == 0);
  return (uint64_t)(at - text + __builtin_ctz(zeros));
}
static void lengths(void) {
  for (int at = 0; at < kBytes; at += 1 + (int)(next() % 600))
    bytes[0][at] = 0;
  bytes[0][kBytes] = 0;
  uint64_t total = 0;
  for (int round = 0; round < 160; ++round) {
    for (const uint8_t* at = bytes[0]; at < bytes[0] + kBytes;) {
      const uint64_t length = length_of(at);
      total = total * 31 + length;
      at += length + 1;
    }
    for (int i = 0; i < 20000; ++i)
      total += length_of(bytes[0] + (next() & (kBytes - 1)));
  }
  add_bits(total);
}

// SHA-256 (FIPS 180-4) by general registers: with BMI, RORX and ANDN.
static uint32_t rotate(uint32_t value, int count) { return value >> count | value << (32 - count); }
static const uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static void digest_block(uint32_t hash[8], const uint8_t* block) {
  uint32_t words[64];
  for (int i = 0; i < 16; ++i)
    words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const uint32_t a = words[i - 15], b = words[i - 2];
    words[i] = words[i - 16] + words[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
  uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4], f = hash[5],
           g = hash[6], h = hash[7];
  for (int i = 0; i < 64; ++i) {
    const uint32_t one = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) +
                         kRound[i] + words[i];
    const uint32_t two =
        (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
  }
  hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d;
  hash[4] += e, hash[5] += f, hash[6] += g, hash[7] += h;
}
static void sha256(void) {
  uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (int round = 0; round < 300; ++round) {
    for (int at = 0; at < kBytes; at += 64)
      digest_block(hash, bytes[0] + at);
  }
  for (int i = 0; i < 8; ++i)
    add_bits(hash[i]);
}

// Dot products of doubles and singles, packed, and polynomials, scalar. Where there is FMA they use
// it, so that the results differ in their last bits.
static void products(void) {
  for (int round = 0; round < 60000; ++round) {
#ifdef __AVX2__
    __m256d sum = _mm256_setzero_pd();
    for (int i = 0; i < kNumbers; i += 4)
      sum = _mm256_fmadd_pd(_mm256_load_pd(doubles[0] + i), _mm256_load_pd(doubles[1] + i), sum);
    __m256 sums = _mm256_setzero_ps();
    for (int i = 0; i < kNumbers; i += 8)
      sums = _mm256_fmadd_ps(_mm256_load_ps(singles[0] + i), _mm256_load_ps(singles[1] + i), sums);
    doubles[0][round % kNumbers] += _mm256_cvtsd_f64(sum) * 1e-9;
    singles[0][round % kNumbers] += _mm256_cvtss_f32(sums) * 1e-6f;
#else
    __m128d sum = _mm_setzero_pd();
    for (int i = 0; i < kNumbers; i += 2)
      sum = _mm_add_pd(sum, _mm_mul_pd(_mm_load_pd(doubles[0] + i), _mm_load_pd(doubles[1] + i)));
    __m128 sums = _mm_setzero_ps();
    for (int i = 0; i < kNumbers; i += 4)
      sums = _mm_add_ps(sums, _mm_mul_ps(_mm_load_ps(singles[0] + i), _mm_load_ps(singles[1] + i)));
    doubles[0][round % kNumbers] += _mm_cvtsd_f64(sum) * 1e-9;
    singles[0][round % kNumbers] += _mm_cvtss_f32(sums) * 1e-6f;
#endif
  }
  for (int i = 0; i < kNumbers; ++i)
    add(doubles[0][i] + (double)singles[0][i]);
}
static void polynomial(void) {
  for (int round = 0; round < 10000; ++round) {
    for (int i = 0; i < kNumbers; ++i) {
      const double x = doubles[1][i] - 1;
      double value = 1.0 / 5040;
      value = value * x + 1.0 / 720;
      value = value * x + 1.0 / 120;
      value = value * x + 1.0 / 24;
      value = value * x + 1.0 / 6;
      value = value * x + 0.5;
      value = value * x + 1;
      doubles[0][i] = value * x + 1;
    }
  }
  for (int i = 0; i < kNumbers; ++i)
    add(doubles[0][i]);
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
  part("copy", copy);
  part("lengths", lengths);
  part("sha256", sha256);
  part("products", products);
  part("polynomial", polynomial);
}

void vcpu_main(unsigned vcpu) {
  // CR4: OSFXSR, OSXMMEXCPT, and for AVX OSXSAVE; CR0: MP and not EM (SDM 3A 9.6.1, 13.3). Nothing
  // here uses a vector register before.
  uint64_t control;
  __asm__ volatile("mov %%cr4, %0; or $0x600, %0; mov %0, %%cr4" : "=r"(control)::"memory");
  __asm__ volatile("mov %%cr0, %0; or $2, %0; mov %0, %%cr0" : "=r"(control)::"memory");
#ifdef __AVX2__
  __asm__ volatile("mov %%cr4, %0; or $0x40000, %0; mov %0, %%cr4" : "=r"(control)::"memory");
  __asm__ volatile("xsetbv" ::"a"(7), "d"(0), "c"(0) : "memory");
#endif
  if (vcpu == 0) work();
}

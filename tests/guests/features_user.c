/* Proofs of what any program can execute. */
#include "features.h"

static float floats[4] __attribute__((aligned(16))) = {1, 2, 3, 4};
static double doubles[2] __attribute__((aligned(16))) = {1.5, 2.5};
static uint8_t bytes16[16] __attribute__((aligned(16)));
static uint64_t words[2] __attribute__((aligned(16)));
static uint8_t area[512] __attribute__((aligned(64)));

int x87(void) {
  uint32_t value = 0;
  __asm__ volatile("fninit; fld1; fadd %%st, %%st; fistpl %0" : "=m"(value));
  return value == 2;
}
int cx8(void) {
  uint32_t low = 1, high = 2;
  words[0] = low | (uint64_t)high << 32;
  __asm__ volatile("lock cmpxchg8b %0" : "+m"(words[0]), "+a"(low), "+d"(high) : "b"(3), "c"(4));
  return words[0] == (3 | (uint64_t)4 << 32);
}
int cx16(void) {
  uint64_t low = words[0] = 1, high = words[1] = 2;
  __asm__ volatile("lock cmpxchg16b %0"
                   : "+m"(words), "+a"(low), "+d"(high)
                   : "b"((uint64_t)3), "c"((uint64_t)4));
  return words[0] == 3 && words[1] == 4;
}

/* ---- Integer instructions ---- */

int movbe(void) {
  uint64_t value = 0x0102030405060708, swapped;
  __asm__ volatile("movbe %1, %0" : "=r"(swapped) : "m"(value));
  __asm__ volatile("movbe %1, %0" : "=m"(words[0]) : "r"(swapped));
  return swapped == 0x0807060504030201 && words[0] == value;
}
int popcnt(void) {
  uint64_t count;
  __asm__ volatile("popcnt %1, %0" : "=r"(count) : "r"((uint64_t)0xf0f1) : "cc");
  return count == 9;
}
int rdrand(void) {
  uint64_t a, b;
  uint8_t valid;
  __asm__ volatile("rdrand %0; rdrand %1; setc %2" : "=r"(a), "=r"(b), "=qm"(valid) : : "cc");
  return valid && a != b;
}
int cmov(void) {
  uint64_t value = 1;
  uint32_t number = 0;
  __asm__ volatile("cmp %0, %0; cmove %1, %0" : "+r"(value) : "r"((uint64_t)7) : "cc");
  __asm__ volatile("fninit; fld1; fldz; xor %%eax, %%eax; fcmove %%st(1), %%st; fistpl %0"
                   : "=m"(number)
                   :
                   : "rax", "cc");
  return value == 7 && number == 1;
}
int lahf(void) {
  uint64_t flags;
  __asm__ volatile("mov $0x100, %%eax; sahf; mov $0, %%eax; lahf; mov %%rax, %0"
                   : "=r"(flags)
                   :
                   : "rax", "cc");
  return flags == 0x300; /* CF, and the bit that is always set */
}
int clflush(void) {
  __asm__ volatile("clflush %0; prefetchw %0" : : "m"(words[0]));
  return 1;
}
int rep_movsb(void) {
  uint8_t from[40], to[40];
  for (unsigned i = 0; i < 40; ++i) {
    from[i] = (uint8_t)i;
    to[i] = 0;
  }
  void *source = from, *target = to;
  uint64_t count = 39;
  __asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(count) : : "memory");
  return count == 0 && to[38] == 38 && to[39] == 0;
}
int rdtscp(void) {
  uint32_t low, high, id;
  wrmsr(0xc0000103, 0x1234567);
  __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(id));
  return id == 0x1234567;
}
int rdpid(void) {
  uint64_t id;
  wrmsr(0xc0000103, 0x7654321);
  __asm__ volatile("rdpid %0" : "=r"(id));
  return id == 0x7654321;
}
int tsc_adjust(void) {
  const uint64_t before = rdtsc();
  wrmsr(0x3b, rdmsr(0x3b) + BIT(40));
  const uint64_t after = rdtsc();
  wrmsr(0x3b, rdmsr(0x3b) - BIT(40));
  return after - before >= BIT(40) && rdtsc() - before < BIT(40);
}

/* ---- Vectors ---- */

int mmx(void) {
  uint64_t sum = 0x00ff00ff00ff00ff;
  __asm__ volatile("movq %0, %%mm0; paddusb %%mm0, %%mm0; movq %%mm0, %0; emms" : "+m"(sum));
  return sum == 0x00ff00ff00ff00ff;
}
int fxsr(void) {
  uint32_t mxcsr = 0x1f80, after = 0;
  __asm__ volatile("ldmxcsr %2; fxsave %1; movl $0x5f80, 24+%1; fxrstor %1; stmxcsr %0; ldmxcsr %2"
                   : "=m"(after), "+m"(area)
                   : "m"(mxcsr));
  return after == 0x5f80;
}
int sse(void) {
  static float sum[4] __attribute__((aligned(16)));
  __asm__ volatile("movaps %1, %%xmm0; addps %%xmm0, %%xmm0; movaps %%xmm0, %0"
                   : "=m"(sum)
                   : "m"(floats));
  return *(uint32_t*)&sum[3] == 0x41000000; /* 8.0 */
}
int sse2(void) {
  static double sum[2] __attribute__((aligned(16)));
  __asm__ volatile("movapd %1, %%xmm0; addpd %%xmm0, %%xmm0; movapd %%xmm0, %0"
                   : "=m"(sum)
                   : "m"(doubles));
  return *(uint64_t*)&sum[1] == 0x4014000000000000; /* 5.0 */
}
int sse3(void) {
  static float sum[4] __attribute__((aligned(16)));
  __asm__ volatile("movaps %1, %%xmm0; haddps %%xmm0, %%xmm0; movaps %%xmm0, %0"
                   : "=m"(sum)
                   : "m"(floats));
  return *(uint32_t*)&sum[1] == 0x40e00000; /* 3 + 4 */
}
int ssse3(void) {
  for (unsigned i = 0; i < 16; ++i)
    bytes16[i] = (uint8_t)(15 - i);
  __asm__ volatile("movdqa %0, %%xmm0; pshufb %%xmm0, %%xmm0; movdqa %%xmm0, %0" : "+m"(bytes16));
  return bytes16[3] == 3 && bytes16[15] == 15;
}
int sse41(void) {
  uint8_t below;
  __asm__ volatile("movdqa %1, %%xmm0; pxor %%xmm1, %%xmm1; ptest %%xmm1, %%xmm0; setz %0"
                   : "=qm"(below)
                   : "m"(floats)
                   : "cc");
  return below;
}
/* A round of zeros under a zero key: the box gives 63H for 0, and a column of equals stays. */
int aes(void) {
  __asm__ volatile(
      "pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; aesenc %%xmm1, %%xmm0; movdqu %%xmm0, %0"
      : "=m"(bytes16));
  return bytes16[0] == 0x63 && bytes16[15] == 0x63;
}
int pclmulqdq(void) { /* (x + 1)(x + 1) is x^2 + 1 */
  __asm__ volatile("movq %1, %%xmm0; pclmulqdq $0, %%xmm0, %%xmm0; movdqu %%xmm0, %0"
                   : "=m"(words)
                   : "r"((uint64_t)3));
  return words[0] == 5 && words[1] == 0;
}
int sha(void) { /* rotates the top word by 30 */
  words[0] = 0;
  words[1] = BIT(32);
  __asm__ volatile(
      "movdqa %0, %%xmm0; pxor %%xmm1, %%xmm1; sha1nexte %%xmm1, %%xmm0; movdqa %%xmm0, %0"
      : "+m"(words));
  return words[0] == 0 && words[1] == BIT(62);
}
int bmi1(void) {
  uint64_t cleared, lowest;
  __asm__ volatile("andn %2, %1, %0" : "=r"(cleared) : "r"((uint64_t)5), "r"((uint64_t)7) : "cc");
  __asm__ volatile("blsi %1, %0" : "=r"(lowest) : "r"((uint64_t)12) : "cc");
  return cleared == 2 && lowest == 4;
}
int bmi2(void) {
  uint64_t spread, shifted;
  __asm__ volatile("pdep %2, %1, %0" : "=r"(spread) : "r"((uint64_t)5), "r"((uint64_t)0xf0));
  __asm__ volatile("shlx %2, %1, %0" : "=r"(shifted) : "r"((uint64_t)3), "r"((uint64_t)68));
  return spread == 0x50 && shifted == 48;
}
int adx(void) { /* two sums with a carry each */
  uint64_t a = ~(uint64_t)0, b = 1;
  __asm__ volatile("xor %%eax, %%eax; adcx %1, %0; adox %1, %1; adcx %0, %1"
                   : "+r"(a), "+r"(b)
                   :
                   : "rax", "cc");
  return a == 0 && b == 3;
}
int lzcnt(void) {
  uint64_t count;
  __asm__ volatile("lzcnt %1, %0" : "=r"(count) : "r"((uint64_t)1) : "cc");
  return count == 63;
}
int sse42(void) {
  static const char text[16] = "ringside";
  uint32_t crc = 0, index = 0;
  __asm__ volatile("crc32b %1, %0" : "+r"(crc) : "m"(((const char*)"a")[0]));
  __asm__ volatile("movups %1, %%xmm0; pcmpistri $0, %%xmm0, %%xmm0"
                   : "=c"(index)
                   : "m"(text)
                   : "cc");
  return crc == 0x93ad1061 && index == 0;
}

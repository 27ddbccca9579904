/* Executes every feature that CPUID announces. A table says for each bit how; the guest prints a
   line for each proof that fails, for each announced bit that has none, and for each instruction of
   a feature that is not announced and works all the same. Then "end". */
#include "features.h"

/* ---- What says what is there ---- */

enum { kEax, kEbx, kEcx, kEdx };
static const struct feature {
  const char* name;
  uint32_t leaf;
  uint8_t reg, bit;
  int (*proof)(void);
} features[] = {
    {"SSE3", 1, kEcx, 0, sse3},
    {"SSSE3", 1, kEcx, 9, ssse3},
    {"CMPXCHG16B", 1, kEcx, 13, cx16},
    {"PCID", 1, kEcx, 17, pcid},
    {"SSE4.1", 1, kEcx, 19, sse41},
    {"SSE4.2", 1, kEcx, 20, sse42},
    {"x2APIC", 1, kEcx, 21, x2apic},
    {"MOVBE", 1, kEcx, 22, movbe},
    {"POPCNT", 1, kEcx, 23, popcnt},
    {"TSC deadline", 1, kEcx, 24, tsc_deadline},
    {"RDRAND", 1, kEcx, 30, rdrand},
    {"hypervisor", 1, kEcx, 31, hypervisor},
    {"x87", 1, kEdx, 0, x87},
    {"DE", 1, kEdx, 2, de},
    {"PSE", 1, kEdx, 3, pse},
    {"TSC", 1, kEdx, 4, tsc},
    {"MSR", 1, kEdx, 5, msr},
    {"PAE", 1, kEdx, 6, pae},
    {"MCE", 1, kEdx, 7, mce},
    {"CMPXCHG8B", 1, kEdx, 8, cx8},
    {"APIC", 1, kEdx, 9, xapic},
    {"SYSENTER", 1, kEdx, 11, sysenter},
    {"MTRR", 1, kEdx, 12, mtrr},
    {"PGE", 1, kEdx, 13, pge},
    {"MCA", 1, kEdx, 14, mca},
    {"CMOV", 1, kEdx, 15, cmov},
    {"PAT", 1, kEdx, 16, pat},
    {"PSE-36", 1, kEdx, 17, pse36},
    {"CLFLUSH", 1, kEdx, 19, clflush},
    {"MMX", 1, kEdx, 23, mmx},
    {"FXSR", 1, kEdx, 24, fxsr},
    {"SSE", 1, kEdx, 25, sse},
    {"SSE2", 1, kEdx, 26, sse2},
    {"HTT", 1, kEdx, 28, several},
    {"FSGSBASE", 7, kEbx, 0, fsgsbase},
    {"TSC_ADJUST", 7, kEbx, 1, tsc_adjust},
    {"SMEP", 7, kEbx, 7, smep},
    {"ERMS", 7, kEbx, 9, rep_movsb},
    {"INVPCID", 7, kEbx, 10, invpcid},
    {"SMAP", 7, kEbx, 20, smap},
    {"UMIP", 7, kEcx, 2, umip},
    {"LA57", 7, kEcx, 16, la57},
    {"RDPID", 7, kEcx, 22, rdpid},
    {"FSRM", 7, kEdx, 4, rep_movsb},
    {"LAHF", 0x80000001, kEcx, 0, lahf},
    {"PREFETCHW", 0x80000001, kEcx, 8, clflush},
    {"SYSCALL", 0x80000001, kEdx, 11, syscall},
    {"NX", 0x80000001, kEdx, 20, nx},
    {"1 GiB pages", 0x80000001, kEdx, 26, one_gib},
    {"RDTSCP", 0x80000001, kEdx, 27, rdtscp},
    {"long mode", 0x80000001, kEdx, 29, long_mode},
    {"invariant TSC", 0x80000007, kEdx, 8, invariant_tsc},
};
/* Words that consist of feature bits: each that is set needs a line above. */
static const struct {
  uint32_t leaf, sub, reg;
} bitmaps[] = {
    {1, 0, kEcx},          {1, 0, kEdx},          {6, 0, kEax},          {6, 0, kEcx},
    {7, 0, kEbx},          {7, 0, kEcx},          {7, 0, kEdx},          {7, 1, kEax},
    {7, 1, kEdx},          {0xd, 0, kEax},        {0xd, 1, kEax},        {0x14, 0, kEbx},
    {0x14, 0, kEcx},       {0x19, 0, kEbx},       {0x80000001, 0, kEcx}, {0x80000001, 0, kEdx},
    {0x80000007, 0, kEbx}, {0x80000007, 0, kEdx}, {0x80000008, 0, kEbx}, {0x8000000a, 0, kEdx},
};

/* What must be #UD where the bit is clear. */
static uint8_t area[512] __attribute__((aligned(64), used));

CODE(monitor, "mov $area, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor")
CODE(mwait, "xor %eax, %eax; xor %ecx, %ecx; mwait")
CODE(pclmulqdq, "pclmulqdq $0, %xmm1, %xmm0")
CODE(aesenc, "aesenc %xmm1, %xmm0")
CODE(xsave, "xor %eax, %eax; xor %edx, %edx; xsave area")
CODE(xgetbv, "xor %ecx, %ecx; xgetbv")
CODE(avx, "vaddps %xmm1, %xmm0, %xmm0")
CODE(f16c, "vcvtph2ps %xmm1, %xmm0")
CODE(fma, "vfmadd132ps %xmm1, %xmm0, %xmm0")
CODE(bmi1, "andn %eax, %ecx, %edx")
CODE(bmi2, "pdep %eax, %ecx, %edx")
CODE(avx2, "vpaddb %ymm1, %ymm0, %ymm0")
CODE(rtm, "xbegin 1f; xend; 1:")
CODE(rdseed, "rdseed %rax")
CODE(adx, "adcx %eax, %ecx")
CODE(clflushopt, "clflushopt area")
CODE(clwb, "clwb area")
CODE(sha, "sha1nexte %xmm1, %xmm0")
CODE(rdpkru, "xor %ecx, %ecx; rdpkru")
CODE(waitpkg, "mov $area, %eax; umonitor %rax")
CODE(gfni, "gf2p8mulb %xmm1, %xmm0")
CODE(movdiri, "movdiri %eax, area")
CODE(movdir64b, "mov $area, %eax; movdir64b area, %rax")
CODE(vmxon, "vmxon area")
CODE(getsec, "xor %eax, %eax; getsec")
CODE(serialize, "serialize")
CODE(sse4a, "extrq %xmm1, %xmm0")
static const struct absent {
  const char* name;
  uint32_t leaf;
  uint8_t reg, bit;
  void (*code)(void);
} absents[] = {
    {"MONITOR", 1, kEcx, 3, monitor},
    {"MWAIT", 1, kEcx, 3, mwait},
    {"PCLMULQDQ", 1, kEcx, 1, pclmulqdq},
    {"VMX", 1, kEcx, 5, vmxon},
    {"SMX", 1, kEcx, 6, getsec},
    {"FMA", 1, kEcx, 12, fma},
    {"AES", 1, kEcx, 25, aesenc},
    {"XSAVE", 1, kEcx, 26, xsave},
    {"XGETBV", 1, kEcx, 26, xgetbv},
    {"AVX", 1, kEcx, 28, avx},
    {"F16C", 1, kEcx, 29, f16c},
    {"BMI1", 7, kEbx, 3, bmi1},
    {"AVX2", 7, kEbx, 5, avx2},
    {"BMI2", 7, kEbx, 8, bmi2},
    {"RTM", 7, kEbx, 11, rtm},
    {"RDSEED", 7, kEbx, 18, rdseed},
    {"ADX", 7, kEbx, 19, adx},
    {"CLFLUSHOPT", 7, kEbx, 23, clflushopt},
    {"CLWB", 7, kEbx, 24, clwb},
    {"SHA", 7, kEbx, 29, sha},
    {"PKU", 7, kEcx, 3, rdpkru},
    {"WAITPKG", 7, kEcx, 5, waitpkg},
    {"GFNI", 7, kEcx, 8, gfni},
    {"MOVDIRI", 7, kEcx, 27, movdiri},
    {"MOVDIR64B", 7, kEcx, 28, movdir64b},
    {"SERIALIZE", 7, kEdx, 14, serialize},
    {"SSE4A", 0x80000001, kEcx, 6, sse4a},
};
/* Bits of CR4 that are #GP where CPUID does not have the feature (SDM 3A 2.5). */
static const struct {
  const char* name;
  uint8_t cr4_bit;
  uint32_t leaf;
  uint8_t reg, bit;
} cr4_bits[] = {
    {"CR4.VME", 0, 1, kEdx, 1},      {"CR4.PVI", 1, 1, kEdx, 1},
    {"CR4.VMXE", 13, 1, kEcx, 5},    {"CR4.SMXE", 14, 1, kEcx, 6},
    {"CR4.bit 15", 15, 0, kEax, 31}, {"CR4.OSXSAVE", 18, 1, kEcx, 26},
    {"CR4.PKE", 22, 7, kEcx, 3},     {"CR4.CET", 23, 7, kEcx, 7},
    {"CR4.PKS", 24, 7, kEcx, 31},    {"CR4.bit 31", 31, 0, kEax, 31},
    {"CR4.bit 32", 32, 0, kEax, 31},
};

#define COUNT(array) (sizeof array / sizeof array[0])

static int announced(uint32_t leaf, uint32_t sub, unsigned reg, unsigned bit) {
  if (leaf > cpuid(leaf & 0x80000000, 0).reg[0]) return 0;
  return cpuid(leaf, sub).reg[reg] >> bit & 1;
}

static void print_number(uint64_t value) {
  char text[17];
  unsigned at = 16;
  text[16] = 0;
  do
    text[--at] = "0123456789abcdef"[value & 15];
  while ((value >>= 4) != 0);
  print(text + at);
}
static void print_decimal(unsigned value) {
  const char text[3] = {(char)('0' + value / 10), (char)('0' + value % 10), 0};
  print(text);
}
static void complain(const char* what, const char* name) {
  print(name);
  print(what);
}

static const struct feature* tried;
static int proved;
static void try_proof(void) { proved = tried->proof(); }

static unsigned prove_announced(void) {
  unsigned count = 0;
  for (tried = features; tried != features + COUNT(features); ++tried) {
    if (!announced(tried->leaf, 0, tried->reg, tried->bit)) continue;
    proved = 0;
    const int vector = attempt(try_proof);
    set_plain_cr4();
    if (vector != kNone || proved != 1) {
      complain(": announced, and fails, exception ", tried->name);
      print_number((uint64_t)(int64_t)vector);
      print("\n");
    }
    count += 1;
  }
  return count;
}
static void find_unproved(void) {
  for (unsigned i = 0; i < COUNT(bitmaps); ++i) {
    for (unsigned bit = 0; bit < 32; ++bit) {
      int known = !announced(bitmaps[i].leaf, bitmaps[i].sub, bitmaps[i].reg, bit);
      for (unsigned k = 0; k < COUNT(features) && bitmaps[i].sub == 0; ++k)
        known |= features[k].leaf == bitmaps[i].leaf && features[k].reg == bitmaps[i].reg &&
                 features[k].bit == bit;
      if (known) continue;
      print("no proof for bit ");
      print_number(bit);
      print(" of register ");
      print_number(bitmaps[i].reg);
      print(" of leaf ");
      print_number(bitmaps[i].leaf);
      print("\n");
    }
  }
}
static uint64_t cr4_wanted;
static void write_cr4(void) { WRITE(cr4, plain_cr4 | cr4_wanted); }
static void prove_absent(void) {
  for (unsigned i = 0; i < COUNT(absents); ++i) {
    const struct absent* a = &absents[i];
    if (!announced(a->leaf, 0, a->reg, a->bit) && attempt(a->code) != kInvalid)
      complain(": not announced, and no #UD\n", a->name);
  }
  for (unsigned i = 0; i < COUNT(cr4_bits); ++i) {
    cr4_wanted = BIT(cr4_bits[i].cr4_bit);
    if (!announced(cr4_bits[i].leaf, 0, cr4_bits[i].reg, cr4_bits[i].bit) &&
        attempt(write_cr4) != kProtection)
      complain(": not announced, and no #GP\n", cr4_bits[i].name);
    set_plain_cr4();
  }
}

void features_main(void);
void features_main(void) {
  plain_cr4 = READ(cr4);
  const unsigned count = prove_announced();
  find_unproved();
  prove_absent();
  print("proved: ");
  print_decimal(count);
  print("\nend\n");
}

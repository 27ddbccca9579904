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
  uint32_t sub;
} features[] = {
    {"SSE3", 1, kEcx, 0, sse3, 0},
    {"PCLMULQDQ", 1, kEcx, 1, pclmulqdq, 0},
    {"SSSE3", 1, kEcx, 9, ssse3, 0},
    {"CMPXCHG16B", 1, kEcx, 13, cx16, 0},
    {"PCID", 1, kEcx, 17, pcid, 0},
    {"SSE4.1", 1, kEcx, 19, sse41, 0},
    {"SSE4.2", 1, kEcx, 20, sse42, 0},
    {"FMA", 1, kEcx, 12, fma, 0},
    {"XSAVE", 1, kEcx, 26, xsave, 0},
    {"AVX", 1, kEcx, 28, avx, 0},
    {"F16C", 1, kEcx, 29, f16c, 0},
    {"x2APIC", 1, kEcx, 21, x2apic, 0},
    {"MOVBE", 1, kEcx, 22, movbe, 0},
    {"POPCNT", 1, kEcx, 23, popcnt, 0},
    {"TSC deadline", 1, kEcx, 24, tsc_deadline, 0},
    {"AES", 1, kEcx, 25, aes, 0},
    {"RDRAND", 1, kEcx, 30, rdrand, 0},
    {"hypervisor", 1, kEcx, 31, hypervisor, 0},
    {"x87", 1, kEdx, 0, x87, 0},
    {"DE", 1, kEdx, 2, de, 0},
    {"PSE", 1, kEdx, 3, pse, 0},
    {"TSC", 1, kEdx, 4, tsc, 0},
    {"MSR", 1, kEdx, 5, msr, 0},
    {"PAE", 1, kEdx, 6, pae, 0},
    {"MCE", 1, kEdx, 7, mce, 0},
    {"CMPXCHG8B", 1, kEdx, 8, cx8, 0},
    {"APIC", 1, kEdx, 9, xapic, 0},
    {"SYSENTER", 1, kEdx, 11, sysenter, 0},
    {"MTRR", 1, kEdx, 12, mtrr, 0},
    {"PGE", 1, kEdx, 13, pge, 0},
    {"MCA", 1, kEdx, 14, mca, 0},
    {"CMOV", 1, kEdx, 15, cmov, 0},
    {"PAT", 1, kEdx, 16, pat, 0},
    {"PSE-36", 1, kEdx, 17, pse36, 0},
    {"CLFLUSH", 1, kEdx, 19, clflush, 0},
    {"MMX", 1, kEdx, 23, mmx, 0},
    {"FXSR", 1, kEdx, 24, fxsr, 0},
    {"SSE", 1, kEdx, 25, sse, 0},
    {"SSE2", 1, kEdx, 26, sse2, 0},
    {"HTT", 1, kEdx, 28, several, 0},
    {"FSGSBASE", 7, kEbx, 0, fsgsbase, 0},
    {"TSC_ADJUST", 7, kEbx, 1, tsc_adjust, 0},
    {"BMI1", 7, kEbx, 3, bmi1, 0},
    {"AVX2", 7, kEbx, 5, avx2, 0},
    {"BMI2", 7, kEbx, 8, bmi2, 0},
    {"ADX", 7, kEbx, 19, adx, 0},
    {"SMEP", 7, kEbx, 7, smep, 0},
    {"ERMS", 7, kEbx, 9, rep_movsb, 0},
    {"INVPCID", 7, kEbx, 10, invpcid, 0},
    {"SMAP", 7, kEbx, 20, smap, 0},
    {"SHA", 7, kEbx, 29, sha, 0},
    {"UMIP", 7, kEcx, 2, umip, 0},
    {"PKU", 7, kEcx, 3, pku, 0},
    {"LA57", 7, kEcx, 16, la57, 0},
    {"RDPID", 7, kEcx, 22, rdpid, 0},
    {"FSRM", 7, kEdx, 4, rep_movsb, 0},
    {"x87 state", 0xd, kEax, 0, xsave, 0},
    {"SSE state", 0xd, kEax, 1, xsave, 0},
    {"AVX state", 0xd, kEax, 2, xsave, 0},
    {"PKRU state", 0xd, kEax, 9, pkru_state, 0},
    {"XSAVEOPT", 0xd, kEax, 0, xsaveopt, 1},
    {"XSAVEC", 0xd, kEax, 1, xsavec, 1},
    {"XGETBV with 1", 0xd, kEax, 2, xgetbv1, 1},
    {"LZCNT", 0x80000001, kEcx, 5, lzcnt, 0},
    {"LAHF", 0x80000001, kEcx, 0, lahf, 0},
    {"PREFETCHW", 0x80000001, kEcx, 8, clflush, 0},
    {"SYSCALL", 0x80000001, kEdx, 11, syscall, 0},
    {"NX", 0x80000001, kEdx, 20, nx, 0},
    {"1 GiB pages", 0x80000001, kEdx, 26, one_gib, 0},
    {"RDTSCP", 0x80000001, kEdx, 27, rdtscp, 0},
    {"long mode", 0x80000001, kEdx, 29, long_mode, 0},
    {"invariant TSC", 0x80000007, kEdx, 8, invariant_tsc, 0},
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
CODE(no_xsave, "xor %eax, %eax; xor %edx, %edx; xsave area")
CODE(xgetbv, "xor %ecx, %ecx; xgetbv")
CODE(no_avx, "vaddps %xmm1, %xmm0, %xmm0")
CODE(no_f16c, "vcvtph2ps %xmm1, %xmm0")
CODE(no_fma, "vfmadd132ps %xmm1, %xmm0, %xmm0")
CODE(no_bmi1, "andn %eax, %ecx, %edx")
CODE(no_bmi2, "pdep %eax, %ecx, %edx")
CODE(no_avx2, "vpaddb %ymm1, %ymm0, %ymm0")
CODE(rtm, "xbegin 1f; xend; 1:")
CODE(rdseed, "rdseed %rax")
CODE(no_adx, "adcx %eax, %ecx")
CODE(clflushopt, "clflushopt area")
CODE(clwb, "clwb area")
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
    {"VMX", 1, kEcx, 5, vmxon},
    {"SMX", 1, kEcx, 6, getsec},
    {"FMA", 1, kEcx, 12, no_fma},
    {"XSAVE", 1, kEcx, 26, no_xsave},
    {"XGETBV", 1, kEcx, 26, xgetbv},
    {"AVX", 1, kEcx, 28, no_avx},
    {"F16C", 1, kEcx, 29, no_f16c},
    {"BMI1", 7, kEbx, 3, no_bmi1},
    {"AVX2", 7, kEbx, 5, no_avx2},
    {"BMI2", 7, kEbx, 8, no_bmi2},
    {"RTM", 7, kEbx, 11, rtm},
    {"RDSEED", 7, kEbx, 18, rdseed},
    {"ADX", 7, kEbx, 19, no_adx},
    {"CLFLUSHOPT", 7, kEbx, 23, clflushopt},
    {"CLWB", 7, kEbx, 24, clwb},
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
    if (!announced(tried->leaf, tried->sub, tried->reg, tried->bit)) continue;
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
      for (unsigned k = 0; k < COUNT(features); ++k)
        known |= features[k].leaf == bitmaps[i].leaf && features[k].sub == bitmaps[i].sub &&
                 features[k].reg == bitmaps[i].reg && features[k].bit == bit;
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

/* Proofs of what a kernel uses: paging modes, rings, model-specific registers, interrupts. */
#include "features.h"

uint64_t plain_cr4;
void set_plain_cr4(void) { WRITE(cr4, plain_cr4); }
/* With more bits of CR4, and then without them. */
static int with_cr4(uint64_t bits, void (*function)(void)) {
  WRITE(cr4, plain_cr4 | bits);
  const int vector = attempt(function);
  set_plain_cr4();
  return vector;
}
static void enter_user_page(void) { enter_user(USER_PAGE); }
/* What happens when ring 3 executes the bytes. */
static int in_user_mode(uint64_t cr4, const char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i)
    ((volatile char*)USER_PAGE)[i] = bytes[i];
  return with_cr4(cr4, enter_user_page);
}
#define USER(cr4, bytes) in_user_mode(cr4, bytes, sizeof bytes - 1)

CODE(read_dr4, "mov %db4, %rax")
int de(void) { return with_cr4(0, read_dr4) == kNone && with_cr4(CR4_DE, read_dr4) == kInvalid; }

/* Paging tables of their own: the first 4 MiB, and something at 2 GiB. */
static uint32_t directory32[1024] __attribute__((aligned(4096)));
static uint64_t directory_pae[512] __attribute__((aligned(4096)));
static uint64_t pointers_pae[4] __attribute__((aligned(32)));
static uint64_t pml5[512] __attribute__((aligned(4096)));
static volatile uint32_t cookie = 0x600dc0de;
#define COOKIE ((uint64_t)(uintptr_t)&cookie)
#define LEGACY_AT 0x80000000u
static uint32_t read32(uint32_t entry, uint32_t offset) {
  directory32[0] = 0x83;
  directory32[512] = entry;
  return legacy_read((uintptr_t)directory32, CR4_PSE, LEGACY_AT + offset);
}
int pse(void) { return read32(0x83, (uint32_t)COOKIE) == cookie; }
/* 1 GiB at 4 GiB; RAM is there. */
static volatile uint32_t* high_memory(void) {
  pdpt[4] = BIT(32) | 0x83;
  return (volatile uint32_t*)(uintptr_t)(BIT(32) + 0x1230);
}
int pse36(void) {
  *high_memory() = 0x12345678;
  return read32(0x83 | 1 << 13, 0x1230) == 0x12345678;
}
int one_gib(void) {
  pdpt[5] = 0x83; /* memory from 0, once more */
  *high_memory() = 0x87654321;
  return *(volatile uint32_t*)(uintptr_t)(5 * BIT(30) + COOKIE) == cookie &&
         *high_memory() == 0x87654321;
}
int pae(void) {
  directory_pae[0] = 0x83;
  pointers_pae[0] = pointers_pae[2] = (uintptr_t)directory_pae | 1;
  return legacy_read((uintptr_t)pointers_pae, CR4_PAE, LEGACY_AT + COOKIE) == cookie;
}
int la57(void) {
  pml5[0] = pml5[256] = (uintptr_t)pml4 | 3; /* 256: FF00000000000000H */
  return long_read((uintptr_t)pml5, plain_cr4 | CR4_LA57, 0xff00000000000000 + COOKIE) == cookie;
}

int tsc(void) {
  const uint64_t first = rdtsc();
  return rdtsc() > first && rdmsr(0x10) > first;
}
int msr(void) {
  wrmsr(0xc0000102, 0x1234); /* IA32_KERNEL_GS_BASE */
  return rdmsr(0xc0000102) == 0x1234;
}
int mce(void) {
  WRITE(cr4, plain_cr4 | CR4_MCE);
  const int set = (READ(cr4) & CR4_MCE) != 0;
  set_plain_cr4();
  return set;
}
/* The global status, and each bank that MCG_CAP counts. */
int mca(void) {
  wrmsr(0x17a, 0);
  for (unsigned bank = 0; bank < (rdmsr(0x179) & 0xff); ++bank)
    rdmsr(0x401 + 4 * bank);
  return rdmsr(0x17a) == 0;
}
/* ---- The local APIC ---- */

static volatile uint32_t* apic(unsigned offset) {
  return (volatile uint32_t*)(uintptr_t)(0xfee00000 + offset);
}
static int comes(unsigned vector) {
  for (unsigned i = 0; i < 1000000 && interrupted != vector; ++i)
    __asm__ volatile("sti; nop; cli" : : : "memory");
  const int came = interrupted == vector;
  interrupted = 0;
  return came;
}
int xapic(void) {
  *apic(0xf0) = 0x1ff;
  *apic(0x300) = 0x40000 | 0x50; /* to itself */
  const int came = comes(0x50);
  *apic(0xb0) = 0;
  return came && *apic(0x20) >> 24 == cpuid(1, 0).reg[1] >> 24;
}
int tsc_deadline(void) {
  *apic(0xf0) = 0x1ff;
  *apic(0x320) = 2 << 17 | 0x51;
  __asm__ volatile("mfence" : : : "memory");
  wrmsr(0x6e0, rdtsc() + 100000);
  const int came = comes(0x51);
  *apic(0xb0) = 0;
  *apic(0x320) = 0x10000;
  return came && rdmsr(0x6e0) == 0;
}
/* There is no way back but through off. */
int x2apic(void) {
  const uint64_t base = rdmsr(0x1b);
  wrmsr(0x1b, base | BIT(10));
  wrmsr(0x80f, 0x1ff);
  wrmsr(0x83f, 0x52); /* to itself */
  const int came = comes(0x52);
  wrmsr(0x80b, 0);
  const int same = rdmsr(0x802) == cpuid(0xb, 0).reg[3];
  wrmsr(0x1b, base & ~BIT(11));
  const int gone = (cpuid(1, 0).reg[3] & 1 << 9) == 0;
  wrmsr(0x1b, base);
  return came && same && gone;
}

/* ---- Ring 3 and its ways into the kernel ---- */

int sysenter(void) {
  wrmsr(0x174, 0x08);
  wrmsr(0x175, 0x8000);
  wrmsr(0x176, (uintptr_t)after_sysenter);
  return USER(0, "\x0f\x34") == kSysenter;
}
int syscall(void) {
  wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
  wrmsr(0xc0000081, (uint64_t)0x08 << 32);
  wrmsr(0xc0000082, (uintptr_t)after_syscall);
  return USER(0, "\x0f\x05") == kSyscall;
}
/* SMSW EAX, then UD2. */
int umip(void) {
  return USER(0, "\x0f\x01\xe0\x0f\x0b") == kInvalid &&
         USER(CR4_UMIP, "\x0f\x01\xe0\x0f\x0b") == kProtection;
}
static void return_from_user_page(void) {
  *(volatile uint8_t*)USER_PAGE = 0xc3;
  __asm__ volatile("call *%0" : : "r"((uint64_t)USER_PAGE) : "memory");
}
int smep(void) {
  return with_cr4(0, return_from_user_page) == kNone &&
         with_cr4(CR4_SMEP, return_from_user_page) == kPageFault && error_code == 0x11;
}
static void touch(void) { *(volatile uint8_t*)USER_PAGE = 1; }
static void touch_with_ac(void) {
  __asm__ volatile("stac; movb $1, 0x200000; clac" : : : "memory");
}
int smap(void) {
  return with_cr4(0, touch) == kNone && with_cr4(CR4_SMAP, touch) == kPageFault &&
         error_code == 3 && with_cr4(CR4_SMAP, touch_with_ac) == kNone;
}
/* Key 1 for the page, to which the kernel's own accesses are forbidden and then allowed. */
CODE(touch_locked, "mov $4, %eax; xor %ecx, %ecx; xor %edx, %edx; wrpkru; movb $1, 0x200000")
CODE(touch_unlocked, "xor %eax, %eax; xor %ecx, %ecx; xor %edx, %edx; wrpkru; movb $1, 0x200000")
static void give_key(uint64_t key) {
  pd_low[1] = (pd_low[1] & ~(BIT(63) - BIT(59))) | key << 59;
  __asm__ volatile("invlpg 0x200000" : : : "memory");
}
int pku(void) {
  give_key(1);
  const int locked = with_cr4(CR4_PKE, touch_locked) == kPageFault && error_code == 0x23;
  const int unlocked = with_cr4(CR4_PKE, touch_unlocked) == kNone;
  give_key(2);
  const int other = with_cr4(CR4_PKE, touch_locked) == kNone;
  give_key(0);
  return locked && unlocked && other && with_cr4(0, touch_unlocked) == kInvalid;
}
int nx(void) {
  wrmsr(0xc0000080, rdmsr(0xc0000080) | BIT(11));
  pd_low[1] |= BIT(63);
  __asm__ volatile("invlpg 0x200000" : : : "memory");
  const int vector = attempt(return_from_user_page);
  const uint64_t code = error_code;
  pd_low[1] &= ~BIT(63);
  __asm__ volatile("invlpg 0x200000" : : : "memory");
  return vector == kPageFault && code == 0x11 && attempt(return_from_user_page) == kNone;
}
CODE(fsgsbase_code,
     "rdgsbase %rax; mov $0x12345678, %ecx; wrgsbase %rcx; rdgsbase %rdx;"
     "wrgsbase %rax; cmp %rcx, %rdx; je 1f; ud2; 1:")
int fsgsbase(void) {
  return with_cr4(0, fsgsbase_code) == kInvalid && with_cr4(CR4_FSGSBASE, fsgsbase_code) == kNone;
}

/* ---- Translations ---- */

static void use_pcids(void) {
  const uint64_t cr3 = READ(cr3);
  WRITE(cr3, cr3 | 5);           /* flushes process 5 */
  WRITE(cr3, cr3 | 6 | BIT(63)); /* flushes nothing */
  const uint64_t six = READ(cr3);
  WRITE(cr3, cr3);
  if (six != (cr3 | 6)) __asm__ volatile("ud2");
}
int pcid(void) { return with_cr4(CR4_PCIDE, use_pcids) == kNone; }
int invpcid(void) {
  static uint64_t descriptor[2] = {0, USER_PAGE};
  for (uint64_t type = 0; type < 4; ++type)
    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(type) : "memory");
  return 1;
}
/* A global translation outlives a load of CR3: no processor must keep it, so just the bit. */
int pge(void) {
  WRITE(cr4, plain_cr4 | CR4_PGE);
  const int set = (READ(cr4) & CR4_PGE) != 0;
  pd_low[1] |= 0x100;
  touch();
  pd_low[1] &= ~(uint64_t)0x100;
  set_plain_cr4();
  return set;
}
int mtrr(void) {
  const uint64_t first = rdmsr(0x200), type = rdmsr(0x2ff);
  wrmsr(0x200, 0x40000006);
  const int written = rdmsr(0x200) == 0x40000006;
  wrmsr(0x200, first);
  wrmsr(0x2ff, type);
  const uint64_t fixed = rdmsr(0x250);
  wrmsr(0x250, fixed);
  return written && (rdmsr(0xfe) & 0xff) >= 1;
}
static void bad_pat(void) { wrmsr(0x277, 2); } /* a reserved type */
int pat(void) {
  const uint64_t old = rdmsr(0x277);
  wrmsr(0x277, 0x0007010600070106);
  const int written = rdmsr(0x277) == 0x0007010600070106;
  wrmsr(0x277, old);
  return written && attempt(bad_pat) == kProtection;
}

int long_mode(void) { return (rdmsr(0xc0000080) & 0x500) == 0x500; }
int hypervisor(void) {
  const struct leaf leaf = cpuid(0x40000000, 0);
  return leaf.reg[0] >= 0x40000000 && leaf.reg[1] != 0;
}
/* Logical processors: the count and the identities agree. */
int several(void) {
  return (cpuid(1, 0).reg[1] >> 16 & 0xff) > 1 && (cpuid(0xb, 1).reg[1] & 0xffff) > 1;
}
/* It goes on while the processor sleeps. */
int invariant_tsc(void) {
  *apic(0xf0) = 0x1ff;
  *apic(0x320) = 2 << 17 | 0x53;
  __asm__ volatile("mfence" : : : "memory");
  const uint64_t before = rdtsc();
  wrmsr(0x6e0, before + 1000000);
  __asm__ volatile("sti; hlt; cli" : : : "memory");
  *apic(0xb0) = 0;
  *apic(0x320) = 0x10000;
  return rdtsc() - before >= 1000000;
}

/* XSAVE, and what needs the state that it switches on. */
static volatile uint8_t extended[4096] __attribute__((aligned(64), used));
static volatile uint64_t quads[4] __attribute__((aligned(32), used));
static volatile uint64_t switched_on; /* XCR0, read back */
static void (*with_state)(void);
static void switch_on(void) {
  uint32_t low, high;
  __asm__ volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  switched_on = low | (uint64_t)high << 32;
  with_state();
}
static int with_xcr0(void (*function)(void)) {
  with_state = function;
  switched_on = 0;
  return with_cr4(CR4_OSXSAVE, switch_on) == kNone && switched_on == 7;
}
/* Fills YMM1, saves, clears all, restores, and stores YMM1. */
#define ROUND_TRIP(name, save)                                            \
  CODE(name,                                                              \
       "movq $0x1234, %rax; movq %rax, %xmm0; vpbroadcastq %xmm0, %ymm1;" \
       "mov $7, %eax; xor %edx, %edx;" save                               \
       " extended; vzeroall;"                                             \
       "xrstor extended; vmovdqu %ymm1, quads; vzeroupper")
ROUND_TRIP(round_trip, "xsave")
ROUND_TRIP(round_trip_optimised, "xsaveopt")
ROUND_TRIP(round_trip_compacted, "xsavec")
static int comes_back(void (*round)(void)) {
  for (unsigned i = 0; i < sizeof extended; ++i)
    extended[i] = 0;
  quads[3] = 0;
  return with_xcr0(round) && quads[0] == 0x1234 && quads[3] == 0x1234;
}
int xsave(void) { return comes_back(round_trip); }
int xsaveopt(void) { return comes_back(round_trip_optimised); }
int xsavec(void) { return comes_back(round_trip_compacted) && extended[527] == 0x80; }
/* Fills PKRU, saves, clears, restores, and stores it. */
CODE(keys_round_trip,
     "mov $0x207, %eax; xor %ecx, %ecx; xor %edx, %edx; xsetbv; mov $8, %eax; wrpkru;"
     "mov $0x200, %eax; xsave extended; xor %eax, %eax; wrpkru; rdpkru; mov %rax, quads;"
     "mov $0x200, %eax; xrstor extended; rdpkru; mov %rax, quads + 8; xor %eax, %eax; wrpkru")
int pkru_state(void) {
  const unsigned place = cpuid(0xd, 9).reg[1];
  for (unsigned i = 0; i < sizeof extended; ++i)
    extended[i] = 0;
  return cpuid(0xd, 9).reg[0] == 8 && place + 8 <= sizeof extended &&
         with_cr4(CR4_OSXSAVE | CR4_PKE, keys_round_trip) == kNone && quads[0] == 0 &&
         quads[1] == 8 && extended[place] == 8 && extended[place + 8] == 0;
}
CODE(what_is_in_use, "vzeroall; mov $1, %ecx; xgetbv; mov %rax, quads")
int xgetbv1(void) { return with_xcr0(what_is_in_use) && (quads[0] & 4) == 0; }

CODE(add_doubles,
     "mov $1, %eax; vcvtsi2sd %eax, %xmm0, %xmm0; vmovddup %xmm0, %xmm0;"
     "vinsertf128 $1, %xmm0, %ymm0, %ymm0; vaddpd %ymm0, %ymm0, %ymm0;"
     "vmovupd %ymm0, quads; vzeroupper")
int avx(void) {
  return with_xcr0(add_doubles) && quads[0] == BIT(62) && quads[3] == BIT(62); /* 2.0 */
}
CODE(add_bytes,
     "vpcmpeqb %ymm0, %ymm0, %ymm0; vpaddb %ymm0, %ymm0, %ymm0;"
     "vmovdqu %ymm0, quads; vzeroupper")
int avx2(void) { return with_xcr0(add_bytes) && quads[3] == 0xfefefefefefefefe; }
CODE(fuse,
     "mov $3, %eax; vcvtsi2sd %eax, %xmm0, %xmm0; vfmadd231sd %xmm0, %xmm0, %xmm0;"
     "vcvtsd2si %xmm0, %rax; mov %rax, quads")
int fma(void) { return with_xcr0(fuse) && quads[0] == 12; }
CODE(halve,
     "mov $0x3f800000, %eax; vmovd %eax, %xmm0; vcvtps2ph $0, %xmm0, %xmm0;"
     "vmovq %xmm0, quads")
int f16c(void) { return with_xcr0(halve) && quads[0] == 0x3c00; }

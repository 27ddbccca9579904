/* What the parts of the guest "features" share. A proof executes what a bit of CPUID announces, and
   gives 1 if that does what the manual says. */
#pragma once

#include "guest.h"

/* features.S */
int attempt(void (*function)(void));
extern uint64_t error_code;
extern volatile unsigned interrupted;
void enter_user(uint64_t address);
uint32_t legacy_read(uint64_t cr3, uint64_t cr4, uint64_t address);
uint32_t long_read(uint64_t cr3, uint64_t cr4, uint64_t address);
void after_syscall(void), after_sysenter(void);
extern uint64_t pml4[512], pdpt[512], pd_low[512];

enum { kNone = -1, kInvalid = 6, kProtection = 13, kPageFault = 14, kSyscall = 256, kSysenter };
#define BIT(n) ((uint64_t)1 << (n))
#define USER_PAGE 0x200000 /* 2 MiB that ring 3 may use */
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)

struct leaf {
  uint32_t reg[4]; /* EAX EBX ECX EDX */
};
static inline struct leaf cpuid(uint32_t number, uint32_t sub) {
  struct leaf leaf;
  __asm__ volatile("cpuid"
                   : "=a"(leaf.reg[0]), "=b"(leaf.reg[1]), "=c"(leaf.reg[2]), "=d"(leaf.reg[3])
                   : "a"(number), "c"(sub));
  return leaf;
}
static inline uint64_t rdmsr(uint32_t number) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
  return low | (uint64_t)high << 32;
}
static inline void wrmsr(uint32_t number, uint64_t value) {
  __asm__ volatile("wrmsr"
                   :
                   : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                   : "memory");
}
static inline uint64_t rdtsc(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return low | (uint64_t)high << 32;
}
#define READ(reg)                                         \
  ({                                                      \
    uint64_t read_;                                       \
    __asm__ volatile("mov %%" #reg ", %0" : "=r"(read_)); \
    read_;                                                \
  })
#define WRITE(reg, value) __asm__ volatile("mov %0, %%" #reg : : "r"((uint64_t)(value)) : "memory")

/* A function that is one piece of assembler: registers that a caller keeps are its to change. */
#define CODE(name, text) \
  static void __attribute__((noinline)) name(void) { __asm__ volatile(text); }

/* features_system.c */
extern uint64_t plain_cr4; /* what the guest began with */
void set_plain_cr4(void);
int pcid(void);
int x2apic(void);
int tsc_deadline(void);
int hypervisor(void);
int de(void);
int pse(void);
int tsc(void);
int msr(void);
int pae(void);
int mce(void);
int xapic(void);
int sysenter(void);
int mtrr(void);
int pge(void);
int mca(void);
int pat(void);
int pse36(void);
int several(void);
int fsgsbase(void);
int smep(void);
int invpcid(void);
int smap(void);
int umip(void);
int pku(void);
int la57(void);
int syscall(void);
int nx(void);
int one_gib(void);
int long_mode(void);
int invariant_tsc(void);
int xsave(void);
int xsaveopt(void);
int xsavec(void);
int xgetbv1(void);
int pkru_state(void);
int avx(void);
int avx2(void);
int fma(void);
int f16c(void);

/* features_user.c */
int sse3(void);
int ssse3(void);
int cx16(void);
int sse41(void);
int sse42(void);
int movbe(void);
int pclmulqdq(void);
int aes(void);
int sha(void);
int bmi1(void);
int bmi2(void);
int adx(void);
int lzcnt(void);
int popcnt(void);
int rdrand(void);
int x87(void);
int cx8(void);
int cmov(void);
int clflush(void);
int mmx(void);
int fxsr(void);
int sse(void);
int sse2(void);
int tsc_adjust(void);
int rep_movsb(void);
int rdpid(void);
int lahf(void);
int rdtscp(void);

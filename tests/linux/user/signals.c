// Signals: each exception of the processor as the signal that Linux makes of it, with its code and
// address; and those of timers, queues and other processes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exercise.h"

static sigjmp_buf back;
static volatile sig_atomic_t count;
static siginfo_t last;

static void escape(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  last = *info;
  siglongjmp(back, 1);
}
static void note(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  last = *info;
  ++count;
}

static void handle(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | flags;
  CHECK(sigaction(signal, &action, NULL) == 0);
}

// Does `action`, which must raise `number` with `code`.
#define RAISES(number, code, action)       \
  do {                                     \
    memset(&last, 0, sizeof last);         \
    if (sigsetjmp(back, 1) == 0) {         \
      action;                              \
      CHECK(!"the signal must have come"); \
    }                                      \
    CHECK_EQUAL(last.si_signo, number);    \
    CHECK_EQUAL(last.si_code, code);       \
  } while (0)

static void arithmetic(void) {
  volatile int zero = 0, ten = 10, least = INT32_MIN, minus = -1;
  volatile int result;
  RAISES(SIGFPE, FPE_INTDIV, result = ten / zero);
  RAISES(SIGFPE, FPE_INTDIV, result = least / minus);
  (void)result;

  volatile double nothing = 0, one = 1;
  volatile double quotient;
  RAISES(SIGFPE, FPE_FLTDIV, {
    unsigned mxcsr = 0x1f80 & ~0x200u;
    __asm__ volatile("ldmxcsr %0\n\tdivsd %2, %1" : : "m"(mxcsr), "x"(one), "x"(nothing));
  });
  RAISES(SIGFPE, FPE_FLTINV, {
    unsigned mxcsr = 0x1f80 & ~0x80u;
    __asm__ volatile("ldmxcsr %0\n\tsqrtsd %1, %%xmm7" : : "m"(mxcsr), "x"(-one) : "xmm7");
  });
  // An x87 exception waits for the next instruction.
  RAISES(SIGFPE, FPE_FLTDIV, {
    unsigned short word = 0x37f & ~4;
    __asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" : : "m"(word));
  });
  __asm__ volatile("fninit");
  quotient = one / nothing;  // masked again
  CHECK(quotient > 1e300);
}

static void memory(void) {
  unsigned char* page =
      mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  volatile unsigned char* at = page;
  at[0] = 0xc3;  // ret
  CHECK(mprotect(page, 4096, PROT_READ) == 0);
  CHECK(munmap(page + 8192, 4096) == 0);
  RAISES(SIGSEGV, SEGV_ACCERR, at[17] = 1);
  CHECK(last.si_addr == page + 17);
  RAISES(SIGSEGV, SEGV_MAPERR, (void)at[8192 + 5]);
  CHECK(last.si_addr == page + 8192 + 5);
  // across the border of two pages
  RAISES(SIGSEGV, SEGV_MAPERR, *(volatile uint64_t*)(page + 8192 - 3) = 1);
  CHECK(last.si_addr == page + 8192);
#ifdef __x86_64__
  // no-execute needs the 64-bit or the PAE page format
  RAISES(SIGSEGV, SEGV_ACCERR, ((void (*)(void))(uintptr_t)page)());
  CHECK(last.si_addr == page);
  // not canonical: a general protection fault
  RAISES(SIGSEGV, SI_KERNEL, (void)*(volatile char*)0x8000000000000000);
#endif
  RAISES(SIGSEGV, SI_KERNEL, __asm__ volatile("hlt"));

  char name[] = "/tmp/ringside-XXXXXX";
  const int file = mkstemp(name);
  CHECK(file >= 0);
  CHECK(ftruncate(file, 100) == 0);
  volatile char* mapped = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0);
  CHECK(mapped != MAP_FAILED);
  CHECK(mapped[99] == 0);
  RAISES(SIGBUS, BUS_ADRERR, (void)mapped[4096]);
  unlink(name);
}

static int deep(volatile char* before) {
  volatile char space[4096];
  space[0] = *before;
  return space[0] == 0 ? deep(space) + space[0] : 1;  // always 0: until the stack ends
}

static void codes(void) {
  RAISES(SIGILL, ILL_ILLOPN, __asm__ volatile("ud2"));
  handle(SIGTRAP, note, 0);
  count = 0;
  __asm__ volatile("int3");  // goes on behind it
  CHECK_EQUAL(count, 1);
  CHECK_EQUAL(last.si_code, SI_KERNEL);
  __asm__ volatile(".byte 0xcd, 3");
  CHECK_EQUAL(count, 2);
  __asm__ volatile(".byte 0xf1");  // icebp
  CHECK_EQUAL(count, 3);
  RAISES(SIGSEGV, SI_KERNEL, __asm__ volatile("int $0x21"));

  static char stack[64 << 10];
  stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  CHECK(sigaltstack(&other, NULL) == 0);
  handle(SIGSEGV, escape, SA_ONSTACK);
  char start = 0;
  RAISES(SIGSEGV, SEGV_MAPERR, deep(&start));
}

static void times_and_queues(void) {
  handle(SIGALRM, note, 0);
  handle(SIGRTMIN, note, 0);
  sigset_t block, empty;
  sigemptyset(&empty);
  sigemptyset(&block);
  sigaddset(&block, SIGALRM);
  sigaddset(&block, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &block, NULL);
  count = 0;
  const struct itimerval interval = {{0, 10000}, {0, 10000}};
  CHECK(setitimer(ITIMER_REAL, &interval, NULL) == 0);
  while (count < 5)
    sigsuspend(&empty);
  const struct itimerval off = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
  CHECK_EQUAL(last.si_signo, SIGALRM);

  // Queued signals of a child arrive all, in order, with their values.
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 20; ++i) {
      const union sigval value = {.sival_int = i};
      CHECK(sigqueue(parent, SIGRTMIN, value) == 0);
    }
    _exit(0);
  }
  sigset_t queued;
  sigemptyset(&queued);
  sigaddset(&queued, SIGRTMIN);
  for (int i = 0; i < 20; ++i) {
    siginfo_t info;
    CHECK_EQUAL(sigwaitinfo(&queued, &info), SIGRTMIN);
    CHECK_EQUAL(info.si_value.sival_int, i);
    CHECK_EQUAL(info.si_pid, child);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(status, 0);

  // And a signal ends a process that has no handler for it.
  const pid_t victim = fork();
  if (victim == 0) {
    signal(SIGTERM, SIG_DFL);
    for (;;)
      pause();
  }
  CHECK(kill(victim, SIGTERM) == 0);
  CHECK(waitpid(victim, &status, 0) == victim);
  CHECK(WIFSIGNALED(status));
  CHECK_EQUAL(WTERMSIG(status), SIGTERM);
}

void signals(void) {
  const int all[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP};
  for (unsigned i = 0; i < sizeof all / sizeof *all; ++i)
    handle(all[i], escape, 0);
  arithmetic();
  memory();
  codes();
  times_and_queues();
}

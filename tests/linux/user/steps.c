// A process that steps itself by the trap flag, and one that steps another by ptrace: breakpoints,
// single steps and the debug registers as a debugger inside the guest uses them.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "exercise.h"

#ifdef __x86_64__
#define PC rip
#define CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define PUSH_FLAGS "pushfq"
#define POP_FLAGS "popfq"
#define FLAGS_ON_STACK "(%%rsp)"
#else
#define PC eip
#define CONTEXT_PC(context) ((context)->uc_mcontext.gregs[REG_EIP])
#define PUSH_FLAGS "pushfl"
#define POP_FLAGS "popfl"
#define FLAGS_ON_STACK "(%%esp)"
#endif

enum { kTrapFlag = 0x100, kMost = 64 };
static volatile unsigned traps;
static uintptr_t places[kMost];

static void on_trap(int signal, siginfo_t* info, void* context) {
  (void)signal;
  CHECK_EQUAL(info->si_code, TRAP_TRACE);
  if (traps < kMost) places[traps] = (uintptr_t)CONTEXT_PC((ucontext_t*)context);
  ++traps;
}

// The first trap comes after the instruction behind POPF; the POPF that clears TF still traps.
static void by_the_trap_flag(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
  extern const char step_1[], step_2[], step_3[], step_end[];
  unsigned counter = 3;
  __asm__ volatile(PUSH_FLAGS "\n\torl $0x100, " FLAGS_ON_STACK "\n\t" POP_FLAGS
                              "\n\t"
                              "nop\n"
                              "step_1: decl %0\n"
                              "step_2: jnz step_1\n"
                              "step_3: " PUSH_FLAGS "\n\tandl $~0x100, " FLAGS_ON_STACK
                              "\n\t" POP_FLAGS
                              "\n"
                              "step_end: nop\n"
                   : "+r"(counter)
                   :
                   : "memory", "cc");
  // nop; three times decl and jnz; pushf, and, popf
  CHECK_EQUAL(traps, 1 + 6 + 3);
  CHECK(places[0] == (uintptr_t)step_1);
  CHECK(places[1] == (uintptr_t)step_2);
  CHECK(places[2] == (uintptr_t)step_1);
  CHECK(places[6] == (uintptr_t)step_3);
  CHECK(places[9] == (uintptr_t)step_end);
}

static volatile int watched;
__attribute__((noinline)) static int work(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    sum += i;
    watched = sum;
  }
  return sum;
}

// The child waits for its parent, then works and exits with a result.
static pid_t start_child(void) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    raise(SIGSTOP);
    _exit(work(4) + 36);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSTOPPED(status));
  CHECK_EQUAL(WSTOPSIG(status), SIGSTOP);
  return child;
}

static void await_trap(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSTOPPED(status));
  CHECK_EQUAL(WSTOPSIG(status), SIGTRAP);
}
static void await_end(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_EQUAL(WEXITSTATUS(status), 42);
}
static struct user_regs_struct registers_of(pid_t child) {
  struct user_regs_struct registers;
  CHECK(ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0);
  return registers;
}

static uintptr_t pc_of(pid_t child) { return (uintptr_t)registers_of(child).PC; }

// An int3 in the child's text, taken out again when it is hit; then single steps up to the end.
static void by_ptrace(void) {
  const pid_t child = start_child();
  const uintptr_t start = (uintptr_t)work;
  errno = 0;
  const long word = ptrace(PTRACE_PEEKTEXT, child, (void*)start, NULL);
  CHECK(errno == 0);
  CHECK(ptrace(PTRACE_POKETEXT, child, (void*)start, (void*)((word & ~0xffl) | 0xcc)) == 0);
  CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
  await_trap(child);
  struct user_regs_struct registers = registers_of(child);
  CHECK((uintptr_t)registers.PC == start + 1);
  registers.PC = (__typeof__(registers.PC))start;
  CHECK(ptrace(PTRACE_SETREGS, child, NULL, &registers) == 0);
  CHECK(ptrace(PTRACE_POKETEXT, child, (void*)start, (void*)word) == 0);
  unsigned inside = 0;
  for (int i = 0; i < 300; ++i) {
    CHECK(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
    await_trap(child);
    if (pc_of(child) >= start && pc_of(child) < start + 200) ++inside;
    errno = 0;
    if (ptrace(PTRACE_PEEKDATA, child, (void*)&watched, NULL) % 0x10000 == 6 && errno == 0) break;
  }
  CHECK(inside >= 12);
  CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
  await_end(child);
}

// Debug registers: an execution breakpoint, then a write watchpoint of four bytes.
static void by_debug_registers(void) {
  const pid_t child = start_child();
  const size_t at = offsetof(struct user, u_debugreg);
  const size_t size = sizeof(long);
  CHECK(ptrace(PTRACE_POKEUSER, child, (void*)at, (void*)(uintptr_t)work) == 0);
  CHECK(ptrace(PTRACE_POKEUSER, child, (void*)(at + size), (void*)&watched) == 0);
  // DR7: L0 execute; L1 write of 4 bytes (SDM 3B 18.2.4)
  CHECK(ptrace(PTRACE_POKEUSER, child, (void*)(at + 7 * size), (void*)(0x5l | 0xdl << 20)) == 0);
  CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
  await_trap(child);
  CHECK(pc_of(child) == (uintptr_t)work);
  static const int kSums[] = {0, 1, 3, 6};
  for (int i = 0; i < 4; ++i) {
    CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
    await_trap(child);
    errno = 0;
    CHECK_EQUAL((int)ptrace(PTRACE_PEEKDATA, child, (void*)&watched, NULL), kSums[i]);
    const long status = ptrace(PTRACE_PEEKUSER, child, (void*)(at + 6 * size), NULL);
    CHECK_EQUAL(status & 0xf, 2);
  }
  CHECK(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
  await_end(child);
}

void steps(void) {
  by_the_trap_flag();
  by_ptrace();
  by_debug_registers();
}

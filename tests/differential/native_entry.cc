#include "differential/native_entry.h"

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace ringside::differential {
namespace {

// Which of Linux' indices of gregs is each register, in the architecture's order.
constexpr int kGreg[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                           REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

Departure g_departure;
alignas(16) std::uint8_t g_signal_stack[1 << 16];

}  // namespace

// The assembly below reads and writes these.
extern "C" {
const Entry* ringside_entry;
std::uint64_t ringside_runner_rsp;
std::uint8_t ringside_inside;  // between enter() and the signal that ends it
void ringside_enter();
void ringside_enter_entered();
void ringside_enter_end();
void ringside_on_signal(int, siginfo_t*, void*);
int ringside_depart(int number, siginfo_t* info, void* context);
}

static_assert(offsetof(Entry, rip) == 128 && offsetof(Entry, cs) == 136 &&
              offsetof(Entry, rflags) == 144 && offsetof(Entry, rsp) == 152 &&
              offsetof(Entry, ss) == 160 && offsetof(Entry, fpu) == 168 &&
              offsetof(Entry, area) == 192);

asm(R"(
  .text
  .globl ringside_enter
  .type ringside_enter, @function
ringside_enter:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, ringside_runner_rsp(%rip)
  mov ringside_entry(%rip), %rcx
  cmpq $1, 168(%rcx)
  jb 1f
  je 3f
  mov $7, %eax
  xor %edx, %edx
  xrstor64 192(%rcx)
  jmp 1f
3:
  fxrstor64 192(%rcx)
1:
  mov %rcx, %rax
  movb $1, ringside_inside(%rip)
  mov 160(%rax), %ecx
  mov %ecx, %ds
  mov %ecx, %es
  pushq 160(%rax)
  pushq 152(%rax)
  pushq 144(%rax)
  pushq 136(%rax)
  pushq 128(%rax)
  mov 8(%rax), %rcx
  mov 16(%rax), %rdx
  mov 24(%rax), %rbx
  mov 40(%rax), %rbp
  mov 48(%rax), %rsi
  mov 56(%rax), %rdi
  mov 64(%rax), %r8
  mov 72(%rax), %r9
  mov 80(%rax), %r10
  mov 88(%rax), %r11
  mov 96(%rax), %r12
  mov 104(%rax), %r13
  mov 112(%rax), %r14
  mov 120(%rax), %r15
  mov 0(%rax), %rax
  iretq
  .globl ringside_enter_entered
ringside_enter_entered:

  # The kernel enters the handler in 64-bit mode, but leaves SS, EFLAGS.AC and EFLAGS.NT as the
  # instruction had them. With AC the handler's own code could fault.
  .globl ringside_on_signal
  .type ringside_on_signal, @function
ringside_on_signal:
  mov $0x2b, %eax
  mov %eax, %ss
  sub $8, %rsp
  pushq $0x202
  popfq
  call ringside_depart
  test %eax, %eax
  jnz 2f
  add $8, %rsp
  ret
2:
  mov ringside_runner_rsp(%rip), %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
  .globl ringside_enter_end
ringside_enter_end:
)");

namespace {

// Says where the test's own code was stopped.
void say_own_fault(int number, std::uint64_t rip, std::uint64_t address) {
  char text[256];
  const int size = std::snprintf(
      text, sizeof text,
      "differential test: signal %d at %#llx in the test's own code (ringside_enter%+lld), address "
      "%#llx; it cannot go on\n",
      number, static_cast<unsigned long long>(rip),
      static_cast<long long>(rip - reinterpret_cast<std::uintptr_t>(&ringside_enter)),
      static_cast<unsigned long long>(address));
  if (size > 0) static_cast<void>(!::write(STDERR_FILENO, text, static_cast<std::size_t>(size)));
}

// The kernel's frame has FXSAVE's image, and says in it whether the rest of an XSAVE area follows;
// what XSTATE_BV does not name is zero.
void take_fpu(const void* frame) {
  const auto* const bytes = static_cast<const std::uint8_t*>(frame);
  constexpr std::uint64_t kAvx = 4;
  g_departure.area.fill(0);
  std::memcpy(g_departure.area.data(), bytes, kXsaveHeader);
  constexpr unsigned kSoftwareBytes = 464;
  std::uint32_t magic = 0;
  std::memcpy(&magic, bytes + kSoftwareBytes, sizeof magic);
  if (magic != FP_XSTATE_MAGIC1) return;
  std::uint64_t present = 0;
  std::memcpy(&present, bytes + kXsaveHeader, sizeof present);
  if ((present & kAvx) == 0) return;
  std::memcpy(g_departure.area.data() + kYmmHigh, bytes + kYmmHigh, kFpuArea - kYmmHigh);
}

}  // namespace

// 1: the processor has left the state that it was put into. 0: this is the test's own fault, which
// ends the process when its instruction is tried again.
int ringside_depart(int number, siginfo_t* info, void* context) {
  const auto* const user = static_cast<const ucontext_t*>(context);
  const greg_t* const regs = user->uc_mcontext.gregs;
  const auto value = [&](int index) { return static_cast<std::uint64_t>(regs[index]); };
  const std::uint64_t rip = value(REG_RIP);
  const auto lies_in = [&](auto* from, auto* to) {
    return rip >= reinterpret_cast<std::uintptr_t>(from) &&
           rip < reinterpret_cast<std::uintptr_t>(to);
  };
  if (ringside_inside == 0 || lies_in(&ringside_enter_entered, &ringside_enter_end)) {
    say_own_fault(number, rip, reinterpret_cast<std::uintptr_t>(info->si_addr));
    ::signal(number, SIG_DFL);
    return 0;
  }
  ringside_inside = 0;
  for (unsigned i = 0; i < 16; ++i)
    g_departure.gpr[i] = value(kGreg[i]);
  g_departure.rip = rip;
  g_departure.rflags = value(REG_EFL);
  g_departure.signal = number;
  g_departure.vector = value(REG_TRAPNO);
  g_departure.error_code = value(REG_ERR);
  g_departure.cr2 = value(REG_CR2);
  g_departure.entered = !lies_in(&ringside_enter, &ringside_enter_entered);
  if (ringside_entry->fpu != Entry::Fpu::None) take_fpu(user->uc_mcontext.fpregs);
  return 1;
}

void take_signals() {
  stack_t stack{};
  stack.ss_sp = g_signal_stack;
  stack.ss_size = sizeof g_signal_stack;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = ringside_on_signal;
  // The stack is the handler's own, because the instruction may have left any value in RSP. The
  // signal stays unblocked, because nobody returns from the handler.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int number : {SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) {
    sigaction(number, &action, nullptr);
  }
}

// The kernel gives a signal handler the initial floating-point state, and nobody puts back the one
// before it: the caller's is the initial one too, as the ABI has it.
const Departure& enter(const Entry& entry) {
  ringside_entry = &entry;
  ringside_enter();
  return g_departure;
}

}  // namespace ringside::differential

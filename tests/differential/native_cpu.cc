#include "differential/native_cpu.h"

#include <asm/ldt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>

#include "base/types.h"
#include "x86/bits.h"

// The assembly below reads and writes these.
extern "C" {
struct EntryFrame {
  std::uint64_t gpr[16];  // in the architecture's order; RSP is taken by IRET
  std::uint64_t rip, cs, rflags, rsp, ss;
  std::uint64_t use_fpu;
};
EntryFrame ringside_entry;
std::uint64_t ringside_runner_rsp;
alignas(64) std::uint8_t ringside_fxsave[512];
void ringside_enter();
void ringside_resume();
}

// On return the flags are made plain by hand: the kernel leaves NT as the instruction set it.
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
  lea ringside_entry(%rip), %rax
  cmpq $0, 168(%rax)
  je 1f
  fxrstor64 ringside_fxsave(%rip)
1:
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
  .globl ringside_resume
  .type ringside_resume, @function
ringside_resume:
  pushq $0x202
  popfq
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
)");

namespace ringside::differential {
namespace {

constexpr std::uint64_t kUserCode64 = 0x33, kUserCode32 = 0x23, kUserData = 0x2b;
// Entries 0 and 1 of the LDT at privilege 3.
constexpr std::uint16_t kLdtCode16 = 0x07, kLdtData16 = 0x0f;

ucontext_t g_after;  // the general registers and the trap
int g_signal;
alignas(64) std::uint8_t g_fxsave_after[512];
bool g_has_ldt;
alignas(16) std::uint8_t g_signal_stack[1 << 16];

// On its own stack, because the instruction may have left any value in RSP.
// The kernel leaves EFLAGS.AC as it was: with it the handler's own code could fault.
void on_signal(int number, siginfo_t*, void* context) {
  asm volatile("sub $128, %%rsp; pushfq; andl $~0x40000, (%%rsp); popfq; add $128, %%rsp" ::
                   : "memory", "cc");
  auto* const user = static_cast<ucontext_t*>(context);
  g_signal = number;
  greg_t* const regs = user->uc_mcontext.gregs;
  std::memcpy(g_after.uc_mcontext.gregs, regs, sizeof g_after.uc_mcontext.gregs);
  if (ringside_entry.use_fpu != 0) {
    std::memcpy(g_fxsave_after, user->uc_mcontext.fpregs, sizeof g_fxsave_after);
  }
  regs[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(&ringside_resume));
  regs[REG_RSP] = static_cast<greg_t>(ringside_runner_rsp);
  regs[REG_EFL] = 0x202;
  regs[REG_CSGSFS] = static_cast<greg_t>(kUserCode64 | kUserData << 48);
}

bool make_ldt() {
  user_desc code{};
  code.entry_number = 0;
  code.base_addr = static_cast<unsigned>(kCodePage);
  code.limit = 0xffff;
  code.contents = MODIFY_LDT_CONTENTS_CODE;
  user_desc data{};
  data.entry_number = 1;
  data.base_addr = static_cast<unsigned>(kBase16);
  data.limit = 0xffff;
  data.contents = MODIFY_LDT_CONTENTS_DATA;
  return syscall(SYS_modify_ldt, 1, &code, sizeof code) == 0 &&
         syscall(SYS_modify_ldt, 1, &data, sizeof data) == 0;
}

bool map(std::uint64_t address, std::uint64_t size, int protection) {
  void* const at = reinterpret_cast<void*>(address);
  return mmap(at, size, protection,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0) == at;
}

// FXSAVE's image (SDM 1 table 10-2) from and to the neutral form.
constexpr std::size_t kStOffset = 32, kXmmOffset = 160, kMxcsrOffset = 24;

void put_fxsave(const x86::FpuState& fpu, std::uint8_t* image) {
  std::memset(image, 0, 512);
  std::memcpy(image, &fpu.control, 2);
  std::memcpy(image + 2, &fpu.status, 2);
  std::uint8_t valid = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if (((fpu.tag >> (2 * i)) & 3) != 3) valid |= static_cast<std::uint8_t>(1u << i);
  }
  image[4] = valid;
  std::memcpy(image + kMxcsrOffset, &fpu.mxcsr, 4);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(image + kStOffset + 16 * i, fpu.st[i].data(), 10);
  for (unsigned i = 0; i < 16; ++i) {
    std::memcpy(image + kXmmOffset + 16 * i, fpu.vector[i].data(), 16);
  }
}

// The tag word says only empty (3) or not (0): the full tags follow from the values.
void get_fxsave(const std::uint8_t* image, x86::FpuState& fpu) {
  std::memcpy(&fpu.control, image, 2);
  std::memcpy(&fpu.status, image + 2, 2);
  fpu.tag = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if ((image[4] & (1u << i)) == 0) fpu.tag |= static_cast<std::uint16_t>(3u << (2 * i));
  }
  std::memcpy(&fpu.mxcsr, image + kMxcsrOffset, 4);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(fpu.st[i].data(), image + kStOffset + 16 * i, 10);
  for (unsigned i = 0; i < 16; ++i) {
    std::memcpy(fpu.vector[i].data(), image + kXmmOffset + 16 * i, 16);
  }
}

void set_data_segments(std::uint16_t selector) {
  static std::uint16_t present = 0;
  if (present == selector) return;
  asm volatile("mov %0, %%ds; mov %0, %%es" ::"r"(selector));
  present = selector;
}

// Which of Linux' indices of gregs is each register, in the architecture's order.
constexpr int kGreg[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                           REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

}  // namespace

std::optional<std::string> NativeCpu::start() {
  static std::optional<std::string> result = []() -> std::optional<std::string> {
    if (!map(kCodePage, kPageSize, PROT_READ | PROT_WRITE | PROT_EXEC) ||
        !map(kData, kDataSize, PROT_READ | PROT_WRITE) ||
        !map(kReadOnly, kReadOnlySize, PROT_READ | PROT_WRITE)) {
      return "the fixed addresses are taken";
    }
    auto* const read_only = reinterpret_cast<std::uint8_t*>(kReadOnly);
    for (unsigned i = 0; i < kReadOnlySize; ++i)
      read_only[i] = static_cast<std::uint8_t>(i * 7 + 1);
    if (mprotect(read_only, kReadOnlySize, PROT_READ) != 0) return "mprotect fails";
    stack_t stack{};
    stack.ss_sp = g_signal_stack;
    stack.ss_size = sizeof g_signal_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (const int number : {SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) {
      sigaction(number, &action, nullptr);
    }
    g_has_ldt = make_ldt();
    return std::nullopt;
  }();
  return result;
}

bool NativeCpu::has_mode(Mode mode) { return mode != Mode::Code16 || g_has_ldt; }

std::span<std::uint8_t> NativeCpu::data() {
  return {reinterpret_cast<std::uint8_t*>(kData), kDataSize};
}
std::span<const std::uint8_t> NativeCpu::read_only() {
  return {reinterpret_cast<const std::uint8_t*>(kReadOnly), kReadOnlySize};
}

Outcome NativeCpu::run(const Case& test) {
  auto* const code = reinterpret_cast<std::uint8_t*>(code_base(test.mode) + test.state.rip);
  std::memcpy(code, test.bytes.data(), test.bytes.size());
  code[test.bytes.size()] = 0xcc;
  // A breakpoint costs less than a single step under virtualisation, but a branch may miss it.
  const bool stepped = test.branches;

  EntryFrame& entry = ringside_entry;
  std::copy(test.state.gpr.begin(), test.state.gpr.end(), entry.gpr);
  entry.rip = test.state.rip;
  entry.rsp = test.state.gpr[4];
  entry.rflags = test.state.rflags | x86::rflags::IF | (stepped ? x86::rflags::TF : 0);
  entry.use_fpu = test.uses_fpu ? 1 : 0;
  switch (test.mode) {
    case Mode::Code16:
      entry.cs = kLdtCode16;
      entry.ss = kLdtData16;
      set_data_segments(kLdtData16);
      break;
    case Mode::Code32:
      entry.cs = kUserCode32;
      entry.ss = kUserData;
      set_data_segments(kUserData);
      break;
    case Mode::Code64:
      entry.cs = kUserCode64;
      entry.ss = kUserData;
      set_data_segments(kUserData);
      break;
  }
  if (test.uses_fpu) put_fxsave(test.state.fpu, ringside_fxsave);
  ringside_enter();
  if (test.uses_fpu) {
    const std::uint32_t mxcsr = 0x1f80;
    asm volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
  }

  Outcome outcome;
  const greg_t* const regs = g_after.uc_mcontext.gregs;
  for (unsigned i = 0; i < 16; ++i) {
    outcome.state.gpr[i] = static_cast<std::uint64_t>(regs[kGreg[i]]);
  }
  outcome.state.rip = static_cast<std::uint64_t>(regs[REG_RIP]);
  outcome.state.rflags = static_cast<std::uint64_t>(regs[REG_EFL]);
  if (test.uses_fpu) get_fxsave(g_fxsave_after, outcome.state.fpu);
  const auto vector = static_cast<unsigned>(regs[REG_TRAPNO]);
  const auto breakpoint_end = test.state.rip + test.bytes.size() + 1;
  if (g_signal == SIGTRAP && vector == 3 && !stepped && outcome.state.rip == breakpoint_end) {
    outcome.state.rip -= 1;
  } else if (g_signal != SIGTRAP || vector != 1) {
    outcome.fault = Fault{vector, static_cast<std::uint32_t>(regs[REG_ERR]),
                          static_cast<std::uint64_t>(regs[REG_CR2])};
  }
  return outcome;
}

}  // namespace ringside::differential

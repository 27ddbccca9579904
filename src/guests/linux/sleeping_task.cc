#include "guests/linux/sleeping_task.h"

#include <fmt/format.h>

#include <cstring>

namespace ringside::guests {
namespace {

// THREAD_SIZE without KASAN (arch/x86/include/asm/page_64_types.h).
constexpr std::uint64_t kStackSize = 16 << 10;
constexpr unsigned kMostReturns = 64;

// What __switch_to_asm leaves (struct inactive_task_frame), from the stack pointer on.
struct Frame {
  std::uint64_t r15, r14, r13, r12, rbx, rbp, return_address;
};
// What a program had when it entered the kernel (struct pt_regs), at the end of its stack.
struct ProgramRegisters {
  std::uint64_t before[15];
  std::uint64_t orig_ax, rip, cs, flags, rsp, ss;
};

std::string name_of(const LinuxKernel& kernel, Gva address) {
  // A call may be a function's last instruction.
  const auto place = kernel.symbols().place_of(address - 1);
  if (!place) return "";
  return fmt::format(" {}+{:#x}", place->name, place->offset + 1);
}

// Whether the instruction before is a call: near, to a constant (SDM 2A, CALL), or through a
// register or memory.
bool follows_call(const KernelMemory& memory, Gva address) {
  std::uint8_t code[7];
  if (!memory.read(address - sizeof code, std::as_writable_bytes(std::span(code)))) return false;
  if (code[2] == 0xe8) return true;
  for (unsigned at = 0; at + 2 <= sizeof code; ++at)
    if (code[at] == 0xff && (code[at + 1] >> 3 & 7) == 2) return true;
  return false;
}

}  // namespace

std::string describe_sleep(const LinuxKernel& kernel, const TaskLayout& layout, const Task& task) {
  const KernelMemory& memory = kernel.memory();
  const auto stack = memory.pointer(task.address + layout.stack.offset);
  const auto pointer = memory.pointer(task.address + layout.stack_pointer.offset);
  if (!stack || !pointer || pointer->value < stack->value ||
      pointer->value - stack->value > kStackSize - sizeof(Frame)) {
    return fmt::format("its stack pointer {:#x} is not in its stack at {:#x}\n",
                       pointer.value_or(Gva{}).value, stack.value_or(Gva{}).value);
  }
  const auto frame = memory.get<Frame>(*pointer);
  if (!frame) return fmt::format("its stack at {:#x} is not in memory\n", stack->value);
  std::string text = fmt::format(
      "stack {:#x} to {:#x}\n"
      "rip {:#018x}{}\nrsp {:#018x}\nrbp {:#018x}\nrbx {:#018x}\n"
      "r12 {:#018x}\nr13 {:#018x}\nr14 {:#018x}\nr15 {:#018x}\n",
      stack->value, stack->value + kStackSize, frame->return_address,
      name_of(kernel, Gva{frame->return_address}), pointer->value + sizeof(Frame), frame->rbp,
      frame->rbx, frame->r12, frame->r13, frame->r14, frame->r15);
  const Gva end{stack->value + kStackSize};
  const auto program = memory.get<ProgramRegisters>(end - sizeof(ProgramRegisters));
  const bool has_program = !task.is_kernels && program && (program->cs & 3) == 3;
  if (has_program) {
    text += fmt::format("in its program: rip {:#x}, rsp {:#x}, system call or vector {}\n",
                        program->rip, program->rsp, static_cast<std::int64_t>(program->orig_ax));
  }
  text += "Return addresses on the stack, some perhaps of earlier calls:\n";
  const Gva last = has_program ? end - sizeof(ProgramRegisters) : end;
  unsigned shown = 0;
  for (Gva at = *pointer + (sizeof(Frame) - 8); at < last; at = at + 8) {
    const auto word = memory.pointer(at);
    if (!word) break;
    if (!kernel.is_text(*word) || (shown != 0 && !follows_call(memory, *word))) continue;
    if (shown++ == kMostReturns) return text + "and more\n";
    text += fmt::format("{:#018x}{}\n", word->value, name_of(kernel, *word));
  }
  return text;
}

}  // namespace ringside::guests

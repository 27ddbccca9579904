#include "guests/linux/sleeping_task.h"

#include <fmt/format.h>

#include <array>

namespace ringside::guests {
namespace {

constexpr unsigned kMostReturns = 64;

// What is on the stack of a task, in words.
struct StackLayout {
  // What __switch_to_asm leaves (struct inactive_task_frame), from the stack pointer on: these
  // registers, and a return address.
  std::array<std::string_view, 6> saved;
  std::size_t saved_count;
  // What a program had when it entered the kernel (struct pt_regs), at the end of the stack, or so
  // many words before (TOP_OF_KERNEL_STACK_PADDING: 8 bytes, or 16 with CONFIG_VM86).
  std::size_t program_size, orig_ax, ip, cs, sp;
  std::array<std::size_t, 2> padding;
  char prefix;  // of the registers' names
};
constexpr StackLayout kWide = {
    {"r15", "r14", "r13", "r12", "rbx", "rbp"}, 6, 21, 15, 16, 17, 19, {0, 0}, 'r'};
constexpr StackLayout kNarrow = {
    {"eflags", "esi", "edi", "ebx", "ebp", ""}, 5, 17, 11, 12, 13, 15, {2, 4}, 'e'};

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
  const StackLayout& words = kernel.word() == Word::Bits64 ? kWide : kNarrow;
  const std::uint64_t word = size_of(kernel.word());
  const std::size_t digits = 2 * word + 2, frame_size = words.saved_count + 1;
  const auto stack = memory.pointer(task.address + layout.stack.offset);
  const auto pointer = memory.pointer(task.address + layout.stack_pointer.offset);
  if (!stack || !pointer || pointer->value < stack->value ||
      pointer->value - stack->value > kernel.stack_size() - frame_size * word) {
    return fmt::format("its stack pointer {:#x} is not in its stack at {:#x}\n",
                       pointer.value_or(Gva{}).value, stack.value_or(Gva{}).value);
  }
  std::array<std::uint64_t, 7> frame{};
  if (!memory.numbers(*pointer, std::span(frame).first(frame_size)))
    return fmt::format("its stack at {:#x} is not in memory\n", stack->value);
  const Gva return_address{frame[words.saved_count]}, end{stack->value + kernel.stack_size()};
  std::string text =
      fmt::format("stack {:#x} to {:#x}\n{}ip {:#0{}x}{}\n{}sp {:#0{}x}\n", stack->value, end.value,
                  words.prefix, return_address.value, digits, name_of(kernel, return_address),
                  words.prefix, pointer->value + frame_size * word, digits);
  for (std::size_t i = words.saved_count; i-- > 0;)
    text += fmt::format("{} {:#0{}x}\n", words.saved[i], frame[i], digits);
  Gva last = end;
  std::array<std::uint64_t, 21> program{};
  const auto registers = std::span(program).first(words.program_size);
  for (const std::size_t padding : words.padding) {
    if (task.is_kernels || last != end) break;
    const Gva at = end - word * (words.program_size + padding);
    if (!memory.numbers(at, registers) || (program[words.cs] & 3) != 3) continue;
    last = at;
    const auto orig_ax = static_cast<std::int64_t>(program[words.orig_ax]);
    text +=
        fmt::format("in its program: {0}ip {1:#x}, {0}sp {2:#x}, system call or vector {3}\n",
                    words.prefix, program[words.ip], program[words.sp],
                    kernel.word() == Word::Bits64 ? orig_ax : static_cast<std::int32_t>(orig_ax));
  }
  text += "Return addresses on the stack, some perhaps of earlier calls:\n";
  unsigned shown = 0;
  for (Gva at = *pointer + words.saved_count * word; at < last; at = at + word) {
    const auto value = memory.pointer(at);
    if (!value) break;
    if (!kernel.is_text(*value) || (shown != 0 && !follows_call(memory, *value))) continue;
    if (shown++ == kMostReturns) return text + "and more\n";
    text += fmt::format("{:#0{}x}{}\n", value->value, digits, name_of(kernel, *value));
  }
  return text;
}

}  // namespace ringside::guests

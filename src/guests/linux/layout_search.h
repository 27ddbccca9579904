// The layouts of a kernel's structures, for a kernel that does not carry them (BTF): found by their
// shapes. A task's number, name and lists are where they are the same for every task and fit one
// another, a module's parts where they lead to what is known of modules.
//
// Guests lie: every search has a bound, and a layout is only where to look; what is read by it is
// checked as always. Pure.
#pragma once

#include <optional>

#include "base/result.h"
#include "guests/linux/btf.h"
#include "guests/linux/kallsyms.h"
#include "guests/linux/kernel_memory.h"

namespace ringside::guests {

// Of struct task_struct and what hangs from it.
struct TaskLayout {
  Btf::Place state, pid, tgid, comm, tasks, thread_node, signal, thread_head, stack, stack_pointer;
  std::optional<Btf::Place> exit_state, mm;
};

// Of struct module and what hangs from it. `text` is where its code is, and its size.
struct ModuleLayout {
  Btf::Place state, list, name, base, size, section_attributes, section_count, sections,
      section_name, section_address;
  std::uint32_t section_size = 0;  // of an element of `sections`
};

// THREAD_SIZE without KASAN (arch/x86/include/asm/page_64_types.h and page_32_types.h).
constexpr std::uint64_t stack_size_of(Word word) {
  return word == Word::Bits64 ? 16 << 10 : 8 << 10;
}

// Once the kernel has begun kthreadd, its second task. The error says what was not found.
Result<TaskLayout> search_task_layout(const KernelMemory& memory, const Kallsyms& symbols,
                                      Gva init_task);

// By the modules that are in the list now: where there are none the list's own members alone.
Result<ModuleLayout> search_module_layout(const KernelMemory& memory, Gva module_list);

// The list of modules, which a function that goes through it names; nothing where none is found.
std::optional<Gva> search_module_list(const KernelMemory& memory, const Kallsyms& symbols);

}  // namespace ringside::guests

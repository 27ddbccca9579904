// Hardware tasks (SDM 3A chapter 7): stacks out of the TSS, and task switches, which exist outside
// IA-32e mode only. On the thread that runs the CPU.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/soft/cpu/segments.h"

namespace ringside::soft {

struct InnerStack {
  Descriptor descriptor;
  std::uint64_t pointer = 0;
};
// SS and ESP of a more privileged level from a 16 or 32-bit TSS, checked; #TS where they are not
// right.
InnerStack read_inner_stack(Cpu& cpu, unsigned cpl, std::uint32_t external);

enum class TaskSwitch : std::uint8_t { Jump, Call, Return, Event };

// Switches to the task of a TSS selector. RIP is past the instruction (or where an event shall
// return to). A fault before the new task is in place leaves the old one as it was; one after that
// belongs to the new task's first instruction.
void switch_task(Cpu& cpu, std::uint16_t selector, TaskSwitch source,
                 std::optional<std::uint32_t> error_code = std::nullopt,
                 std::uint32_t external = 0);

// IRET with NT set: back to the task in the link field.
void return_to_previous_task(Cpu& cpu);

}  // namespace ringside::soft

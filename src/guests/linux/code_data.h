// The data that a function of the kernel speaks of: for what has no symbol, but is used by code
// that has one.
//
// Guests lie: what is found this way is a guess, which whoever asks checks by its shape. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "guests/linux/kernel_memory.h"

namespace ringside::guests {

// All addresses that the first instructions of a function may have in them, in their order: as a
// constant, or as a distance from the instruction pointer. No instruction is decoded: each byte
// may begin one.
std::vector<Gva> addresses_in_code(const KernelMemory& memory, Gva function);

// The displacement with which a function stores its constant `value` in a structure (MOV of 32
// bits, C7 /0, with a register and a displacement; SDM 2B); nothing where there is none.
std::optional<std::uint32_t> displacement_of_store(const KernelMemory& memory, Gva function,
                                                   std::uint32_t value);

// The displacement by which __switch_to_asm puts the stack pointer into one task and takes it from
// another.
std::optional<std::uint32_t> displacement_of_stack_switch(const KernelMemory& memory, Gva function);

}  // namespace ringside::guests

// Code of the handlers that a stage has, as the assembler made it.
#pragma once

#include <cstdint>
#include <span>

#include "translator/stage.h"

namespace ringside::testing {

// For all 256 vectors, to lie at stage::kHandlers: 16 bytes each, and what they share behind them.
//
// A handler counts its vector. Faults, NMIs and every other alarm then go on at the next address of
// the list at stage::kResume, with a stack in order; so a program that has lost its way, or spins,
// comes to another part of itself. Interrupts that the program has raised change page tables, and
// return. Every eighth trap of TF puts an end to it.
std::span<const std::uint8_t> handlers_for(Setting setting);

}  // namespace ringside::testing

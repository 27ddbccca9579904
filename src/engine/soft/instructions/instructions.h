// All instructions that the software CPU knows: the rooms below register what they have.
#pragma once

#include <cstdint>
#include <span>

#include "engine/soft/decode/lower.h"

namespace ringside::soft {

// decode() with the table of all families.
Insn decode(std::span<const std::uint8_t> bytes, Width code_width,
            Processor processor = Processor::V2);

}  // namespace ringside::soft

// The decoder that the engine looks at instructions with. Pure.
#pragma once

#include <Zydis/Zydis.h>

#include <span>

#include "engine/kvm/code/instruction.h"

namespace ringside::kvm {

struct Disassembly {
  ZydisDecodedInstruction insn;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  std::span<const ZydisDecodedOperand> all() const { return {operands, insn.operand_count}; }
};

// False where `code` does not begin with a whole instruction.
bool decode(std::span<const std::uint8_t> code, CodeSize size, Disassembly& result);

}  // namespace ringside::kvm

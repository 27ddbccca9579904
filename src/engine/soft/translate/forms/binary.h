// The arithmetic of two operands, for the families whose operands lie in different places.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/soft/translate/emitter/emitter.h"

namespace ringside::soft {

enum class Binary : std::uint8_t { Add, Or, Adc, Sbb, And, Sub, Xor, Cmp, Test };

std::optional<Binary> binary_of(ZydisMnemonic mnemonic);
constexpr bool writes(Binary operation) {
  return operation != Binary::Cmp && operation != Binary::Test;
}

// Writes the instruction with operands that are in the host's registers or memory, and keeps its
// flags.
void write_binary(Emitter& emitter, Binary operation, const Xbyak::Operand& to,
                  const Xbyak::Operand& from);
void write_binary(Emitter& emitter, Binary operation, const Xbyak::Operand& to,
                  std::uint32_t immediate);

}  // namespace ringside::soft

// The guest's own instruction, written again with the host's registers in the fields of its
// encoding: VEX, or legacy with a two- or three-byte opcode.
#pragma once

#include "engine/soft/decode/lower.h"
#include "engine/soft/translate/emitter/assembler.h"

namespace ringside::soft {

// What is in ModRM and VEX.vvvv.
struct HostFields {
  unsigned reg = 0, rm = 0, vvvv = 0;
  bool in_memory = false;  // rm is a register that has the operand's address
  bool is_wide = false;    // an operand has 256 bits

  void set(ZydisOperandEncoding encoding, unsigned number) {
    switch (encoding) {
      case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        reg = number;
        break;
      case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        rm = number;
        break;
      case ZYDIS_OPERAND_ENCODING_NDSNDD:
        vvvv = number;
        break;
      default:  // XMM0 of the blends, which has no field, or a number in the immediate
        break;
    }
  }
};

void write_again(Assembler& code, const Decoded& decoded, const HostFields& fields);

}  // namespace ringside::soft

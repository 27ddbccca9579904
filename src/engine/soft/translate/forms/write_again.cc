#include "engine/soft/translate/forms/write_again.h"

namespace ringside::soft {
namespace {

void write_legacy_prefixes(Assembler& code, const Decoded& decoded, const HostFields& fields) {
  const ZydisDecodedInstruction& insn = decoded.insn;
  for (unsigned i = 0; i < insn.raw.prefix_count; ++i) {
    if (insn.raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY)
      code.db(insn.raw.prefixes[i].value);
  }
  const unsigned rex =
      0x40u | (insn.raw.rex.W != 0 ? 8 : 0) | (fields.reg >= 8 ? 4 : 0) | (fields.rm >= 8 ? 1 : 0);
  if (rex != 0x40) code.db(static_cast<int>(rex));
  code.db(0x0f);
  if (insn.opcode_map == ZYDIS_OPCODE_MAP_0F38) code.db(0x38);
  if (insn.opcode_map == ZYDIS_OPCODE_MAP_0F3A) code.db(0x3a);
}

// The form of three bytes, which has all fields (SDM 2A figure 2-9). R, B and vvvv are inverted.
void write_vex(Assembler& code, const Decoded& decoded, const HostFields& fields) {
  const ZydisDecodedInstruction& insn = decoded.insn;
  const unsigned map = insn.opcode_map == ZYDIS_OPCODE_MAP_0F     ? 1
                       : insn.opcode_map == ZYDIS_OPCODE_MAP_0F38 ? 2
                                                                  : 3;
  code.db(0xc4);
  code.db(
      static_cast<int>((fields.reg >= 8 ? 0 : 0x80u) | 0x40u | (fields.rm >= 8 ? 0 : 0x20u) | map));
  code.db(static_cast<int>((insn.raw.vex.W != 0 ? 0x80u : 0) | (~fields.vvvv & 15) << 3 |
                           (fields.is_wide ? 4u : 0) | insn.raw.vex.pp));
}

}  // namespace

void write_again(Assembler& code, const Decoded& decoded, const HostFields& fields) {
  const ZydisDecodedInstruction& insn = decoded.insn;
  if (insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
    write_vex(code, decoded, fields);
  } else {
    write_legacy_prefixes(code, decoded, fields);
  }
  code.db(insn.opcode);
  code.db(
      static_cast<int>((fields.in_memory ? 0 : 0xc0) | (fields.reg & 7) << 3 | (fields.rm & 7)));
  if (insn.raw.imm[0].size != 0) code.db(static_cast<int>(insn.raw.imm[0].value.u & 0xff));
}

}  // namespace ringside::soft

// From Zydis' decoded form to Insn. Each instruction family registers, per mnemonic, a function
// that fills the handler and operands; what no family takes becomes #UD in the guest, logged once
// with its bytes. Cold path only: it runs once per cached instruction.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>

#include "engine/soft/state/insn.h"
#include "platform/processor.h"

namespace ringside::soft {

using hypervisor::Processor;

// Of whatever width, AH to BH among them.
bool is_general(ZydisRegister reg);

struct Decoded {
  ZydisDecodedInstruction insn;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  Width code_width;  // of the code segment: 16, 32 or 64 bits

  const ZydisDecodedOperand& op(unsigned i) const { return operands[i]; }
  bool is_register(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER; }
  bool is_memory(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY; }
  bool is_immediate(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
  // The register of operand i as Insn::reg wants it (byte registers as offsets).
  std::uint8_t reg(unsigned i) const;
  Width width(unsigned i) const;  // of operand i; integer operands only
  bool code64() const { return code_width == Width::Bits64; }
};

// Fills base, index, scale, displacement, segment and address_width from memory operand `i`.
void lower_memory(const Decoded& decoded, unsigned i, Insn& insn);
// Each visible operand by the field that it is encoded in: ModRM.reg into reg, ModRM.rm into rm or
// the memory fields, VEX.vvvv into extra, the register of an is4 byte into immediate.
void lower_vex_operands(const Decoded& decoded, Insn& insn);
// Length, prefixes, operand and code width, and the first immediate, if any (sign-extended).
void lower_common(const Decoded& decoded, Insn& insn);

// Fills `insn` (lower_common is done already). False: this form is not implemented → #UD.
using Lower = bool (*)(const Decoded& decoded, Insn& insn);

class LowerTable {
 public:
  // Families share some mnemonics (MOV of segment and control registers, MOVSD, CMPSD): each takes
  // its own forms and answers false for the others.
  void add(ZydisMnemonic mnemonic, Lower lower);
  void add(std::initializer_list<ZydisMnemonic> mnemonics, Lower lower) {
    for (const ZydisMnemonic mnemonic : mnemonics)
      add(mnemonic, lower);
  }
  // lower_common and the first family that takes the form. False: none does.
  bool fill(const Decoded& decoded, Insn& insn) const;

 private:
  static constexpr unsigned kFamilies = 4;  // that may share one mnemonic
  Lower table_[ZYDIS_MNEMONIC_MAX_VALUE + 1][kFamilies] = {};
};

// What the bytes are, or nothing: undecodable, or not all there.
std::optional<Decoded> decode_form(std::span<const std::uint8_t> bytes, Width code_width,
                                   Processor processor = Processor::V2);

// Decodes up to 15 bytes and lowers them. Never fails: undecodable or unimplemented bytes give an
// instruction that raises #UD (or #GP for more than 15 bytes). `bytes` may be shorter than the
// instruction (end of a page): then length is 0 and the caller must supply more.
Insn decode(std::span<const std::uint8_t> bytes, Width code_width, const LowerTable& table,
            Processor processor = Processor::V2);

// Whether all that it does is to raise #UD, or #GP for its length. What it would be on a processor
// that has it says nothing then.
bool is_refused(const Insn& insn);

}  // namespace ringside::soft

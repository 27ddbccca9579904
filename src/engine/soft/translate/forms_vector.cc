#include "engine/soft/translate/forms_vector.h"

#include "engine/soft/translate/host_features.h"

namespace ringside::soft {
namespace {

bool is_xmm(const Decoded& decoded, unsigned i) {
  return decoded.is_register(i) &&
         ZydisRegisterGetClass(decoded.op(i).reg.value) == ZYDIS_REGCLASS_XMM;
}
bool is_written(const Decoded& decoded, unsigned i) {
  return (decoded.op(i).actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

Alignment alignment_of(const Decoded& decoded, unsigned bytes) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
      return Alignment::None;
    default:
      return bytes == 16 ? Alignment::Required : Alignment::None;
  }
}

// Not a flag or an immediate. XMM0 of the blends is hidden in its instruction.
bool has_place(const Decoded& decoded, unsigned i) {
  if (i >= decoded.insn.operand_count_visible) return is_xmm(decoded, i);
  return !decoded.is_immediate(i);
}

// Of one register with itself: the result does not depend on what is in it.
bool is_constant(const Decoded& decoded) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_PXOR:
    case ZYDIS_MNEMONIC_XORPS:
    case ZYDIS_MNEMONIC_XORPD:
    case ZYDIS_MNEMONIC_PSUBB:
    case ZYDIS_MNEMONIC_PSUBW:
    case ZYDIS_MNEMONIC_PSUBD:
    case ZYDIS_MNEMONIC_PSUBQ:
    case ZYDIS_MNEMONIC_PCMPEQB:
    case ZYDIS_MNEMONIC_PCMPEQW:
    case ZYDIS_MNEMONIC_PCMPEQD:
      return is_xmm(decoded, 1) && decoded.reg(0) == decoded.reg(1);
    default:
      return false;
  }
}

// The fields of ModRM. A memory operand is at kAddress.
struct Fields {
  unsigned reg = 0, rm = 0;
  bool in_memory = false;
};

void write(Assembler& code, const Decoded& decoded, const Fields& fields) {
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
  code.db(insn.opcode);
  code.db(
      static_cast<int>((fields.in_memory ? 0 : 0xc0) | (fields.reg & 7) << 3 | (fields.rm & 7)));
  if (insn.raw.imm[0].size != 0) code.db(static_cast<int>(insn.raw.imm[0].value.u & 0xff));
}

template <Destination kDestination>
unsigned vector_operand(Emitter& emitter, unsigned i) {
  const Decoded& decoded = emitter.decoded();
  VectorRegisters& vectors = emitter.vectors();
  const unsigned number = decoded.reg(i);
  const bool is_new = is_written(decoded, i) && kDestination != Destination::Part;
  if (is_new || is_constant(decoded)) {
    vectors.write(number);
  } else if (is_written(decoded, i)) {
    vectors.modify(number);
  } else {
    vectors.read(number);
  }
  return number;
}

template <Destination kDestination>
void again(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Fields fields;
  fields.reg = decoded.insn.raw.modrm.reg;  // of the opcode, unless an operand is there
  std::optional<unsigned> general;          // destination
  Xbyak::Reg64 where;
  // Sources first, for a destination that is all new may be one of them.
  for (const bool written : {false, true}) {
    for (unsigned i = 0; i < decoded.insn.operand_count; ++i) {
      if (is_written(decoded, i) != written || !has_place(decoded, i)) continue;
      unsigned number = 0;
      if (decoded.is_memory(i)) {
        const unsigned bytes = decoded.op(i).size / 8;
        reach_vector(emitter, bytes, written ? AccessKind::Write : AccessKind::Read,
                     alignment_of(decoded, bytes));
        fields.in_memory = true;
        number = static_cast<unsigned>(emitter.kAddress.getIdx());
      } else if (is_xmm(decoded, i)) {
        number = vector_operand<kDestination>(emitter, i);
      } else {
        const unsigned guest = *general_register(decoded, i);
        where =
            written ? emitter.place(guest, emitter.kSecond) : emitter.read(guest, emitter.kSecond);
        if (written) general = guest;
        number = static_cast<unsigned>(where.getIdx());
      }
      switch (decoded.op(i).encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG:
          fields.reg = number;
          break;
        case ZYDIS_OPERAND_ENCODING_MODRM_RM:
          fields.rm = number;
          break;
        default:  // XMM0 of the blends, which has no field
          break;
      }
    }
  }
  write(emitter.code(), decoded, fields);
  if (general) emitter.written(*general, where);
  // Those that write flags at all clear OF and AF or write all that the host has.
  const auto* flags = decoded.insn.cpu_flags;
  if (flags != nullptr && (flags->modified | flags->set_0) != 0)
    emitter.keep_flags(Emitter::Kind::Arithmetic);
}

}  // namespace

void reach_vector(Emitter& emitter, unsigned bytes, AccessKind kind, Alignment alignment) {
  emitter.linear_address();
  if (alignment == Alignment::Required) {
    emitter.code().test(emitter.kAddress.cvt8(), static_cast<int>(bytes - 1));
    emitter.handler_if(condition::kNotEqual);
  }
  emitter.reach(bytes, kind);
}

Emit plan_again(const Decoded& decoded, const Insn& insn, Destination destination) {
  if (!host_has(decoded.insn.meta.isa_set)) return nullptr;
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i) {
    if (is_xmm(decoded, i) || general_register(decoded, i) || decoded.is_immediate(i) ||
        is_reachable(decoded, i, insn)) {
      continue;
    }
    return nullptr;  // an MMX register
  }
  return destination == Destination::Whole ? again<Destination::Whole> : again<Destination::Part>;
}

VectorPlan plan_vector(const Decoded& decoded, const Insn& insn) {
  // The string instructions MOVSD and CMPSD have no visible operands.
  if (decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
      decoded.insn.operand_count_visible == 0) {
    return {};
  }
  for (const auto family :
       {plan_vector_move, plan_vector_integer, plan_vector_shuffle, plan_vector_float}) {
    const VectorPlan plan = family(decoded, insn);
    if (plan.emit != nullptr) return plan;
  }
  return {};
}

void plan_vector_checks(std::vector<Form>& forms) {
  VectorUse established = VectorUse::None;
  for (Form& form : forms) {
    if (form.use > established) form.check = established = form.use;
    // A handler is called, or may be and change the guest's control bits.
    const bool forgets =
        form.emit == nullptr || form.decoded.insn.mnemonic == ZYDIS_MNEMONIC_LDMXCSR;
    if (forgets && established == VectorUse::Arithmetic) established = VectorUse::Registers;
    form.control_loaded = established == VectorUse::Arithmetic;
  }
}

}  // namespace ringside::soft

#include "engine/soft/translate/forms/vector.h"

#include <array>
#include <string_view>
#include <unordered_map>

#include "engine/soft/translate/emitter/host_features.h"
#include "engine/soft/translate/forms/write_again.h"

namespace ringside::soft {
namespace {

bool is_written(const Decoded& decoded, unsigned i) {
  return (decoded.op(i).actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}
bool is_read(const Decoded& decoded, unsigned i) {
  return (decoded.op(i).actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
}

Alignment alignment_of(const Decoded& decoded, unsigned bytes) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
      return Alignment::None;
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVNTDQA:
      return Alignment::Required;
    default:
      return bytes == 16 && !has_vex(decoded) ? Alignment::Required : Alignment::None;
  }
}

// Not a flag or an immediate. XMM0 of the blends is hidden in its instruction.
bool has_place(const Decoded& decoded, unsigned i) {
  if (i >= decoded.insn.operand_count_visible) return is_vector(decoded, i);
  return !decoded.is_immediate(i);
}

// Of one register with itself: the result does not depend on what is in it.
bool is_constant(const Decoded& decoded) {
  switch (legacy_mnemonic(decoded)) {
    case ZYDIS_MNEMONIC_PXOR:
    case ZYDIS_MNEMONIC_XORPS:
    case ZYDIS_MNEMONIC_XORPD:
    case ZYDIS_MNEMONIC_PSUBB:
    case ZYDIS_MNEMONIC_PSUBW:
    case ZYDIS_MNEMONIC_PSUBD:
    case ZYDIS_MNEMONIC_PSUBQ:
    case ZYDIS_MNEMONIC_PCMPEQB:
    case ZYDIS_MNEMONIC_PCMPEQW:
    case ZYDIS_MNEMONIC_PCMPEQD: {
      const unsigned last = decoded.insn.operand_count_visible - 1u;
      return is_vector(decoded, last) && decoded.reg(last - 1) == decoded.reg(last);
    }
    default:
      return false;
  }
}

template <Destination kDestination>
unsigned vector_operand(Emitter& emitter, unsigned i) {
  const Decoded& decoded = emitter.decoded();
  VectorRegisters& vectors = emitter.vectors();
  const unsigned number = decoded.reg(i);
  const bool written = is_written(decoded, i);
  const bool is_source = !written || kDestination == Destination::Part;
  if (is_source && !is_constant(decoded)) vectors.read(number, extent_of(decoded, i));
  if (written) has_vex(decoded) ? vectors.write_whole(number) : vectors.write(number);
  return number;
}

template <Destination kDestination>
void again(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  HostFields fields;
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
        fields.is_wide |= bytes == 32;  // VCVTPD2PS and its like have no register as wide
        number = static_cast<unsigned>(emitter.kAddress.getIdx());
      } else if (is_vector(decoded, i)) {
        number = vector_operand<kDestination>(emitter, i);
        fields.is_wide |= extent_of(decoded, i) == Extent::Whole;
      } else {
        const unsigned guest = *general_register(decoded, i);
        where =
            written ? emitter.place(guest, emitter.kSecond) : emitter.read(guest, emitter.kSecond);
        if (written) general = guest;
        number = static_cast<unsigned>(where.getIdx());
      }
      fields.set(decoded.op(i).encoding, number);
    }
  }
  write_again(emitter.code(), decoded, fields);
  if (general) emitter.written(*general, where);
  // Those that write flags at all clear OF and AF or write all that the host has.
  const auto* flags = decoded.insn.cpu_flags;
  if (flags != nullptr && (flags->modified | flags->set_0) != 0)
    emitter.keep_flags(Emitter::Kind::Arithmetic);
}

}  // namespace

// Guests without VEX do not wait at their start until the table is made.
ZydisMnemonic legacy_mnemonic(const Decoded& decoded) {
  if (!has_vex(decoded)) return decoded.insn.mnemonic;
  static const auto kWithoutV = [] {
    std::unordered_map<std::string_view, ZydisMnemonic> by_name;
    std::array<ZydisMnemonic, ZYDIS_MNEMONIC_MAX_VALUE + 1> result{};
    for (unsigned i = 0; i < result.size(); ++i) {
      const auto mnemonic = static_cast<ZydisMnemonic>(i);
      by_name.emplace(ZydisMnemonicGetString(mnemonic), mnemonic);
    }
    for (const auto& [name, mnemonic] : by_name) {
      const auto found = name.starts_with('v') ? by_name.find(name.substr(1)) : by_name.end();
      result[mnemonic] = found == by_name.end() ? ZYDIS_MNEMONIC_INVALID : found->second;
    }
    return result;
  }();
  return kWithoutV[decoded.insn.mnemonic];
}

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
    if (is_vector(decoded, i) || general_register(decoded, i) || decoded.is_immediate(i) ||
        is_reachable(decoded, i, insn)) {
      continue;
    }
    return nullptr;  // an MMX register
  }
  if (has_vex(decoded)) destination = is_read(decoded, 0) ? Destination::Part : Destination::Whole;
  return destination == Destination::Whole ? again<Destination::Whole> : again<Destination::Part>;
}

VectorPlan plan_vector(const Decoded& decoded, const Insn& insn) {
  switch (decoded.insn.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
      // The string instructions MOVSD and CMPSD have no visible operands.
      if (decoded.insn.operand_count_visible == 0) return {};
      break;
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
      if (const VectorPlan plan = plan_vex(decoded, insn); plan.emit != nullptr) return plan;
      break;
    default:
      return {};
  }
  for (const auto family :
       {plan_vector_move, plan_vector_integer, plan_vector_shuffle, plan_vector_float}) {
    VectorPlan plan = family(decoded, insn);
    if (plan.emit == nullptr) continue;
    if (has_vex(decoded)) plan.use = vector_use::kAvx | (plan.use & vector_use::kControl);
    return plan;
  }
  return {};
}

void plan_vector_checks(std::vector<Form>& forms) {
  VectorUse established = vector_use::kNone;
  for (Form& form : forms) {
    form.check = form.use & ~established;
    established |= form.use;
    if ((form.use & vector_use::kControl) != 0) established |= vector_use::kSse;
    // A handler is called, or may be and change the guest's control bits.
    const ZydisMnemonic mnemonic = form.decoded.insn.mnemonic;
    if (form.emit == nullptr || mnemonic == ZYDIS_MNEMONIC_LDMXCSR)
      established &= ~vector_use::kControl;
    // It need not be the last one of its block.
    if (mnemonic == ZYDIS_MNEMONIC_XSETBV) established &= ~vector_use::kAvx;
    form.control_loaded = (established & vector_use::kControl) != 0;
  }
}

}  // namespace ringside::soft

#include "engine/soft/instructions/vector/vector.h"

#include <unordered_map>

namespace ringside::soft {
namespace {

// Filled while LowerTable is built, read-only afterwards.
std::unordered_map<ZydisMnemonic, VectorForm>& forms() {
  static std::unordered_map<ZydisMnemonic, VectorForm> instance;
  return instance;
}

bool is_class(const Decoded& decoded, unsigned i, ZydisRegisterClass wanted) {
  return decoded.is_register(i) && ZydisRegisterGetClass(decoded.op(i).reg.value) == wanted;
}

Handler choose(const VectorForm& form, bool mmx, bool load, bool store, bool immediate) {
  if (store) return mmx ? form.mmx_store : form.xmm_store;
  if (load) return mmx ? form.mmx_load : form.xmm_load;
  if (immediate) return mmx ? form.mmx_immediate : form.xmm_immediate;
  return mmx ? form.mmx_register : form.xmm_register;
}

bool lower_vector(const Decoded& decoded, Insn& insn) {
  const unsigned operands = decoded.insn.operand_count_visible;
  // The string MOVSD and CMPSD have no visible operands and belong to another family.
  if (operands < 2 || decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  const auto found = forms().find(decoded.insn.mnemonic);
  if (found == forms().end()) return false;
  const bool mmx =
      is_class(decoded, 0, ZYDIS_REGCLASS_MMX) || is_class(decoded, 1, ZYDIS_REGCLASS_MMX);
  const bool store = decoded.is_memory(0);
  const bool load = decoded.is_memory(1);
  const bool immediate = decoded.is_immediate(1);
  insn.execute = choose(found->second, mmx, load, store, immediate);
  if (insn.execute == nullptr) return false;
  insn.reg = decoded.reg(store ? 1 : 0);
  if (store) {
    lower_memory(decoded, 0, insn);
  } else if (load) {
    lower_memory(decoded, 1, insn);
  } else if (!immediate) {
    insn.rm = decoded.reg(1);
  }
  return true;
}

}  // namespace

void sse_unavailable(const Cpu& cpu) {
  if ((cpu.cr0 & x86::cr0::EM) != 0 || (cpu.cr4 & x86::cr4::OSFXSR) == 0)
    raise(x86::Vector::InvalidOpcode);
  raise(x86::Vector::DeviceNotAvailable);
}

void mmx_unavailable(const Cpu& cpu) {
  if ((cpu.cr0 & x86::cr0::EM) != 0) raise(x86::Vector::InvalidOpcode);
  if ((cpu.cr0 & x86::cr0::TS) != 0) raise(x86::Vector::DeviceNotAvailable);
  raise(x86::Vector::X87Error);
}

void misaligned() { raise(x86::Vector::GeneralProtection, 0); }

void add_form(LowerTable& table, ZydisMnemonic mnemonic, const VectorForm& form) {
  forms().emplace(mnemonic, form);
  table.add(mnemonic, lower_vector);
}

void register_sse(LowerTable& table) {
  register_sse_moves(table);
  register_sse_integer(table);
  register_sse_shuffles(table);
  register_sse_float(table);
  register_sse_converts(table);
  register_sse41(table);
  register_sse41_float(table);
  register_sse42_strings(table);
  register_mmx(table);
  register_fxsave(table);
}

}  // namespace ringside::soft

#include "engine/soft/instructions/vector/vector.h"

#include <algorithm>
#include <string>
#include <string_view>
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

// The mnemonic with a V before its name, or none.
ZydisMnemonic vex_mnemonic(ZydisMnemonic legacy) {
  static const auto kByName = [] {
    std::unordered_map<std::string_view, ZydisMnemonic> names;
    for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; ++i) {
      const auto mnemonic = static_cast<ZydisMnemonic>(i);
      names.emplace(ZydisMnemonicGetString(mnemonic), mnemonic);
    }
    return names;
  }();
  const auto found = kByName.find("v" + std::string(ZydisMnemonicGetString(legacy)));
  return found == kByName.end() ? ZYDIS_MNEMONIC_INVALID : found->second;
}

// Filled and read as forms().
std::unordered_map<ZydisMnemonic, std::array<VexForm, 2>>& vex_forms() {
  static std::unordered_map<ZydisMnemonic, std::array<VexForm, 2>> instance;
  return instance;
}

bool lower_vex(const Decoded& decoded, Insn& insn) {
  const auto found = vex_forms().find(decoded.insn.mnemonic);
  return found != vex_forms().end() && lower_vex_form(decoded, insn, found->second);
}

}  // namespace

bool lower_vex_form(const Decoded& decoded, Insn& insn, const std::array<VexForm, 2>& forms) {
  if (decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) return false;
  bool wide = false, memory = false;
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i) {
    memory = memory || decoded.is_memory(i);
    wide = wide || is_class(decoded, i, ZYDIS_REGCLASS_YMM) ||
           (decoded.is_memory(i) && decoded.op(i).size == 256);
  }
  const VexForm& form = forms[wide ? k256 : k128];
  const bool shifts = decoded.op(0).encoding == ZYDIS_OPERAND_ENCODING_NDSNDD;
  insn.execute = decoded.is_memory(0) ? form.store
                 : memory             ? form.load
                 : shifts             ? form.immediate
                                      : form.with_register;
  if (insn.execute == nullptr) return false;
  lower_vex_operands(decoded, insn);
  // Between registers the destination is in reg, as if it were loaded.
  const bool stores = decoded.op(0).encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM;
  if (stores && !decoded.is_memory(0)) std::swap(insn.reg, insn.rm);
  return true;
}

void avx_unavailable(const Cpu& cpu) {
  constexpr std::uint64_t kState = xstate::kSse | xstate::kAvx;
  if (cpu.real_addressing() || (cpu.cr4 & x86::cr4::OSXSAVE) == 0 || (cpu.xcr0 & kState) != kState)
    raise(x86::Vector::InvalidOpcode);
  raise(x86::Vector::DeviceNotAvailable);
}

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
  const ZydisMnemonic with_vex = vex_mnemonic(mnemonic);
  const auto is_there = [](const VexForm& vex) {
    return vex.with_register != nullptr || vex.load != nullptr || vex.store != nullptr ||
           vex.immediate != nullptr;
  };
  if (with_vex != ZYDIS_MNEMONIC_INVALID && std::ranges::any_of(form.vex, is_there))
    add_vex_form(table, with_vex, form.vex);
}

void add_vex_form(LowerTable& table, ZydisMnemonic mnemonic, const std::array<VexForm, 2>& form) {
  vex_forms().emplace(mnemonic, form);
  table.add(mnemonic, lower_vex);
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
  register_avx_moves(table);
  register_avx_permutes(table);
  register_avx_compares(table);
  register_avx_gathers(table);
  register_half_floats(table);
  register_fma(table);
  register_aes(table);
  register_sha(table);
  register_mmx(table);
  register_fxsave(table);
  register_xsave(table);
}

}  // namespace ringside::soft

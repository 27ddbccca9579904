// Moves that only AVX has: broadcasts, halves of 256 bits in and out, masked moves, VZEROUPPER and
// VZEROALL.
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// ---- Broadcasts of the lowest element
template <typename T, std::size_t kCount>
void broadcast(Cpu& cpu, const Insn& insn, const T& value) {
  LanesOf<T, Xmm> all;
  all.fill(value);
  Wide<kCount> result;
  result.fill(vector_of<Xmm>(all));
  set_wide(cpu, insn.reg, result);
}
template <typename T, std::size_t kCount>
void broadcast_register(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  broadcast<T, kCount>(cpu, insn, low<T>(cpu.fpu.xmm[insn.rm]));
}
template <typename T, std::size_t kCount>
void broadcast_memory(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  broadcast<T, kCount>(cpu, insn, load_unaligned<T>(cpu, insn));
}
template <typename T>
constexpr std::array<VexForm, 2> broadcast_form() {
  std::array<VexForm, 2> form;
  form[k128].with_register = broadcast_register<T, 1>;
  form[k128].load = broadcast_memory<T, 1>;
  form[k256].with_register = broadcast_register<T, 2>;
  form[k256].load = broadcast_memory<T, 2>;
  return form;
}
constexpr std::array<VexForm, 2> broadcast_half_form() {
  std::array<VexForm, 2> form;
  form[k256].load = broadcast_memory<Xmm, 2>;
  return form;
}

// ---- A half of 256 bits, chosen by the immediate's lowest bit
template <bool kMemory>
void insert_half(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Xmm half = second_source<1, kMemory>(cpu, insn)[0];
  Wide<2> result = get_wide<2>(cpu, insn.extra);
  result[insn.immediate & 1] = half;
  set_wide(cpu, insn.reg, result);
}
void extract_half(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  set_wide(cpu, insn.reg, Wide<1>{get_wide<2>(cpu, insn.rm)[insn.immediate & 1]});
}
void store_half(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  store_vector(cpu, insn, get_wide<2>(cpu, insn.reg)[insn.immediate & 1]);
}
constexpr std::array<VexForm, 2> insert_half_form() {
  std::array<VexForm, 2> form;
  form[k256].with_register = insert_half<false>;
  form[k256].load = insert_half<true>;
  return form;
}
constexpr std::array<VexForm, 2> extract_half_form() {
  std::array<VexForm, 2> form;
  form[k256].with_register = extract_half;
  form[k256].store = store_half;
  return form;
}

// ---- Masked moves: the elements whose mask has its sign bit set. Memory of the others is not
// touched, and does not fault: neither its pages nor its segment are looked at.
template <typename T, std::size_t kCount>
using Elements = std::array<T, kCount * kLanes<T, Xmm>>;
template <typename T>
bool is_chosen(T mask) {
  return mask >> (8 * sizeof(T) - 1) != 0;
}
template <typename T>
u64 element_address(const Cpu& cpu, const Insn& insn, std::size_t i, AccessKind kind) {
  return cpu.segmented(insn.segment, cpu.effective_offset(insn) + i * sizeof(T), sizeof(T), kind);
}
template <typename T, std::size_t kCount>
void masked_load(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const auto mask = std::bit_cast<Elements<T, kCount>>(get_wide<kCount>(cpu, insn.extra));
  Elements<T, kCount> result{};
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (!is_chosen(mask[i])) continue;
    result[i] = cpu.load<T>(element_address<T>(cpu, insn, i, AccessKind::Read));
  }
  set_wide(cpu, insn.reg, std::bit_cast<Wide<kCount>>(result));
}
template <typename T, std::size_t kCount>
void masked_store(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const auto mask = std::bit_cast<Elements<T, kCount>>(get_wide<kCount>(cpu, insn.extra));
  const auto value = std::bit_cast<Elements<T, kCount>>(get_wide<kCount>(cpu, insn.reg));
  std::array<u64, kCount * kLanes<T, Xmm>> address{};
  // Each must be writable before the first is written.
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (!is_chosen(mask[i])) continue;
    address[i] = element_address<T>(cpu, insn, i, AccessKind::Write);
    cpu.check_write(address[i], sizeof(T));
  }
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (is_chosen(mask[i])) cpu.store<T>(address[i], value[i]);
}
template <typename T>
constexpr std::array<VexForm, 2> masked_form() {
  std::array<VexForm, 2> form;
  form[k128].load = masked_load<T, 1>;
  form[k128].store = masked_store<T, 1>;
  form[k256].load = masked_load<T, 2>;
  form[k256].store = masked_store<T, 2>;
  return form;
}

// ---- VZEROUPPER, VZEROALL: outside of 64-bit mode of the eight registers that are there
template <bool kAll>
void zero(Cpu& cpu, const Insn&) {
  check_avx(cpu);
  const unsigned count = cpu.code64() ? 16 : 8;
  for (unsigned i = 0; i < count; ++i) {
    cpu.fpu.ymm_high[i] = {};
    if (kAll) cpu.fpu.xmm[i] = {};
  }
}
template <Handler kHandler>
bool lower_zero(const Decoded&, Insn& insn) {
  insn.execute = kHandler;
  return true;
}

}  // namespace

void register_avx_moves(LowerTable& table) {
  add_vex_form(table, ZYDIS_MNEMONIC_VBROADCASTSS, broadcast_form<u32>());
  add_vex_form(table, ZYDIS_MNEMONIC_VBROADCASTSD, broadcast_form<u64>());
  add_vex_form(table, ZYDIS_MNEMONIC_VBROADCASTF128, broadcast_half_form());
  add_vex_form(table, ZYDIS_MNEMONIC_VBROADCASTI128, broadcast_half_form());
  add_vex_form(table, ZYDIS_MNEMONIC_VPBROADCASTB, broadcast_form<u8>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPBROADCASTW, broadcast_form<u16>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPBROADCASTD, broadcast_form<u32>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPBROADCASTQ, broadcast_form<u64>());
  add_vex_form(table, ZYDIS_MNEMONIC_VINSERTF128, insert_half_form());
  add_vex_form(table, ZYDIS_MNEMONIC_VINSERTI128, insert_half_form());
  add_vex_form(table, ZYDIS_MNEMONIC_VEXTRACTF128, extract_half_form());
  add_vex_form(table, ZYDIS_MNEMONIC_VEXTRACTI128, extract_half_form());
  add_vex_form(table, ZYDIS_MNEMONIC_VMASKMOVPS, masked_form<u32>());
  add_vex_form(table, ZYDIS_MNEMONIC_VMASKMOVPD, masked_form<u64>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPMASKMOVD, masked_form<u32>());
  add_vex_form(table, ZYDIS_MNEMONIC_VPMASKMOVQ, masked_form<u64>());
  table.add(ZYDIS_MNEMONIC_VZEROUPPER, lower_zero<zero<false>>);
  table.add(ZYDIS_MNEMONIC_VZEROALL, lower_zero<zero<true>>);
}

}  // namespace ringside::soft

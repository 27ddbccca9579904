// What all SSE, AVX and MMX families share: availability checks, operand access, and the table that
// maps a mnemonic and the kind of its operands to a handler. The table is built once with
// LowerTable; the rest runs on the engine's thread.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/instructions/vector/lanes.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/state/insn.h"
#include "engine/soft/state/xstate.h"

namespace ringside::soft {

// ---- Availability (SDM 3A 2.5, table 13-1)
// CR0.EM or no CR4.OSFXSR: #UD; CR0.TS: #NM.
[[noreturn]] void sse_unavailable(const Cpu& cpu);
inline void check_sse(const Cpu& cpu) {
  using namespace x86;
  if (((cpu.cr0 & (cr0::EM | cr0::TS)) | (~cpu.cr4 & cr4::OSFXSR)) != 0) [[unlikely]]
    sse_unavailable(cpu);
}
// VEX: #UD in real and virtual-8086 mode, without CR4.OSXSAVE and without both SSE and AVX in XCR0;
// CR0.TS: #NM (SDM 2A 2.3, table 2-18).
[[noreturn]] void avx_unavailable(const Cpu& cpu);
inline void check_avx(const Cpu& cpu) {
  using namespace x86;
  constexpr std::uint64_t kState = xstate::kSse | xstate::kAvx;
  const std::uint64_t cr0 = (cpu.cr0 ^ cr0::PE) & (cr0::PE | cr0::TS);
  if ((cr0 | (~cpu.cr4 & cr4::OSXSAVE) | (~cpu.xcr0 & kState)) != 0 || cpu.virtual_8086())
      [[unlikely]] {
    avx_unavailable(cpu);
  }
}
// How an instruction is encoded that exists with VEX and without.
enum class Encoding : std::uint8_t { Legacy, Vex };
template <Encoding kEncoding>
void check_vector(const Cpu& cpu) {
  kEncoding == Encoding::Vex ? check_avx(cpu) : check_sse(cpu);
}
// CR0.EM: #UD; CR0.TS: #NM; a pending x87 exception: #MF.
[[noreturn]] void mmx_unavailable(const Cpu& cpu);
inline constexpr std::uint16_t kX87ErrorSummary = 0x80;
inline void check_mmx(const Cpu& cpu) {
  using namespace x86;
  if ((cpu.cr0 & (cr0::EM | cr0::TS)) != 0 ||
      ((cpu.fpu.status & kX87ErrorSummary) != 0 && (cpu.cr0 & cr0::NE) != 0)) [[unlikely]] {
    mmx_unavailable(cpu);
  }
}

// ---- Registers
inline Mmx get_mmx(const Cpu& cpu, unsigned number) {
  return std::bit_cast<Mmx>(cpu.fpu.physical[number].significand);
}
inline void set_mmx(Cpu& cpu, unsigned number, const Mmx& value) {
  // The exponent of a written register becomes all ones (SDM 1 9.2.1).
  cpu.fpu.physical[number] = {std::bit_cast<std::uint64_t>(value), 0xffff};
}
// Every MMX instruction except EMMS: TOP = 0, all registers valid (SDM 1 9.5.1).
inline void enter_mmx(Cpu& cpu) {
  cpu.fpu.set_top(0);
  cpu.fpu.empty = 0;
}

// The first source of an instruction with two: its destination, or with VEX a register of its own.
template <Encoding kEncoding>
const Xmm& first_source(const Cpu& cpu, const Insn& insn) {
  return cpu.fpu.xmm[kEncoding == Encoding::Vex ? insn.extra : insn.reg];
}
// What is written with VEX has zeros above (SDM 2A 2.3.10.1).
template <Encoding kEncoding>
void set_xmm(Cpu& cpu, unsigned number, const Xmm& value) {
  cpu.fpu.xmm[number] = value;
  if constexpr (kEncoding == Encoding::Vex) cpu.fpu.ymm_high[number] = {};
}
// A register of kCount lanes of 128 bits.
template <std::size_t kCount>
using Wide = std::array<Xmm, kCount>;
template <std::size_t kCount>
Wide<kCount> get_wide(const Cpu& cpu, unsigned number) {
  if constexpr (kCount == 1) {
    return {cpu.fpu.xmm[number]};
  } else {
    return {cpu.fpu.xmm[number], cpu.fpu.ymm_high[number]};
  }
}
template <std::size_t kCount>
void set_wide(Cpu& cpu, unsigned number, const Wide<kCount>& value) {
  cpu.fpu.xmm[number] = value[0];
  cpu.fpu.ymm_high[number] = kCount == 1 ? Xmm{} : value[kCount - 1];
}

template <typename T>
Xmm widen(T value) {
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
  Xmm result;
  std::memcpy(result.bytes.data(), &value, sizeof(T));
  return result;
}
template <typename T>
T low(const Xmm& value) {
  T result;
  std::memcpy(&result, value.bytes.data(), sizeof(T));
  return result;
}
template <typename T>
void set_low(Xmm& value, T with) {
  std::memcpy(value.bytes.data(), &with, sizeof(T));
}

// ---- Memory operands
[[noreturn]] void misaligned();
// 16-byte operands must be aligned, or #GP(0), except in the instructions that say otherwise.
inline std::uint64_t aligned(std::uint64_t linear) {
  if ((linear & 15) != 0) [[unlikely]]
    misaligned();
  return linear;
}
template <typename T>
T load_unaligned(Cpu& cpu, const Insn& insn) {
  return cpu.load<T>(cpu.linear(insn, sizeof(T), AccessKind::Read));
}
template <typename T>
T load_vector(Cpu& cpu, const Insn& insn) {
  std::uint64_t linear = cpu.linear(insn, sizeof(T), AccessKind::Read);
  if constexpr (sizeof(T) == 16) linear = aligned(linear);
  return cpu.load<T>(linear);
}
// With VEX no operand must be aligned.
template <typename T, Encoding kEncoding>
T load_encoded(Cpu& cpu, const Insn& insn) {
  if constexpr (kEncoding == Encoding::Vex) {
    return load_unaligned<T>(cpu, insn);
  } else {
    return load_vector<T>(cpu, insn);
  }
}
// The second source: a register, or memory of the operation's width.
template <std::size_t kCount, bool kMemory>
Wide<kCount> second_source(Cpu& cpu, const Insn& insn) {
  if constexpr (kMemory) {
    return load_unaligned<Wide<kCount>>(cpu, insn);
  } else {
    return get_wide<kCount>(cpu, insn.rm);
  }
}
template <typename T>
void store_vector(Cpu& cpu, const Insn& insn, const T& value) {
  cpu.store<T>(cpu.linear(insn, sizeof(T), AccessKind::Write), value);
}

// ---- Lowering
// The handlers of one mnemonic and width with VEX, by operands. Insn has them by the field of their
// encoding (lower_vex_operands). Null: no such form.
struct VexForm {
  Handler with_register = nullptr;
  Handler load = nullptr;
  Handler store = nullptr;
  Handler immediate = nullptr;  // the destination is in vvvv (shifts)
};
inline constexpr unsigned k128 = 0, k256 = 1;  // of VectorForm::vex

// The handlers of one mnemonic by operands. Insn::reg is the vector register that the ModRM.reg
// column of the manual's operand list names first; Insn::rm the other one. Null: no such form.
struct VectorForm {
  Handler xmm_register = nullptr;   // destination and source are registers
  Handler xmm_load = nullptr;       // the source is in memory
  Handler xmm_store = nullptr;      // the destination is in memory
  Handler xmm_immediate = nullptr;  // the source is an immediate (shifts)
  Handler mmx_register = nullptr;   // the same, when an operand is an MMX register
  Handler mmx_load = nullptr;
  Handler mmx_store = nullptr;
  Handler mmx_immediate = nullptr;
  // Of the mnemonic with a V before it.
  std::array<VexForm, 2> vex{};
};
// One mnemonic has one form, with VEX and without.
void add_form(LowerTable& table, ZydisMnemonic mnemonic, const VectorForm& form);
// With VEX alone: `mnemonic` begins with a V.
void add_vex_form(LowerTable& table, ZydisMnemonic mnemonic, const std::array<VexForm, 2>& form);
// What such a form does in decode(): for mnemonics that have more than one.
bool lower_vex_form(const Decoded& decoded, Insn& insn, const std::array<VexForm, 2>& form);

struct NamedForm {
  ZydisMnemonic mnemonic;
  VectorForm form;
};
inline void add_forms(LowerTable& table, std::initializer_list<NamedForm> forms) {
  for (const NamedForm& named : forms)
    add_form(table, named.mnemonic, named.form);
}

// ---- Handlers made of an operation on values
// An operation is a stateless functor (a lambda without captures): V(V destination, V source) or,
// with an immediate byte, V(V destination, V source, uint8_t). It cannot fault.
template <typename Operation, typename V>
V operate(const V& a, const V& b, const Insn& insn) {
  if constexpr (std::is_invocable_v<Operation, V, V, std::uint8_t>) {
    return Operation{}(a, b, static_cast<std::uint8_t>(insn.immediate));
  } else {
    return Operation{}(a, b);
  }
}
template <typename Operation>
void xmm_with_register(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  destination = operate<Operation, Xmm>(destination, cpu.fpu.xmm[insn.rm], insn);
}
// The memory operand is a T; narrower ones must not be aligned, and the rest of the source is zero.
template <typename Operation, typename T>
void xmm_with_memory(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const Xmm source = widen(load_vector<T>(cpu, insn));
  Xmm& destination = cpu.fpu.xmm[insn.reg];
  destination = operate<Operation, Xmm>(destination, source, insn);
}
template <typename Operation>
void mmx_with_register(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  const Mmx result = operate<Operation, Mmx>(get_mmx(cpu, insn.reg), get_mmx(cpu, insn.rm), insn);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, result);
}
template <typename Operation>
void mmx_with_memory(Cpu& cpu, const Insn& insn) {
  check_mmx(cpu);
  const Mmx source = load_vector<Mmx>(cpu, insn);
  const Mmx result = operate<Operation, Mmx>(get_mmx(cpu, insn.reg), source, insn);
  enter_mmx(cpu);
  set_mmx(cpu, insn.reg, result);
}

// ---- The same with VEX, on one lane or two
// How many bits of the immediate belong to each lane; none: all lanes have the same byte.
template <typename Operation>
inline constexpr unsigned kImmediateBits = [] {
  if constexpr (requires { Operation::kImmediateBits; }) {
    return Operation::kImmediateBits;
  } else {
    return 0u;
  }
}();
// An operation that looks at all lanes, or may raise exceptions, says itself how:
// wide(cpu, a, b, insn), which must not touch guest state but for what it raises.
template <typename Operation, std::size_t kCount>
Wide<kCount> operate_wide(Cpu& cpu, const Wide<kCount>& a, const Wide<kCount>& b,
                          const Insn& insn) {
  if constexpr (requires { Operation::wide(cpu, a, b, insn); }) {
    return Operation::wide(cpu, a, b, insn);
  } else {
    Wide<kCount> result;
    Insn lane = insn;
    for (std::size_t i = 0; i < kCount; ++i) {
      result[i] = operate<Operation, Xmm>(a[i], b[i], lane);
      lane.immediate >>= kImmediateBits<Operation>;
    }
    return result;
  }
}
template <typename Operation, std::size_t kCount, bool kMemory>
void vex_whole(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Wide<kCount> b = second_source<kCount, kMemory>(cpu, insn);
  set_wide(cpu, insn.reg, operate_wide<Operation>(cpu, get_wide<kCount>(cpu, insn.extra), b, insn));
}
// The memory operand is a T, and the rest of the source is zero.
template <typename Operation, typename T>
void vex_narrow_load(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  const Wide<1> b = {widen(load_unaligned<T>(cpu, insn))};
  set_wide(cpu, insn.reg, operate_wide<Operation>(cpu, get_wide<1>(cpu, insn.extra), b, insn));
}
template <typename Operation, std::size_t kCount>
constexpr VexForm vex_whole_form() {
  VexForm form;
  form.with_register = vex_whole<Operation, kCount, false>;
  form.load = vex_whole<Operation, kCount, true>;
  return form;
}
template <typename Operation>
constexpr std::array<VexForm, 2> vex_both(Operation = {}) {
  return {vex_whole_form<Operation, 1>(), vex_whole_form<Operation, 2>()};
}
// As xmm_form has it: of two lanes only where the memory operand is as wide as the register.
template <typename Operation, typename T>
constexpr std::array<VexForm, 2> vex_like_xmm() {
  if constexpr (sizeof(T) == 16) {
    return vex_both<Operation>();
  } else {
    std::array<VexForm, 2> form;
    form[k128].with_register = vex_whole<Operation, 1, false>;
    form[k128].load = vex_narrow_load<Operation, T>;
    return form;
  }
}

template <typename Operation, typename T = Xmm>
constexpr VectorForm xmm_form(Operation) {
  VectorForm form;
  form.xmm_register = xmm_with_register<Operation>;
  form.xmm_load = xmm_with_memory<Operation, T>;
  form.vex = vex_like_xmm<Operation, T>();
  return form;
}
// For operations that exist on XMM and MMX registers.
template <typename Operation>
constexpr VectorForm both_forms(Operation operation) {
  VectorForm form = xmm_form(operation);
  form.mmx_register = mmx_with_register<Operation>;
  form.mmx_load = mmx_with_memory<Operation>;
  return form;
}
template <typename Operation>
constexpr VectorForm mmx_form(Operation) {
  VectorForm form;
  form.mmx_register = mmx_with_register<Operation>;
  form.mmx_load = mmx_with_memory<Operation>;
  return form;
}

// The parts of register_sse().
void register_sse_moves(LowerTable& table);
void register_sse_integer(LowerTable& table);
void register_sse_shuffles(LowerTable& table);
void register_sse_float(LowerTable& table);
void register_sse_converts(LowerTable& table);
void register_sse41(LowerTable& table);
void register_sse41_float(LowerTable& table);
void register_sse42_strings(LowerTable& table);
void register_aes(LowerTable& table);
void register_sha(LowerTable& table);
void register_mmx(LowerTable& table);
void register_avx_moves(LowerTable& table);
void register_avx_permutes(LowerTable& table);
void register_avx_compares(LowerTable& table);
void register_avx_gathers(LowerTable& table);
void register_half_floats(LowerTable& table);
void register_fma(LowerTable& table);
void register_fxsave(LowerTable& table);
void register_xsave(LowerTable& table);

// What decode() is to know of this room: SSE to SSE4.2, AES, SHA, MMX, FXSAVE; AVX to AVX2, FMA,
// F16C, XSAVE.
void register_sse(LowerTable& table);

}  // namespace ringside::soft

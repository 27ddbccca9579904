// x87 control instructions: control, status and environment, and the management of the stack.
#include <array>

#include "engine/soft/instructions/x87/x87.h"

namespace ringside::soft::x87 {
namespace {

// ---- Control and status words
void fldcw(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  const auto value = cpu.load<std::uint16_t>(cpu.linear(insn, 2, AccessKind::Read));
  cpu.fpu.control = control_word(value);
  update_summary(cpu.fpu);
}
void fnstcw(Cpu& cpu, const Insn& insn) {
  check_present(cpu);
  cpu.store<std::uint16_t>(cpu.linear(insn, 2, AccessKind::Write), cpu.fpu.control);
}
void fnstsw(Cpu& cpu, const Insn& insn) {
  check_present(cpu);
  cpu.store<std::uint16_t>(cpu.linear(insn, 2, AccessKind::Write), cpu.fpu.status);
}
void fnstsw_ax(Cpu& cpu, const Insn&) {
  check_present(cpu);
  cpu.set<std::uint16_t>(static_cast<std::uint8_t>(x86::Gpr::Rax), cpu.fpu.status);
}
void fnclex(Cpu& cpu, const Insn&) {
  check_present(cpu);
  cpu.fpu.status &=
      static_cast<std::uint16_t>(~(kExceptions | kStackFault | kErrorSummary | kBusy));
}
void initialize(Fpu& fpu) {
  fpu.control = x86::kFpuControlInit;
  fpu.status = 0;
  fpu.empty = 0xff;
  fpu.opcode = 0;
  fpu.instruction_pointer = fpu.data_pointer = 0;
  fpu.instruction_selector = fpu.data_selector = 0;
}
void fninit(Cpu& cpu, const Insn&) {
  check_present(cpu);
  initialize(cpu.fpu);
}

// ---- The stack
void fincstp(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  cpu.fpu.set_top(cpu.fpu.top() + 1);
  set_conditions(cpu.fpu, kC1, 0);
}
void fdecstp(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  cpu.fpu.set_top(cpu.fpu.top() - 1);
  set_conditions(cpu.fpu, kC1, 0);
}
void set_empty(Fpu& fpu, unsigned position) {
  fpu.empty = static_cast<std::uint8_t>(fpu.empty | 1u << ((fpu.top() + position) & 7));
}
void ffree(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  set_empty(cpu.fpu, insn.rm);
  set_conditions(cpu.fpu, kC1, 0);
}
void ffreep(Cpu& cpu, const Insn& insn) {  // undocumented
  ffree(cpu, insn);
  pop(cpu.fpu);
}
void fnop(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
}
// FENI, FDISI and FSETPM of older processors do nothing (SDM 3B 23.18.9).
void old_control(Cpu& cpu, const Insn&) { check_present(cpu); }

// ---- The environment in memory (SDM 1 figures 8-9 to 8-12)
// Four layouts: 16 or 32-bit operands, and real (linear pointers) or protected (selector and
// offset).
struct Environment {
  std::uint16_t control, status, tags, opcode;
  std::uint64_t instruction_pointer, data_pointer;
  std::uint16_t instruction_selector, data_selector;
};
// Fields of T (16 or 32 bits); the upper halves of words in 32-bit fields are ones.
template <typename T>
using Fields = std::array<T, 7>;

template <typename T>
constexpr T word_field(std::uint16_t value) {
  return static_cast<T>(0xffff0000u | value);
}
// The second of the two fields of a linear pointer: its upper bits, from bit 12 on.
template <typename T>
constexpr T upper_pointer(std::uint32_t linear, std::uint16_t opcode) {
  return static_cast<T>((linear >> 16) << 12 | opcode);
}

template <typename T>
Fields<T> environment_fields(const Cpu& cpu) {
  const Fpu& fpu = cpu.fpu;
  Fields<T> fields{};
  fields[0] = word_field<T>(fpu.control);
  fields[1] = word_field<T>(fpu.status);
  fields[2] = word_field<T>(tag_word(fpu));
  if (cpu.real_addressing()) {
    const auto instruction = static_cast<std::uint32_t>(
        fpu.instruction_pointer + (std::uint32_t{fpu.instruction_selector} << 4));
    const auto data =
        static_cast<std::uint32_t>(fpu.data_pointer + (std::uint32_t{fpu.data_selector} << 4));
    fields[3] = word_field<T>(static_cast<std::uint16_t>(instruction));
    fields[4] = upper_pointer<T>(instruction, fpu.opcode);
    fields[5] = word_field<T>(static_cast<std::uint16_t>(data));
    fields[6] = upper_pointer<T>(data, 0);
    return fields;
  }
  fields[3] = static_cast<T>(fpu.instruction_pointer);
  fields[4] = fpu.instruction_selector;
  fields[5] = static_cast<T>(fpu.data_pointer);
  fields[6] = word_field<T>(fpu.data_selector);
  if constexpr (sizeof(T) == 4) fields[4] |= std::uint32_t{fpu.opcode} << 16;
  return fields;
}
template <typename T>
void set_environment(Cpu& cpu, const Fields<T>& fields) {
  Fpu& fpu = cpu.fpu;
  fpu.control = control_word(static_cast<std::uint16_t>(fields[0]));
  fpu.status = static_cast<std::uint16_t>(fields[1]);
  set_tag_word(fpu, static_cast<std::uint16_t>(fields[2]));
  if (cpu.real_addressing()) {
    const auto linear = [&](unsigned i) {
      return (fields[i] & 0xffffu) | (static_cast<std::uint32_t>(fields[i + 1]) >> 12 & 0xffffu)
                                         << 16;
    };
    fpu.opcode = fields[4] & kOpcodeMask;
    fpu.instruction_pointer = linear(3);
    fpu.data_pointer = linear(5);
    fpu.instruction_selector = fpu.data_selector = 0;
  } else {
    // The 16-bit protected layout has no opcode.
    fpu.opcode = sizeof(T) == 4 ? static_cast<std::uint32_t>(fields[4]) >> 16 & kOpcodeMask : 0;
    fpu.instruction_pointer = fields[3];
    fpu.instruction_selector = static_cast<std::uint16_t>(fields[4]);
    fpu.data_pointer = fields[5];
    fpu.data_selector = static_cast<std::uint16_t>(fields[6]);
  }
  update_summary(fpu);
}

constexpr std::uint16_t kAllMasked = kExceptions;

template <typename T>
void fnstenv_as(Cpu& cpu, const Insn& insn) {
  cpu.store(cpu.linear(insn, sizeof(Fields<T>), AccessKind::Write), environment_fields<T>(cpu));
  cpu.fpu.control |= kAllMasked;
  update_summary(cpu.fpu);
}
template <typename T>
void fldenv_as(Cpu& cpu, const Insn& insn) {
  set_environment(cpu, cpu.load<Fields<T>>(cpu.linear(insn, sizeof(Fields<T>), AccessKind::Read)));
}

// FNSAVE and FRSTOR: the environment, then the registers by stack position, 10 bytes each.
constexpr unsigned kRegisterBytes = 80;
struct Registers {
  std::array<std::uint8_t, kRegisterBytes> bytes;
};
template <typename T>
void fnsave_as(Cpu& cpu, const Insn& insn) {
  constexpr unsigned kSize = sizeof(Fields<T>) + kRegisterBytes;
  const std::uint64_t linear = cpu.linear(insn, kSize, AccessKind::Write);
  Registers registers;
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(registers.bytes.data() + 10 * i, &cpu.fpu.st(i).significand, 8);
    std::memcpy(registers.bytes.data() + 10 * i + 8, &cpu.fpu.st(i).sign_exponent, 2);
  }
  cpu.check_write(linear, kSize);
  cpu.store(linear, environment_fields<T>(cpu));
  cpu.store(linear + sizeof(Fields<T>), registers);
  initialize(cpu.fpu);
}
template <typename T>
void frstor_as(Cpu& cpu, const Insn& insn) {
  constexpr unsigned kSize = sizeof(Fields<T>) + kRegisterBytes;
  const std::uint64_t linear = cpu.linear(insn, kSize, AccessKind::Read);
  const auto fields = cpu.load<Fields<T>>(linear);
  const auto registers = cpu.load<Registers>(linear + sizeof(Fields<T>));
  set_environment(cpu, fields);
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(&cpu.fpu.st(i).significand, registers.bytes.data() + 10 * i, 8);
    std::memcpy(&cpu.fpu.st(i).sign_exponent, registers.bytes.data() + 10 * i + 8, 2);
  }
}

// The operand size chooses the layout; 64-bit operands use the 32-bit one.
template <Handler kNarrow, Handler kWide>
void by_operand_size(Cpu& cpu, const Insn& insn) {
  (insn.operand_width == Width::Bits16 ? kNarrow : kWide)(cpu, insn);
}
template <Handler kNarrow, Handler kWide>
void non_waiting(Cpu& cpu, const Insn& insn) {
  check_present(cpu);
  by_operand_size<kNarrow, kWide>(cpu, insn);
}
template <Handler kNarrow, Handler kWide>
void waiting(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  by_operand_size<kNarrow, kWide>(cpu, insn);
}

}  // namespace

void add_control(Table& table) {
  using u16 = std::uint16_t;
  using u32 = std::uint32_t;
  table.set_memory(0xd9, 4, waiting<fldenv_as<u16>, fldenv_as<u32>>);
  table.set_memory(0xd9, 5, fldcw);
  table.set_memory(0xd9, 6, non_waiting<fnstenv_as<u16>, fnstenv_as<u32>>);
  table.set_memory(0xd9, 7, fnstcw);
  table.set_memory(0xdd, 4, waiting<frstor_as<u16>, frstor_as<u32>>);
  table.set_memory(0xdd, 6, non_waiting<fnsave_as<u16>, fnsave_as<u32>>);
  table.set_memory(0xdd, 7, fnstsw);
  table.set(0xdf, 0xe0, fnstsw_ax);
  table.set(0xdb, 0xe2, fnclex);
  table.set(0xdb, 0xe3, fninit);
  table.set(0xdb, 0xe0, old_control);
  table.set(0xdb, 0xe1, old_control);
  table.set(0xdb, 0xe4, old_control);
  table.set(0xd9, 0xd0, fnop);
  table.set(0xd9, 0xf6, fdecstp);
  table.set(0xd9, 0xf7, fincstp);
  table.set_all(0xdd, 0xc0, ffree);
  table.set_all(0xdf, 0xc0, ffreep);
}

}  // namespace ringside::soft::x87

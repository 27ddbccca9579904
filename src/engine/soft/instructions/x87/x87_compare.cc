// x87 compares, to the condition bits and to EFLAGS, and FXAM.
#include "engine/soft/instructions/x87/x87.h"
#include "engine/soft/instructions/x87/x87_host.h"

namespace ringside::soft::x87 {
namespace {

constexpr std::uint16_t kComparison = kC0 | kC2 | kC3;
constexpr std::uint16_t kUnordered = kComparison;

struct Ordered {
  static HostResult run(std::uint16_t control, const X87Value& a, const X87Value& b) {
    RINGSIDE_X87_REGISTER("fcom %%st(1)");
  }
  static HostResult run(std::uint16_t control, const X87Value& a, Float32 b) {
    RINGSIDE_X87_MEMORY("fcoms");
  }
  static HostResult run(std::uint16_t control, const X87Value& a, Float64 b) {
    RINGSIDE_X87_MEMORY("fcoml");
  }
  static HostResult run(std::uint16_t control, const X87Value& a, std::int16_t b) {
    RINGSIDE_X87_MEMORY("ficoms");
  }
  static HostResult run(std::uint16_t control, const X87Value& a, std::int32_t b) {
    RINGSIDE_X87_MEMORY("ficoml");
  }
};
struct Unordered {  // quiet NaNs raise nothing
  static HostResult run(std::uint16_t control, const X87Value& a, const X87Value& b) {
    RINGSIDE_X87_REGISTER("fucom %%st(1)");
  }
};

void pop_times(Fpu& fpu, unsigned times) {
  for (; times > 0; --times)
    pop(fpu);
}

// ---- To C0, C2, C3
template <unsigned kPops>
void finish(Fpu& fpu, std::uint16_t conditions, std::uint16_t raised) {
  set_conditions(fpu, kC1, 0);
  if (!accept(fpu, raised)) return;
  set_conditions(fpu, kComparison, conditions);
  pop_times(fpu, kPops);
}
template <typename Operation, unsigned kPops>
void with_register(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0) || is_empty(fpu, insn.rm)) {
    finish<kPops>(fpu, kUnordered, kInvalid | kStackFault);
    return;
  }
  const HostResult result = Operation::run(fpu.control, fpu.st(0), fpu.st(insn.rm));
  finish<kPops>(fpu, result.status, result.status);
}
template <typename T, unsigned kPops>
void with_memory(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  const T operand = cpu.load<T>(cpu.linear(insn, sizeof(T), AccessKind::Read));
  record_with_memory(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0)) {
    finish<kPops>(fpu, kUnordered, kInvalid | kStackFault);
    return;
  }
  const HostResult result = Ordered::run(fpu.control, fpu.st(0), operand);
  finish<kPops>(fpu, result.status, result.status);
}
void ftst(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0)) {
    finish<0>(fpu, kUnordered, kInvalid | kStackFault);
    return;
  }
  const HostResult result = Ordered::run(fpu.control, fpu.st(0), X87Value{});
  finish<0>(fpu, result.status, result.status);
}

// ---- To EFLAGS
// The condition bits of the same comparison become CF, PF and ZF (SDM 1 table 8-7).
template <typename Operation, unsigned kPops>
void to_flags(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  HostResult result;
  if (is_empty(fpu, 0) || is_empty(fpu, insn.rm)) {
    result.status = kUnordered | kInvalid | kStackFault;
  } else {
    result = Operation::run(fpu.control, fpu.st(0), fpu.st(insn.rm));
  }
  set_conditions(fpu, kC1, 0);
  if (!accept(fpu, result.status)) return;
  using namespace x86::rflags;
  cpu.flags.set_arithmetic(((result.status & kC3) != 0 ? ZF : 0) |
                           ((result.status & kC2) != 0 ? PF : 0) |
                           ((result.status & kC0) != 0 ? CF : 0));
  pop_times(fpu, kPops);
}

// ---- FXAM
std::uint16_t classify(const X87Value& value) {
  const unsigned exponent = value.sign_exponent & 0x7fffu;
  const bool integer_bit = (value.significand >> 63) != 0;
  if (exponent == 0) return value.significand == 0 ? kC3 : kC3 | kC2;
  if (!integer_bit) return 0;  // an unsupported format
  if (exponent != 0x7fff) return kC2;
  return value.significand << 1 == 0 ? kC2 | kC0 : kC0;
}
void fxam(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  const std::uint16_t sign = (fpu.st(0).sign_exponent & 0x8000) != 0 ? kC1 : 0;
  const std::uint16_t kind = is_empty(fpu, 0) ? kC3 | kC0 : classify(fpu.st(0));
  set_conditions(fpu, kConditions, static_cast<std::uint16_t>(kind | sign));
}

}  // namespace

void add_compares(Table& table) {
  table.set_all(0xd8, 0xd0, with_register<Ordered, 0>);
  table.set_all(0xd8, 0xd8, with_register<Ordered, 1>);
  table.set_all(0xdc, 0xd0, with_register<Ordered, 0>);  // undocumented copies
  table.set_all(0xdc, 0xd8, with_register<Ordered, 1>);
  table.set_all(0xde, 0xd0, with_register<Ordered, 1>);
  table.set(0xde, 0xd9, with_register<Ordered, 2>);
  table.set_all(0xdd, 0xe0, with_register<Unordered, 0>);
  table.set_all(0xdd, 0xe8, with_register<Unordered, 1>);
  table.set(0xda, 0xe9, with_register<Unordered, 2>);
  table.set_memory(0xd8, 2, with_memory<Float32, 0>);
  table.set_memory(0xd8, 3, with_memory<Float32, 1>);
  table.set_memory(0xdc, 2, with_memory<Float64, 0>);
  table.set_memory(0xdc, 3, with_memory<Float64, 1>);
  table.set_memory(0xda, 2, with_memory<std::int32_t, 0>);
  table.set_memory(0xda, 3, with_memory<std::int32_t, 1>);
  table.set_memory(0xde, 2, with_memory<std::int16_t, 0>);
  table.set_memory(0xde, 3, with_memory<std::int16_t, 1>);
  table.set_all(0xdb, 0xf0, to_flags<Ordered, 0>);
  table.set_all(0xdb, 0xe8, to_flags<Unordered, 0>);
  table.set_all(0xdf, 0xf0, to_flags<Ordered, 1>);
  table.set_all(0xdf, 0xe8, to_flags<Unordered, 1>);
  table.set(0xd9, 0xe4, ftst);
  table.set(0xd9, 0xe5, fxam);
}

}  // namespace ringside::soft::x87

// x87 addition, subtraction, multiplication and division in all their forms.
#include "engine/soft/instructions/x87/x87.h"
#include "engine/soft/instructions/x87/x87_host.h"

namespace ringside::soft::x87 {
namespace {

#define RINGSIDE_X87_BINARY(Name, name)                                                  \
  struct Name {                                                                          \
    static HostResult run(std::uint16_t control, const X87Value& a, const X87Value& b) { \
      RINGSIDE_X87_REGISTER("f" name " %%st(1), %%st");                                  \
    }                                                                                    \
    static HostResult run(std::uint16_t control, const X87Value& a, Float32 b) {         \
      RINGSIDE_X87_MEMORY("f" name "s");                                                 \
    }                                                                                    \
    static HostResult run(std::uint16_t control, const X87Value& a, Float64 b) {         \
      RINGSIDE_X87_MEMORY("f" name "l");                                                 \
    }                                                                                    \
    static HostResult run(std::uint16_t control, const X87Value& a, std::int16_t b) {    \
      RINGSIDE_X87_MEMORY("fi" name "s");                                                \
    }                                                                                    \
    static HostResult run(std::uint16_t control, const X87Value& a, std::int32_t b) {    \
      RINGSIDE_X87_MEMORY("fi" name "l");                                                \
    }                                                                                    \
  }
RINGSIDE_X87_BINARY(Add, "add");
RINGSIDE_X87_BINARY(Multiply, "mul");
RINGSIDE_X87_BINARY(Subtract, "sub");
RINGSIDE_X87_BINARY(SubtractReversed, "subr");
RINGSIDE_X87_BINARY(Divide, "div");
RINGSIDE_X87_BINARY(DivideReversed, "divr");

// Stores the result. False: an unmasked exception forbade it.
bool finish(Fpu& fpu, unsigned destination, const HostResult& result) {
  set_conditions(fpu, kC1, result.status);
  if (!accept(fpu, result.status)) return false;
  set_st(fpu, destination, result.value);
  return true;
}

enum class Destination { Top, Other, OtherAndPop };
template <typename Operation, Destination kDestination>
void with_register(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  const unsigned destination = kDestination == Destination::Top ? 0 : insn.rm;
  const unsigned source = kDestination == Destination::Top ? insn.rm : 0;
  bool done;
  if (is_empty(fpu, destination) || is_empty(fpu, source)) [[unlikely]] {
    done = stack_underflow(fpu);
    if (done) set_st(fpu, destination, kIndefinite);
  } else {
    done =
        finish(fpu, destination, Operation::run(fpu.control, fpu.st(destination), fpu.st(source)));
  }
  if (kDestination == Destination::OtherAndPop && done) pop(fpu);
}

template <typename Operation, typename T>
void with_memory(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  const T operand = cpu.load<T>(cpu.linear(insn, sizeof(T), AccessKind::Read));
  record_with_memory(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0)) [[unlikely]] {
    if (stack_underflow(fpu)) set_st(fpu, 0, kIndefinite);
    return;
  }
  finish(fpu, 0, Operation::run(fpu.control, fpu.st(0), operand));
}

// `to_top` and `to_other` are ModRM.reg of the forms D8 and of DC, DE, where subtraction and
// division are exchanged with their reversed forms.
template <typename Operation>
void add(Table& table, unsigned to_top, unsigned to_other) {
  table.set_all(0xd8, 0xc0 + to_top * 8, with_register<Operation, Destination::Top>);
  table.set_all(0xdc, 0xc0 + to_other * 8, with_register<Operation, Destination::Other>);
  table.set_all(0xde, 0xc0 + to_other * 8, with_register<Operation, Destination::OtherAndPop>);
  table.set_memory(0xd8, to_top, with_memory<Operation, Float32>);
  table.set_memory(0xdc, to_top, with_memory<Operation, Float64>);
  table.set_memory(0xda, to_top, with_memory<Operation, std::int32_t>);
  table.set_memory(0xde, to_top, with_memory<Operation, std::int16_t>);
}

}  // namespace

void add_arithmetic(Table& table) {
  add<Add>(table, 0, 0);
  add<Multiply>(table, 1, 1);
  add<Subtract>(table, 4, 5);
  add<SubtractReversed>(table, 5, 4);
  add<Divide>(table, 6, 7);
  add<DivideReversed>(table, 7, 6);
}

}  // namespace ringside::soft::x87

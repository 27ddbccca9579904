// XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B. LOCK needs nothing: CPUs take turns between instructions.
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

constexpr std::uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3;

template <typename T, bool kMemory>
void xchg(Cpu& cpu, const Insn& insn) {
  const T value = cpu.get<T>(insn.reg);
  T old{};
  update_rm<T, kMemory>(cpu, insn, [&](T a) {
    old = a;
    return value;
  });
  cpu.set<T>(insn.reg, old);
}

template <typename T, bool kMemory>
void xadd(Cpu& cpu, const Insn& insn) {
  const T b = cpu.get<T>(insn.reg);
  if constexpr (kMemory) {
    T old{};
    modify_operand<T>(cpu, insn, [&](T a) {
      old = a;
      const T sum = static_cast<T>(a + b);
      cpu.flags.set_add<T>(a, b, sum);
      return sum;
    });
    cpu.set<T>(insn.reg, old);
  } else {
    const T a = cpu.get<T>(insn.rm);
    const T sum = static_cast<T>(a + b);
    cpu.flags.set_add<T>(a, b, sum);
    cpu.set<T>(insn.reg, a);  // the destination is written last: it may be the same register
    cpu.set<T>(insn.rm, sum);
  }
}

// Memory is written in either case (SDM 2A CMPXCHG); of registers only the one that changes, so
// that the other keeps its upper half.
template <typename T, bool kMemory>
void cmpxchg(Cpu& cpu, const Insn& insn) {
  const T accumulator = cpu.get<T>(kRax);
  const T replacement = cpu.get<T>(insn.reg);
  T old{};
  const auto exchange = [&](T a) {
    old = a;
    cpu.flags.set_sub<T>(accumulator, a, static_cast<T>(accumulator - a));
    return a == accumulator ? replacement : a;
  };
  if constexpr (kMemory) {
    modify_operand<T>(cpu, insn, exchange);
  } else {
    const T value = exchange(cpu.get<T>(insn.rm));
    if (old == accumulator) cpu.set<T>(insn.rm, value);
  }
  if (old != accumulator) cpu.set<T>(kRax, old);
}

template <typename Half>
void cmpxchg_pair(Cpu& cpu, const Insn& insn) {
  struct Pair {
    Half low, high;
  };
  const std::uint64_t linear = cpu.linear(insn, sizeof(Pair), AccessKind::Write);
  if (sizeof(Half) == 8 && linear % sizeof(Pair) != 0) raise(x86::Vector::GeneralProtection, 0);
  const Pair expected{cpu.get<Half>(kRax), cpu.get<Half>(kRdx)};
  const Pair replacement{cpu.get<Half>(kRbx), cpu.get<Half>(kRcx)};
  Pair old{};
  bool equal = false;
  cpu.modify<Pair>(linear, [&](Pair value) {
    old = value;
    equal = value.low == expected.low && value.high == expected.high;
    return equal ? replacement : value;
  });
  cpu.flags.set_zf(equal);
  if (equal) return;
  cpu.set<Half>(kRax, old.low);
  cpu.set<Half>(kRdx, old.high);
}

bool lower_pair(const Decoded& decoded, Insn& insn) {
  lower_memory(decoded, 0, insn);
  insn.execute = decoded.insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B ? cmpxchg_pair<std::uint64_t>
                                                                    : cmpxchg_pair<std::uint32_t>;
  return true;
}

bool lower_xadd(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.reg = decoded.reg(1);
  insn.execute = by_width_and_form(
      decoded.width(0), decoded.is_memory(0),
      [](auto t, auto memory) -> Handler { return xadd<decltype(t), decltype(memory)::value>; });
  return true;
}

bool lower_cmpxchg(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.reg = decoded.reg(1);
  insn.execute = by_width_and_form(
      decoded.width(0), decoded.is_memory(0),
      [](auto t, auto memory) -> Handler { return cmpxchg<decltype(t), decltype(memory)::value>; });
  return true;
}

// Either operand may be the one in memory, as the assembler wrote it.
bool lower_xchg(const Decoded& decoded, Insn& insn) {
  const bool swapped = decoded.is_memory(1);
  const unsigned rm = swapped ? 1 : 0, reg = swapped ? 0 : 1;
  const bool memory = decoded.is_memory(rm);
  if (memory) {
    lower_memory(decoded, rm, insn);
  } else {
    insn.rm = decoded.reg(rm);
  }
  insn.reg = decoded.reg(reg);
  insn.execute = by_width_and_form(decoded.width(0), memory, [](auto t, auto form) -> Handler {
    return xchg<decltype(t), decltype(form)::value>;
  });
  return true;
}

}  // namespace

void register_exchange(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_XCHG, lower_xchg);
  table.add(ZYDIS_MNEMONIC_XADD, lower_xadd);
  table.add(ZYDIS_MNEMONIC_CMPXCHG, lower_cmpxchg);
  table.add({ZYDIS_MNEMONIC_CMPXCHG8B, ZYDIS_MNEMONIC_CMPXCHG16B}, lower_pair);
}

}  // namespace ringside::soft

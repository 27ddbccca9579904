// FMA: x * y + z, rounded once. The digits of a mnemonic say which operands are x, y and z: the
// first is the destination, the second in vvvv, the third in ModRM.rm.
#include "engine/soft/instructions/vector/fused.h"
#include "engine/soft/instructions/vector/sse_float.h"

namespace ringside::soft {
namespace {

enum class Order { O132, O213, O231 };
// What happens to the product and to the addend; the last two depend on the element, from the
// lowest on.
enum class Kind { Add, Subtract, NegatedAdd, NegatedSubtract, SubtractAdd, AddSubtract };

constexpr FusedSigns signs_of(Kind kind, std::size_t element) {
  const bool odd = element % 2 != 0;
  switch (kind) {
    case Kind::Add:
      return {false, false};
    case Kind::Subtract:
      return {false, true};
    case Kind::NegatedAdd:
      return {true, false};
    case Kind::NegatedSubtract:
      return {true, true};
    case Kind::AddSubtract:  // adds in odd elements
      return {false, !odd};
    case Kind::SubtractAdd:
      return {false, odd};
  }
  return {};
}

// The lowest elements of each lane of 128 bits: all, or one. The others stay as they are.
template <typename T, unsigned kElements, Order kOrder, Kind kKind>
struct Fused {
  template <std::size_t kCount>
  static Wide<kCount> compute(Cpu& cpu, const Wide<kCount>& first, const Wide<kCount>& second,
                              const Wide<kCount>& third) {
    const std::uint32_t guest = cpu.fpu.mxcsr;
    std::uint32_t raised = 0;
    Wide<kCount> value;
    for (std::size_t lane = 0; lane < kCount; ++lane) {
      auto a = lanes<T>(first[lane]);
      const auto b = lanes<T>(second[lane]), c = lanes<T>(third[lane]);
      for (unsigned i = 0; i < kElements; ++i) {
        const FusedSigns signs = signs_of(kKind, i);
        switch (kOrder) {
          case Order::O132:
            a[i] = fused_multiply_add<T>(a[i], c[i], b[i], signs, guest, raised);
            break;
          case Order::O213:
            a[i] = fused_multiply_add<T>(b[i], a[i], c[i], signs, guest, raised);
            break;
          case Order::O231:
            a[i] = fused_multiply_add<T>(b[i], c[i], a[i], signs, guest, raised);
            break;
        }
      }
      value[lane] = vector_of<Xmm>(a);
    }
    if (raised != 0) commit_simd_flags(cpu, raised);
    return value;
  }
};
template <typename Operation, std::size_t kCount>
void fuse(Cpu& cpu, const Insn& insn, const Wide<kCount>& third) {
  const Wide<kCount> first = get_wide<kCount>(cpu, insn.reg),
                     second = get_wide<kCount>(cpu, insn.extra);
  set_wide(cpu, insn.reg, Operation::compute(cpu, first, second, third));
}
template <typename Operation, std::size_t kCount, bool kMemory>
void packed(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  fuse<Operation, kCount>(cpu, insn, second_source<kCount, kMemory>(cpu, insn));
}
template <typename Operation, typename T>
void scalar_load(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  fuse<Operation, 1>(cpu, insn, {widen(load_unaligned<T>(cpu, insn))});
}

template <typename T, Order kOrder, Kind kKind>
constexpr std::array<VexForm, 2> packed_form() {
  using Operation = Fused<T, kLanes<T, Xmm>, kOrder, kKind>;
  std::array<VexForm, 2> form;
  form[k128].with_register = packed<Operation, 1, false>;
  form[k128].load = packed<Operation, 1, true>;
  form[k256].with_register = packed<Operation, 2, false>;
  form[k256].load = packed<Operation, 2, true>;
  return form;
}
template <typename T, Order kOrder, Kind kKind>
constexpr std::array<VexForm, 2> scalar_form() {
  using Operation = Fused<T, 1, kOrder, kKind>;
  std::array<VexForm, 2> form;
  form[k128].with_register = packed<Operation, 1, false>;
  form[k128].load = scalar_load<Operation, T>;
  return form;
}

using Single = std::uint32_t;
using Double = std::uint64_t;

// The mnemonics of one kind, in the order 132, 213, 231.
struct Mnemonics {
  ZydisMnemonic ps[3], pd[3];
};
struct ScalarMnemonics {
  ZydisMnemonic ss[3], sd[3];
};
template <Kind kKind>
void add_packed(LowerTable& table, const Mnemonics& names) {
  add_vex_form(table, names.ps[0], packed_form<Single, Order::O132, kKind>());
  add_vex_form(table, names.ps[1], packed_form<Single, Order::O213, kKind>());
  add_vex_form(table, names.ps[2], packed_form<Single, Order::O231, kKind>());
  add_vex_form(table, names.pd[0], packed_form<Double, Order::O132, kKind>());
  add_vex_form(table, names.pd[1], packed_form<Double, Order::O213, kKind>());
  add_vex_form(table, names.pd[2], packed_form<Double, Order::O231, kKind>());
}
template <Kind kKind>
void add_scalar(LowerTable& table, const ScalarMnemonics& names) {
  add_vex_form(table, names.ss[0], scalar_form<Single, Order::O132, kKind>());
  add_vex_form(table, names.ss[1], scalar_form<Single, Order::O213, kKind>());
  add_vex_form(table, names.ss[2], scalar_form<Single, Order::O231, kKind>());
  add_vex_form(table, names.sd[0], scalar_form<Double, Order::O132, kKind>());
  add_vex_form(table, names.sd[1], scalar_form<Double, Order::O213, kKind>());
  add_vex_form(table, names.sd[2], scalar_form<Double, Order::O231, kKind>());
}

}  // namespace

#define RINGSIDE_ORDERS(name, type)                                     \
  {                                                                     \
    ZYDIS_MNEMONIC_##name##132##type, ZYDIS_MNEMONIC_##name##213##type, \
        ZYDIS_MNEMONIC_##name##231##type                                \
  }
#define RINGSIDE_PACKED(name) \
  { RINGSIDE_ORDERS(name, PS), RINGSIDE_ORDERS(name, PD) }
#define RINGSIDE_SCALAR(name) \
  { RINGSIDE_ORDERS(name, SS), RINGSIDE_ORDERS(name, SD) }

void register_fma(LowerTable& table) {
  add_packed<Kind::Add>(table, RINGSIDE_PACKED(VFMADD));
  add_packed<Kind::Subtract>(table, RINGSIDE_PACKED(VFMSUB));
  add_packed<Kind::NegatedAdd>(table, RINGSIDE_PACKED(VFNMADD));
  add_packed<Kind::NegatedSubtract>(table, RINGSIDE_PACKED(VFNMSUB));
  add_packed<Kind::AddSubtract>(table, RINGSIDE_PACKED(VFMADDSUB));
  add_packed<Kind::SubtractAdd>(table, RINGSIDE_PACKED(VFMSUBADD));
  add_scalar<Kind::Add>(table, RINGSIDE_SCALAR(VFMADD));
  add_scalar<Kind::Subtract>(table, RINGSIDE_SCALAR(VFMSUB));
  add_scalar<Kind::NegatedAdd>(table, RINGSIDE_SCALAR(VFNMADD));
  add_scalar<Kind::NegatedSubtract>(table, RINGSIDE_SCALAR(VFNMSUB));
}

#undef RINGSIDE_SCALAR
#undef RINGSIDE_PACKED
#undef RINGSIDE_ORDERS

}  // namespace ringside::soft

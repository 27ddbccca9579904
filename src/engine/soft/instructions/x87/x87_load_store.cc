// x87 loads, stores, register moves, constants and sign changes.
#include <bit>

#include "engine/soft/instructions/x87/x87.h"
#include "engine/soft/instructions/x87/x87_host.h"

namespace ringside::soft::x87 {
namespace {

// ---- Loads: always exact
struct Loaded {
  X87Value value;
  std::uint16_t raised = 0;
};
constexpr std::uint64_t kIntegerBit = std::uint64_t{1} << 63, kQuietBit = std::uint64_t{1} << 62;

// A format with `fraction_bits` of fraction and exponents up to `max_exponent`.
Loaded extend(std::uint64_t fraction, unsigned exponent, bool sign, unsigned fraction_bits,
              unsigned max_exponent) {
  constexpr unsigned kBias = 0x3fff;
  const unsigned bias = max_exponent / 2;
  const std::uint64_t significand = fraction << (63 - fraction_bits);
  Loaded loaded;
  unsigned wide = 0;
  if (exponent == max_exponent) {
    wide = 0x7fff;
    loaded.value.significand = significand | kIntegerBit;
    if (fraction != 0 && (significand & kQuietBit) == 0) {
      loaded.value.significand |= kQuietBit;
      loaded.raised = kInvalid;
    }
  } else if (exponent != 0) {
    wide = exponent - bias + kBias;
    loaded.value.significand = significand | kIntegerBit;
  } else if (fraction != 0) {
    const auto shift = static_cast<unsigned>(std::countl_zero(significand));
    wide = 1 - bias + kBias - shift;
    loaded.value.significand = significand << shift;
    loaded.raised = kDenormal;
  }
  loaded.value.sign_exponent = static_cast<std::uint16_t>(wide | (sign ? 0x8000u : 0u));
  return loaded;
}
Loaded extended(Float32 x) {
  return extend(x.bits & 0x7fffff, x.bits >> 23 & 0xff, x.bits >> 31 != 0, 23, 0xff);
}
Loaded extended(Float64 x) {
  return extend(x.bits & 0xfffffffffffff, x.bits >> 52 & 0x7ff, x.bits >> 63 != 0, 52, 0x7ff);
}
Loaded from_integer(std::int64_t x) {
  Loaded loaded;
  if (x == 0) return loaded;
  const std::uint64_t magnitude =
      x < 0 ? 0 - static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
  const auto shift = static_cast<unsigned>(std::countl_zero(magnitude));
  loaded.value.significand = magnitude << shift;
  loaded.value.sign_exponent =
      static_cast<std::uint16_t>((0x3fff + 63 - shift) | (x < 0 ? 0x8000u : 0u));
  return loaded;
}
Loaded extended(std::int16_t x) { return from_integer(x); }
Loaded extended(std::int32_t x) { return from_integer(x); }
Loaded extended(std::int64_t x) { return from_integer(x); }

void push_loaded(Fpu& fpu, const Loaded& loaded) {
  if (!is_empty(fpu, 7)) {
    if (stack_overflow(fpu)) push(fpu, kIndefinite);
    return;
  }
  set_conditions(fpu, kC1, 0);
  if (accept(fpu, loaded.raised)) push(fpu, loaded.value);
}
template <typename T>
void load(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  const T operand = cpu.load<T>(cpu.linear(insn, sizeof(T), AccessKind::Read));
  record_with_memory(cpu, insn);
  push_loaded(cpu.fpu, extended(operand));
}

// Ten bytes in memory.
struct TenBytes {
  std::array<std::uint8_t, 10> bytes;
};
TenBytes ten_bytes(const X87Value& value) {
  TenBytes result;
  std::memcpy(result.bytes.data(), &value.significand, 8);
  std::memcpy(result.bytes.data() + 8, &value.sign_exponent, 2);
  return result;
}
X87Value value_of(const TenBytes& ten) {
  X87Value value;
  std::memcpy(&value.significand, ten.bytes.data(), 8);
  std::memcpy(&value.sign_exponent, ten.bytes.data() + 8, 2);
  return value;
}
void load_extended(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  const auto operand = cpu.load<TenBytes>(cpu.linear(insn, 10, AccessKind::Read));
  record_with_memory(cpu, insn);
  push_loaded(cpu.fpu, {value_of(operand)});
}
void load_decimal(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  const auto operand = cpu.load<TenBytes>(cpu.linear(insn, 10, AccessKind::Read));
  record_with_memory(cpu, insn);
  // On the host, for the sake of digits that are none: their result is undefined, not erratic.
  X87Value value;
  asm volatile("fbld %[b]\n\tfstpt %[r]"
               : [r] "=m"(value)
               : [b] "m"(operand)
               : RINGSIDE_X87_CLOBBERS);
  push_loaded(cpu.fpu, {value});
}
void load_register(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, insn.rm)) {
    if (stack_underflow(fpu)) push(fpu, kIndefinite);
    return;
  }
  push_loaded(fpu, {fpu.st(insn.rm)});
}

// ---- Constants, rounded as the control word says
#define RINGSIDE_X87_CONSTANT(Name, text)                                              \
  void Name(Cpu& cpu, const Insn& insn) {                                              \
    check_waiting(cpu);                                                                \
    record(cpu, insn);                                                                 \
    X87Value value;                                                                    \
    const std::uint16_t host = host_control();                                         \
    asm volatile("fnclex\n\tfldcw %[guest]\n\t" text "\n\tfstpt %[r]\n\tfldcw %[host]" \
                 : [r] "=m"(value)                                                     \
                 : [guest] "m"(cpu.fpu.control), [host] "m"(host)                      \
                 : RINGSIDE_X87_CLOBBERS);                                             \
    push_loaded(cpu.fpu, {value});                                                     \
  }
RINGSIDE_X87_CONSTANT(fld1, "fld1")
RINGSIDE_X87_CONSTANT(fldl2t, "fldl2t")
RINGSIDE_X87_CONSTANT(fldl2e, "fldl2e")
RINGSIDE_X87_CONSTANT(fldpi, "fldpi")
RINGSIDE_X87_CONSTANT(fldlg2, "fldlg2")
RINGSIDE_X87_CONSTANT(fldln2, "fldln2")
RINGSIDE_X87_CONSTANT(fldz, "fldz")

// ---- Stores with rounding
// The host pops or not, as exceptions are masked or not: FNINIT empties its stack in either case.
#define RINGSIDE_X87_STORE(Name, text, T, indefinite)                               \
  struct Name {                                                                     \
    using Type = T;                                                                 \
    static constexpr T kIndefiniteValue = indefinite;                               \
    static std::uint16_t run(std::uint16_t control, const X87Value& a, T& result) { \
      std::uint16_t status;                                                         \
      const std::uint16_t host = host_control();                                    \
      asm volatile("fnclex\n\tfldcw %[guest]\n\tfldt %[a]\n\t" text                 \
                   " %[r]\n\tfnstsw %[status]\n\tfninit\n\tfldcw %[host]"           \
                   : [r] "+m"(result), [status] "=m"(status)                        \
                   : [a] "m"(a), [guest] "m"(control), [host] "m"(host)             \
                   : RINGSIDE_X87_CLOBBERS);                                        \
      return status;                                                                \
    }                                                                               \
  }
RINGSIDE_X87_STORE(Store32, "fsts", std::uint32_t, 0xffc00000);
RINGSIDE_X87_STORE(Store64, "fstl", std::uint64_t, 0xfff8000000000000);
RINGSIDE_X87_STORE(StoreInteger16, "fistps", std::uint16_t, 0x8000);
RINGSIDE_X87_STORE(StoreInteger32, "fistpl", std::uint32_t, 0x80000000);
RINGSIDE_X87_STORE(StoreInteger64, "fistpll", std::uint64_t, 0x8000000000000000);
RINGSIDE_X87_STORE(Truncate16, "fisttps", std::uint16_t, 0x8000);
RINGSIDE_X87_STORE(Truncate32, "fisttpl", std::uint32_t, 0x80000000);
RINGSIDE_X87_STORE(Truncate64, "fisttpll", std::uint64_t, 0x8000000000000000);
constexpr TenBytes kDecimalIndefinite{{0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff}};
RINGSIDE_X87_STORE(StoreDecimal, "fbstp", TenBytes, kDecimalIndefinite);

enum class Pop { No, Yes };
// Unmasked, these forbid the store (SDM 1 8.5.4, 8.5.5): a memory destination gets no scaled
// result.
constexpr std::uint16_t kForbidsStore = kInvalid | kOverflow | kUnderflow;

template <typename Operation, Pop kPop>
void store(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  Fpu& fpu = cpu.fpu;
  using T = typename Operation::Type;
  const std::uint64_t linear = cpu.linear(insn, sizeof(T), AccessKind::Write);
  T value = Operation::kIndefiniteValue;
  std::uint16_t status = kInvalid | kStackFault;
  if (!is_empty(fpu, 0)) status = Operation::run(fpu.control, fpu.st(0), value);
  const bool stored = (status & ~fpu.control & kForbidsStore) == 0;
  if (stored) {
    cpu.store<T>(linear, value);
  } else {
    cpu.check_write(linear, sizeof(T));
  }
  record_with_memory(cpu, insn);
  set_conditions(fpu, kC1, status);
  accept(fpu, status);
  if (stored && kPop == Pop::Yes) pop(fpu);
}
void store_extended(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  Fpu& fpu = cpu.fpu;
  const std::uint64_t linear = cpu.linear(insn, 10, AccessKind::Write);
  const bool empty = is_empty(fpu, 0);
  const bool stored = !empty || (fpu.control & kInvalid) != 0;
  if (stored) {
    cpu.store<TenBytes>(linear, ten_bytes(empty ? kIndefinite : fpu.st(0)));
  } else {
    cpu.check_write(linear, 10);
  }
  record_with_memory(cpu, insn);
  set_conditions(fpu, kC1, 0);
  if (empty) accept(fpu, kInvalid | kStackFault);
  if (stored) pop(fpu);
}

// ---- Between registers
template <Pop kPop>
void store_register(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  X87Value value = fpu.st(0);
  if (is_empty(fpu, 0)) {
    if (!stack_underflow(fpu)) return;
    value = kIndefinite;
  } else {
    set_conditions(fpu, kC1, 0);
  }
  set_st(fpu, insn.rm, value);
  if (kPop == Pop::Yes) pop(fpu);
}
void fxch(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  X87Value top = fpu.st(0);
  X87Value other = fpu.st(insn.rm);
  set_conditions(fpu, kC1, 0);
  const bool top_empty = is_empty(fpu, 0);
  const bool other_empty = is_empty(fpu, insn.rm);
  if (top_empty || other_empty) {
    if (!stack_underflow(fpu)) return;
    if (top_empty) top = kIndefinite;
    if (other_empty) other = kIndefinite;
  }
  set_st(fpu, 0, other);
  set_st(fpu, insn.rm, top);
}
// The condition as Jcc encodes it.
template <unsigned kCondition>
void fcmov(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0) || is_empty(fpu, insn.rm)) {
    if (stack_underflow(fpu)) set_st(fpu, 0, kIndefinite);
    return;
  }
  if (cpu.flags.condition(kCondition)) set_st(fpu, 0, fpu.st(insn.rm));
}

// ---- Signs
template <std::uint16_t kAnd, std::uint16_t kXor>
void change_sign(Cpu& cpu, const Insn& insn) {
  check_waiting(cpu);
  record(cpu, insn);
  Fpu& fpu = cpu.fpu;
  if (is_empty(fpu, 0)) {
    if (stack_underflow(fpu)) set_st(fpu, 0, kIndefinite);
    return;
  }
  set_conditions(fpu, kC1, 0);
  std::uint16_t& exponent = fpu.st(0).sign_exponent;
  exponent = (exponent & kAnd) ^ kXor;
}

}  // namespace

void add_loads_and_stores(Table& table) {
  table.set_memory(0xd9, 0, load<Float32>);
  table.set_memory(0xdd, 0, load<Float64>);
  table.set_memory(0xdf, 0, load<std::int16_t>);
  table.set_memory(0xdb, 0, load<std::int32_t>);
  table.set_memory(0xdf, 5, load<std::int64_t>);
  table.set_memory(0xdb, 5, load_extended);
  table.set_memory(0xdf, 4, load_decimal);
  table.set_all(0xd9, 0xc0, load_register);

  table.set(0xd9, 0xe8, fld1);
  table.set(0xd9, 0xe9, fldl2t);
  table.set(0xd9, 0xea, fldl2e);
  table.set(0xd9, 0xeb, fldpi);
  table.set(0xd9, 0xec, fldlg2);
  table.set(0xd9, 0xed, fldln2);
  table.set(0xd9, 0xee, fldz);

  table.set_memory(0xd9, 2, store<Store32, Pop::No>);
  table.set_memory(0xd9, 3, store<Store32, Pop::Yes>);
  table.set_memory(0xdd, 2, store<Store64, Pop::No>);
  table.set_memory(0xdd, 3, store<Store64, Pop::Yes>);
  table.set_memory(0xdf, 2, store<StoreInteger16, Pop::No>);
  table.set_memory(0xdf, 3, store<StoreInteger16, Pop::Yes>);
  table.set_memory(0xdb, 2, store<StoreInteger32, Pop::No>);
  table.set_memory(0xdb, 3, store<StoreInteger32, Pop::Yes>);
  table.set_memory(0xdf, 7, store<StoreInteger64, Pop::Yes>);
  table.set_memory(0xdf, 1, store<Truncate16, Pop::Yes>);
  table.set_memory(0xdb, 1, store<Truncate32, Pop::Yes>);
  table.set_memory(0xdd, 1, store<Truncate64, Pop::Yes>);
  table.set_memory(0xdf, 6, store<StoreDecimal, Pop::Yes>);
  table.set_memory(0xdb, 7, store_extended);

  table.set_all(0xdd, 0xd0, store_register<Pop::No>);
  table.set_all(0xdd, 0xd8, store_register<Pop::Yes>);
  table.set_all(0xd9, 0xd8, store_register<Pop::Yes>);  // undocumented copies
  table.set_all(0xdf, 0xd0, store_register<Pop::Yes>);
  table.set_all(0xdf, 0xd8, store_register<Pop::Yes>);
  table.set_all(0xd9, 0xc8, fxch);
  table.set_all(0xdd, 0xc8, fxch);  // undocumented copies
  table.set_all(0xdf, 0xc8, fxch);

  table.set_all(0xda, 0xc0, fcmov<2>);   // B
  table.set_all(0xda, 0xc8, fcmov<4>);   // E
  table.set_all(0xda, 0xd0, fcmov<6>);   // BE
  table.set_all(0xda, 0xd8, fcmov<10>);  // U
  table.set_all(0xdb, 0xc0, fcmov<3>);
  table.set_all(0xdb, 0xc8, fcmov<5>);
  table.set_all(0xdb, 0xd0, fcmov<7>);
  table.set_all(0xdb, 0xd8, fcmov<11>);

  table.set(0xd9, 0xe0, change_sign<0xffff, 0x8000>);
  table.set(0xd9, 0xe1, change_sign<0x7fff, 0>);
}

}  // namespace ringside::soft::x87

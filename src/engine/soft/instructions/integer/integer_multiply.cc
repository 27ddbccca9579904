// MUL IMUL DIV IDIV. Division leaves the flags alone (undefined in the manual) and raises #DE
// before it changes anything.
#include "base/int128.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

template <typename T>
struct Twice;
template <>
struct Twice<std::uint8_t> {
  using Unsigned = std::uint16_t;
  using Signed = std::int16_t;
};
template <>
struct Twice<std::uint16_t> {
  using Unsigned = std::uint32_t;
  using Signed = std::int32_t;
};
template <>
struct Twice<std::uint32_t> {
  using Unsigned = std::uint64_t;
  using Signed = std::int64_t;
};
template <>
struct Twice<std::uint64_t> {
  using Unsigned = Unsigned128;
  using Signed = Signed128;
};
template <typename T>
using Wide = typename Twice<T>::Unsigned;
template <typename T>
using SignedWide = typename Twice<T>::Signed;

constexpr std::uint8_t kAl = 0, kAh = 1, kRax = 0, kRdx = 2;

// rDX:rAX, or AX for bytes.
template <typename T>
Wide<T> get_wide(const Cpu& cpu) {
  if constexpr (sizeof(T) == 1) {
    return cpu.get<std::uint16_t>(kRax);
  } else {
    return static_cast<Wide<T>>(static_cast<Wide<T>>(cpu.get<T>(kRdx)) << (8 * sizeof(T)) |
                                cpu.get<T>(kRax));
  }
}
template <typename T>
void set_wide(Cpu& cpu, T low, T high) {
  if constexpr (sizeof(T) == 1) {
    cpu.set<T>(kAl, low);
    cpu.set<T>(kAh, high);
  } else {
    cpu.set<T>(kRax, low);
    cpu.set<T>(kRdx, high);
  }
}

// CF and OF: the upper half says something that the lower half does not.
template <typename T, bool kMemory>
void mul(Cpu& cpu, const Insn& insn) {
  const T b = read_rm<T, kMemory>(cpu, insn);
  const auto product = static_cast<Wide<T>>(static_cast<Wide<T>>(cpu.get<T>(kRax)) * b);
  const T low = static_cast<T>(product), high = static_cast<T>(product >> (8 * sizeof(T)));
  cpu.flags.set_result_with<T>(low, high != 0, high != 0);
  set_wide<T>(cpu, low, high);
}

template <typename T>
SignedWide<T> signed_product(Cpu& cpu, T a, T b) {
  using Signed = std::make_signed_t<T>;
  const auto product = static_cast<SignedWide<T>>(
      static_cast<SignedWide<T>>(static_cast<Signed>(a)) * static_cast<Signed>(b));
  const bool lost = product != static_cast<Signed>(product);
  cpu.flags.set_result_with<T>(static_cast<T>(product), lost, lost);
  return product;
}
template <typename T, bool kMemory>
void imul1(Cpu& cpu, const Insn& insn) {
  const T b = read_rm<T, kMemory>(cpu, insn);
  const SignedWide<T> product = signed_product<T>(cpu, cpu.get<T>(kRax), b);
  set_wide<T>(cpu, static_cast<T>(product), static_cast<T>(product >> (8 * sizeof(T))));
}
// Where only the lower half is wanted, the host's own overflow flag says the rest.
template <typename T>
T signed_product_low(Cpu& cpu, T a, T b) {
  using Signed = std::make_signed_t<T>;
  Signed product;
  const bool lost =
      __builtin_mul_overflow(static_cast<Signed>(a), static_cast<Signed>(b), &product);
  cpu.flags.set_result_with<T>(static_cast<T>(product), lost, lost);
  return static_cast<T>(product);
}
template <typename T, bool kMemory>
void imul2(Cpu& cpu, const Insn& insn) {
  const T b = read_rm<T, kMemory>(cpu, insn);
  cpu.set<T>(insn.reg, signed_product_low<T>(cpu, cpu.get<T>(insn.reg), b));
}
template <typename T, bool kMemory>
void imul3(Cpu& cpu, const Insn& insn) {
  const T a = read_rm<T, kMemory>(cpu, insn);
  cpu.set<T>(insn.reg, signed_product_low<T>(cpu, a, static_cast<T>(insn.immediate)));
}

template <typename T, bool kMemory>
void div(Cpu& cpu, const Insn& insn) {
  const T divisor = read_rm<T, kMemory>(cpu, insn);
  const Wide<T> dividend = get_wide<T>(cpu);
  // The quotient fits exactly when the upper half is below the divisor; zero never is above it.
  if (static_cast<T>(dividend >> (8 * sizeof(T))) >= divisor) raise(x86::Vector::DivideError);
  if constexpr (sizeof(T) == 8) {  // a division of 128 bits is a slow call: seldom needed
    if (dividend >> 64 == 0) {
      const auto low = static_cast<T>(dividend);
      set_wide<T>(cpu, low / divisor, low % divisor);
      return;
    }
  }
  set_wide<T>(cpu, static_cast<T>(dividend / divisor), static_cast<T>(dividend % divisor));
}

template <typename T, bool kMemory>
void idiv(Cpu& cpu, const Insn& insn) {
  using Signed = std::make_signed_t<T>;
  const auto divisor = static_cast<Signed>(read_rm<T, kMemory>(cpu, insn));
  const auto dividend = static_cast<SignedWide<T>>(get_wide<T>(cpu));
  if (divisor == 0) raise(x86::Vector::DivideError);
  SignedWide<T> quotient, remainder;
  if (divisor == -1) {  // the host would trap on the smallest dividend
    quotient = static_cast<SignedWide<T>>(Wide<T>{0} - static_cast<Wide<T>>(dividend));
    remainder = 0;
    // The smallest dividend is its own negation and as a quotient out of range too.
  } else if (sizeof(T) == 8 && dividend == static_cast<std::int64_t>(dividend)) {
    quotient = static_cast<std::int64_t>(dividend) / divisor;
    remainder = static_cast<std::int64_t>(dividend) % divisor;
  } else {
    quotient = static_cast<SignedWide<T>>(dividend / divisor);
    remainder = static_cast<SignedWide<T>>(dividend % divisor);
  }
  if (quotient != static_cast<Signed>(quotient)) raise(x86::Vector::DivideError);
  set_wide<T>(cpu, static_cast<T>(quotient), static_cast<T>(remainder));
}

template <typename Family>
bool lower_one(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute =
      by_width_and_form(decoded.width(0), decoded.is_memory(0), [](auto t, auto memory) -> Handler {
        return Family::template handler<decltype(t), decltype(memory)::value>();
      });
  return true;
}
struct Mul {
  template <typename T, bool kMemory>
  static Handler handler() {
    return mul<T, kMemory>;
  }
};
struct Imul {
  template <typename T, bool kMemory>
  static Handler handler() {
    return imul1<T, kMemory>;
  }
};
struct Div {
  template <typename T, bool kMemory>
  static Handler handler() {
    return div<T, kMemory>;
  }
};
struct Idiv {
  template <typename T, bool kMemory>
  static Handler handler() {
    return idiv<T, kMemory>;
  }
};

bool lower_imul(const Decoded& decoded, Insn& insn) {
  const unsigned visible = decoded.insn.operand_count_visible;
  const bool one = visible < 2 || decoded.op(1).visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
  if (one) return lower_one<Imul>(decoded, insn);
  lower_load_form(decoded, insn);
  const bool three = visible == 3 && decoded.is_immediate(2);
  insn.execute = by_word_width_and_form(
      decoded.width(0), decoded.is_memory(1), [&](auto t, auto memory) -> Handler {
        constexpr bool kMemory = decltype(memory)::value;
        return three ? imul3<decltype(t), kMemory> : imul2<decltype(t), kMemory>;
      });
  return true;
}

}  // namespace

void register_multiply(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_MUL, lower_one<Mul>);
  table.add(ZYDIS_MNEMONIC_IMUL, lower_imul);
  table.add(ZYDIS_MNEMONIC_DIV, lower_one<Div>);
  table.add(ZYDIS_MNEMONIC_IDIV, lower_one<Idiv>);
}

}  // namespace ringside::soft

// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: string compares of SSE4.2 (SDM 2B 4.1).
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

enum class Length { Explicit, Implicit };
enum class Output { Index, Mask };

// The immediate byte (SDM 2B 4.1.2 to 4.1.5).
struct Control {
  std::uint8_t bits;
  bool words() const { return (bits & 1) != 0; }
  bool is_signed() const { return (bits & 2) != 0; }
  enum class Aggregation { EqualAny, Ranges, EqualEach, EqualOrdered };
  Aggregation aggregation() const { return static_cast<Aggregation>(bits >> 2 & 3); }
  bool negative() const { return (bits & 0x10) != 0; }
  bool masked() const { return (bits & 0x20) != 0; }
  bool high_output() const { return (bits & 0x40) != 0; }  // the last index, or a mask of elements
  unsigned elements() const { return words() ? 8 : 16; }
  std::uint32_t all() const { return (1u << elements()) - 1; }
};

// One operand as numbers, with the count of valid elements.
struct String {
  std::array<int, 16> element{};
  unsigned length = 0;
};

String read(const Xmm& value, Control control) {
  String string;
  for (unsigned i = 0; i < control.elements(); ++i) {
    if (control.words()) {
      const std::uint16_t word = lanes<std::uint16_t>(value)[i];
      string.element[i] = control.is_signed() ? static_cast<std::int16_t>(word) : word;
    } else {
      const std::uint8_t byte = value.bytes[i];
      string.element[i] = control.is_signed() ? static_cast<std::int8_t>(byte) : byte;
    }
  }
  return string;
}
unsigned length_to_null(const String& string, unsigned elements) {
  unsigned length = 0;
  while (length < elements && string.element[length] != 0)
    ++length;
  return length;
}
// The magnitude of EAX or EDX (RAX, RDX with REX.W), saturated.
unsigned explicit_length(const Cpu& cpu, const Insn& insn, x86::Gpr reg, unsigned elements) {
  const std::uint64_t whole = cpu.gpr[static_cast<std::size_t>(reg)];
  std::uint64_t value = whole;
  if (insn.operand_width != Width::Bits64) {
    value = static_cast<std::uint64_t>(
        std::int64_t{static_cast<std::int32_t>(static_cast<std::uint32_t>(whole))});
  }
  const std::uint64_t magnitude = (value >> 63) != 0 ? 0 - value : value;
  return magnitude > elements ? elements : static_cast<unsigned>(magnitude);
}

// IntRes1: what an element beyond its string's end compares as is table 4-7's.
std::uint32_t compare(const String& a, const String& b, Control control) {
  const unsigned n = control.elements();
  std::uint32_t result = 0;
  for (unsigned j = 0; j < n; ++j) {  // position in b
    bool match = false;
    switch (control.aggregation()) {
      case Control::Aggregation::EqualAny:
        for (unsigned i = 0; i < a.length; ++i)
          match = match || (j < b.length && a.element[i] == b.element[j]);
        break;
      case Control::Aggregation::Ranges:
        for (unsigned i = 0; i + 1 < a.length; i += 2)
          match = match || (j < b.length && a.element[i] <= b.element[j] &&
                            b.element[j] <= a.element[i + 1]);
        break;
      case Control::Aggregation::EqualEach:
        match = j < a.length && j < b.length ? a.element[j] == b.element[j]
                                             : j >= a.length && j >= b.length;
        break;
      case Control::Aggregation::EqualOrdered:
        match = true;
        for (unsigned i = 0; i < a.length && j + i < n; ++i)
          match = match && j + i < b.length && a.element[i] == b.element[j + i];
        break;
    }
    if (match) result |= 1u << j;
  }
  return result;
}

template <Length kLength, Output kOutput, Encoding kEncoding>
void compare_strings(Cpu& cpu, const Insn& insn, const Xmm& second) {
  const Control control{static_cast<std::uint8_t>(insn.immediate)};
  const unsigned n = control.elements();
  String a = read(cpu.fpu.xmm[insn.reg], control);
  String b = read(second, control);
  if constexpr (kLength == Length::Explicit) {
    a.length = explicit_length(cpu, insn, x86::Gpr::Rax, n);
    b.length = explicit_length(cpu, insn, x86::Gpr::Rdx, n);
  } else {
    a.length = length_to_null(a, n);
    b.length = length_to_null(b, n);
  }
  std::uint32_t result = compare(a, b, control);
  if (control.negative()) result ^= control.masked() ? (1u << b.length) - 1 : control.all();

  if constexpr (kOutput == Output::Index) {
    unsigned index = n;
    if (result != 0) {
      index = control.high_output() ? static_cast<unsigned>(std::bit_width(result)) - 1
                                    : static_cast<unsigned>(std::countr_zero(result));
    }
    cpu.set<std::uint32_t>(static_cast<std::uint8_t>(x86::Gpr::Rcx), index);
  } else if (!control.high_output()) {
    set_xmm<kEncoding>(cpu, 0, widen(result));
  } else {
    Xmm mask;
    const unsigned size = 16 / n;
    for (unsigned i = 0; i < 16; ++i)
      mask.bytes[i] = all_ones_if<std::uint8_t>((result >> (i / size) & 1) != 0);
    set_xmm<kEncoding>(cpu, 0, mask);
  }
  using namespace x86::rflags;
  cpu.flags.set_arithmetic((result != 0 ? CF : 0) | (b.length < n ? ZF : 0) |
                           (a.length < n ? SF : 0) | ((result & 1) != 0 ? OF : 0));
}

template <Length kLength, Output kOutput, Encoding kEncoding>
void with_register(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  compare_strings<kLength, kOutput, kEncoding>(cpu, insn, cpu.fpu.xmm[insn.rm]);
}
template <Length kLength, Output kOutput, Encoding kEncoding>
void with_memory(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  compare_strings<kLength, kOutput, kEncoding>(cpu, insn, load_unaligned<Xmm>(cpu, insn));
}
template <Length kLength, Output kOutput>
constexpr VectorForm string_form() {
  VectorForm form;
  form.xmm_register = with_register<kLength, kOutput, Encoding::Legacy>;
  form.xmm_load = with_memory<kLength, kOutput, Encoding::Legacy>;
  form.vex[k128].with_register = with_register<kLength, kOutput, Encoding::Vex>;
  form.vex[k128].load = with_memory<kLength, kOutput, Encoding::Vex>;
  return form;
}

}  // namespace

void register_sse42_strings(LowerTable& table) {
  add_forms(table, {
                       {ZYDIS_MNEMONIC_PCMPESTRI, string_form<Length::Explicit, Output::Index>()},
                       {ZYDIS_MNEMONIC_PCMPESTRM, string_form<Length::Explicit, Output::Mask>()},
                       {ZYDIS_MNEMONIC_PCMPISTRI, string_form<Length::Implicit, Output::Index>()},
                       {ZYDIS_MNEMONIC_PCMPISTRM, string_form<Length::Implicit, Output::Mask>()},
                   });
}

}  // namespace ringside::soft

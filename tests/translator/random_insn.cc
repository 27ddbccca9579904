#include "translator/random_insn.h"

#include <array>
#include <span>
#include <vector>

#include "engine/soft/instructions/instructions.h"

namespace ringside::testing {
namespace {

using differential::decode_encoding;
using differential::Mode;

// First and last opcodes of ranges.
struct Range {
  std::uint8_t first, last;
};
constexpr Range kPlain[] = {{0x00, 0x3f}, {0x00, 0x3f}, {0x40, 0x4f}, {0x50, 0x5f}, {0x60, 0x61},
                            {0x63, 0x63}, {0x68, 0x6b}, {0x80, 0x8b}, {0x80, 0x8b}, {0x8d, 0x8d},
                            {0x8f, 0x8f}, {0x90, 0x99}, {0x9c, 0x9f}, {0xa0, 0xaf}, {0xb0, 0xbf},
                            {0xc0, 0xc1}, {0xc6, 0xc9}, {0xd0, 0xd3}, {0xd0, 0xd3}, {0xd7, 0xdf},
                            {0xf5, 0xff}, {0xf6, 0xf7}};
constexpr Range kTwoBytes[] = {{0x10, 0x17}, {0x1f, 0x1f}, {0x28, 0x2f}, {0x40, 0x4f},
                               {0x50, 0x7f}, {0x90, 0x9f}, {0xa2, 0xaf}, {0xb0, 0xb1},
                               {0xb3, 0xb3}, {0xb6, 0xbf}, {0xc0, 0xcf}, {0xd0, 0xff}};
// XABORT and XBEGIN, VEX and EVEX, instructions of AMD's: nothing that is announced.
constexpr Range kRefused[] = {{0xc4, 0xc7}, {0x62, 0x62}, {0x0d, 0x0f}};
constexpr Range kThreeBytes38[] = {{0x00, 0x0b}, {0x10, 0x25}, {0x28, 0x2b},
                                   {0x30, 0x41}, {0xf0, 0xf1}, {0xf6, 0xf6}};
constexpr Range kThreeBytes3a[] = {{0x08, 0x17}, {0x20, 0x22}, {0x40, 0x42}, {0x60, 0x63}};

std::uint8_t pick(std::span<const Range> ranges, Random& random) {
  const Range& range = ranges[random() % ranges.size()];
  return static_cast<std::uint8_t>(range.first + random() % (range.last - range.first + 1u));
}

void append_opcode(std::vector<std::uint8_t>& bytes, Random& random) {
  const std::uint64_t choice = random() % 100;
  if (choice < 52) {
    bytes.push_back(pick(kPlain, random));
  } else if (choice < 80) {
    bytes.insert(bytes.end(), {0x0f, pick(kTwoBytes, random)});
  } else if (choice < 84) {
    bytes.insert(bytes.end(), {0x0f, 0x38, pick(kThreeBytes38, random)});
  } else if (choice < 87) {
    bytes.insert(bytes.end(), {0x0f, 0x3a, pick(kThreeBytes3a, random)});
  } else if (choice < 89) {
    const std::uint8_t opcode = pick(kRefused, random);
    if (opcode < 0x10) bytes.push_back(0x0f);
    bytes.push_back(opcode);
    // XBEGIN and XABORT have F8 behind it.
    if (one_in(random, 2)) bytes.push_back(0xf8);
  } else {
    if (!one_in(random, 3)) bytes.push_back(0x0f);
    bytes.push_back(static_cast<std::uint8_t>(random()));
  }
}

// In front of an opcode: sizes, repetitions and the mandatory prefixes of SSE, segments, LOCK.
void append_prefixes(std::vector<std::uint8_t>& bytes, Mode mode, Random& random) {
  constexpr std::uint8_t kSegments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65};
  if (one_in(random, 5)) bytes.push_back(0x66);
  if (one_in(random, 25)) bytes.push_back(0x67);
  if (one_in(random, 40)) bytes.push_back(0xf0);
  if (one_in(random, 20)) bytes.push_back(kSegments[random() % std::size(kSegments)]);
  if (one_in(random, 7)) bytes.push_back(one_in(random, 2) ? 0xf2 : 0xf3);
  if (mode == Mode::Code64 && !one_in(random, 3))
    bytes.push_back(static_cast<std::uint8_t>(0x40 | (random() & 15)));
}

void append_rest(std::vector<std::uint8_t>& bytes, Random& random) {
  while (bytes.size() < 15)
    bytes.push_back(static_cast<std::uint8_t>(random()));
}

// With VEX, up to ModRM. vvvv is unused as often as it is not; outside of 64-bit code the uppermost
// bits of R, X and vvvv are ones (SDM 2A 2.3.5).
void append_vex(std::vector<std::uint8_t>& bytes, Mode mode, Random& random) {
  const bool extends = mode == Mode::Code64;
  const std::uint64_t rxb = extends ? random() & 7 : 7;
  const std::uint64_t vvvv = one_in(random, 2) ? 15 : (random() & 15) | (extends ? 0 : 8);
  const std::uint64_t last = vvvv << 3 | (random() & 7);  // L, pp
  if (one_in(random, 3)) {
    bytes.insert(bytes.end(), {0xc5, static_cast<std::uint8_t>((rxb >> 2) << 7 | last)});
  } else {
    bytes.insert(bytes.end(), {0xc4, static_cast<std::uint8_t>(rxb << 5 | (1 + random() % 3)),
                               static_cast<std::uint8_t>((random() & 1) << 7 | last)});
  }
  bytes.push_back(static_cast<std::uint8_t>(random()));
}

bool is_implemented(const Encoding& encoding, Processor processor = Processor::V2) {
  constexpr soft::Width kWidths[] = {soft::Width::Bits16, soft::Width::Bits32, soft::Width::Bits64};
  return !soft::is_refused(
      soft::decode(encoding.bytes, kWidths[static_cast<std::size_t>(encoding.mode)], processor));
}

bool writes_explicitly(const Encoding& encoding, ZydisRegisterClass wanted) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
        operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
        ZydisRegisterGetClass(operand.reg.value) == wanted)
      return true;
  }
  return false;
}

bool writes_stack_pointer(const Encoding& encoding) {
  if (encoding.is({ZYDIS_MNEMONIC_LEAVE, ZYDIS_MNEMONIC_ENTER})) return true;
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
        operand.type != ZYDIS_OPERAND_TYPE_REGISTER ||
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0)
      continue;
    switch (operand.reg.value) {
      case ZYDIS_REGISTER_SPL:
      case ZYDIS_REGISTER_SP:
      case ZYDIS_REGISTER_ESP:
      case ZYDIS_REGISTER_RSP:
        return true;
      default:
        break;
    }
  }
  return false;
}

bool changes_privileged_state(const Encoding& encoding) {
  if (writes_explicitly(encoding, ZYDIS_REGCLASS_CONTROL) ||
      writes_explicitly(encoding, ZYDIS_REGCLASS_DEBUG))
    return true;
  return encoding.is({ZYDIS_MNEMONIC_LGDT, ZYDIS_MNEMONIC_LIDT, ZYDIS_MNEMONIC_LLDT,
                      ZYDIS_MNEMONIC_LTR, ZYDIS_MNEMONIC_LMSW, ZYDIS_MNEMONIC_WRMSR,
                      ZYDIS_MNEMONIC_XSETBV, ZYDIS_MNEMONIC_SYSCALL, ZYDIS_MNEMONIC_SYSRET,
                      ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_SYSEXIT});
}

// Where the flow goes, the program's author says.
bool changes_flow(const Encoding& encoding) {
  if (encoding.branches()) return true;
  switch (encoding.insn.meta.category) {
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
      return true;
    default:
      return encoding.is({ZYDIS_MNEMONIC_HLT, ZYDIS_MNEMONIC_MWAIT, ZYDIS_MNEMONIC_IRET,
                          ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ});
  }
}

bool is_wanted(const Encoding& encoding, Processor processor, const Unwanted& unwanted,
               Random& random) {
  // Whatever it would do on another processor, it is #UD here.
  if (!is_implemented(encoding, processor)) return one_in(random, 6);
  if (changes_flow(encoding)) return false;
  if (unwanted.privileged_state && changes_privileged_state(encoding)) return false;
  if (unwanted.stack_pointer && writes_stack_pointer(encoding)) return false;
  if (unwanted.segments && (writes_explicitly(encoding, ZYDIS_REGCLASS_SEGMENT) ||
                            encoding.is({ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LFS,
                                         ZYDIS_MNEMONIC_LGS, ZYDIS_MNEMONIC_LSS})))
    return false;
  return true;
}

// Up to ModRM.
void append_legacy_vector(std::vector<std::uint8_t>& bytes, Mode mode, Random& random) {
  static constexpr Range kTwoByteVectors[] = {{0x10, 0x17}, {0x28, 0x2f}, {0x50, 0x7f},
                                              {0xc2, 0xc6}, {0xd0, 0xff}, {0xd0, 0xff}};
  constexpr std::uint8_t kMandatory[] = {0, 0x66, 0x66, 0xf2, 0xf3};
  const std::uint8_t mandatory = kMandatory[random() % std::size(kMandatory)];
  if (mandatory != 0) bytes.push_back(mandatory);
  if (mode == Mode::Code64 && !one_in(random, 3))
    bytes.push_back(static_cast<std::uint8_t>(0x40 | (random() & 15)));
  bytes.push_back(0x0f);
  if (one_in(random, 5)) {
    bytes.insert(bytes.end(), {0x38, pick(kThreeBytes38, random)});
  } else if (one_in(random, 8)) {
    bytes.insert(bytes.end(), {0x3a, pick(kThreeBytes3a, random)});
  } else {
    bytes.push_back(pick(kTwoByteVectors, random));
  }
}

template <std::size_t N>
Encoding register_form(const std::array<std::vector<std::uint8_t>, N>& opcodes, Mode mode,
                       Random& random) {
  for (;;) {
    std::vector<std::uint8_t> bytes;
    if (one_in(random, 5)) bytes.push_back(0x66);
    if (mode == Mode::Code64 && !one_in(random, 3))
      bytes.push_back(static_cast<std::uint8_t>(0x40 | (random() & 15)));
    std::vector<std::uint8_t> opcode = opcodes[random() % N];
    bytes.insert(bytes.end(), opcode.begin(), opcode.end());
    bytes.push_back(static_cast<std::uint8_t>(0xc0 | (random() & 63)));
    append_rest(bytes, random);
    Encoding encoding;
    if (!decode_encoding(mode, std::move(bytes), encoding)) continue;
    if (writes_stack_pointer(encoding) || changes_flow(encoding) || !is_implemented(encoding))
      continue;
    return encoding;
  }
}

}  // namespace

Encoding random_insn(Mode mode, Processor processor, const Unwanted& unwanted, Random& random) {
  for (;;) {
    std::vector<std::uint8_t> bytes;
    if (processor == Processor::V3 && one_in(random, 6)) {
      append_vex(bytes, mode, random);
    } else {
      append_prefixes(bytes, mode, random);
      append_opcode(bytes, random);
    }
    // Registers alone half of the time.
    bytes.push_back(static_cast<std::uint8_t>(random() | (one_in(random, 2) ? 0xc0 : 0)));
    append_rest(bytes, random);
    Encoding encoding;
    if (decode_encoding(mode, std::move(bytes), encoding) &&
        is_wanted(encoding, processor, unwanted, random))
      return encoding;
  }
}

Encoding random_vector_insn(Mode mode, Processor processor, Random& random) {
  const bool with_vex = processor == Processor::V3 && !one_in(random, 3);
  for (;;) {
    std::vector<std::uint8_t> bytes;
    if (with_vex) {
      append_vex(bytes, mode, random);
    } else {
      append_legacy_vector(bytes, mode, random);
    }
    bytes.push_back(static_cast<std::uint8_t>(random() | (one_in(random, 2) ? 0xc0 : 0)));
    append_rest(bytes, random);
    Encoding encoding;
    if (!decode_encoding(mode, std::move(bytes), encoding) || !is_implemented(encoding, processor))
      continue;
    if (with_vex && encoding.insn.operand_count_visible == 0)
      return encoding;  // VZEROUPPER, VZEROALL
    for (const ZydisDecodedOperand& operand : encoding.operands) {
      if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
      const ZydisRegisterClass kind = ZydisRegisterGetClass(operand.reg.value);
      if (kind == ZYDIS_REGCLASS_XMM || kind == ZYDIS_REGCLASS_YMM ||
          (kind == ZYDIS_REGCLASS_MMX && one_in(random, 4)))
        return encoding;
    }
  }
}

Encoding random_flag_writer(Mode mode, Random& random) {
  static const std::array<std::vector<std::uint8_t>, 30> kOpcodes = {
      {{0x00}, {0x01}, {0x08}, {0x09},       {0x10},       {0x11},      {0x18}, {0x19},
       {0x20}, {0x21}, {0x28}, {0x29},       {0x30},       {0x31},      {0x38}, {0x39},
       {0x84}, {0x85}, {0x80}, {0x83},       {0x83},       {0xc0},      {0xc1}, {0xd1},
       {0xd3}, {0xfe}, {0xf7}, {0x0f, 0xaf}, {0x0f, 0xa3}, {0x0f, 0xbc}}};
  return register_form(kOpcodes, mode, random);
}

Encoding random_flag_reader(Mode mode, Random& random) {
  static const std::array<std::vector<std::uint8_t>, 44> kOpcodes = [] {
    std::array<std::vector<std::uint8_t>, 44> opcodes;
    for (std::uint8_t i = 0; i < 16; ++i) {
      opcodes[i] = {0x0f, static_cast<std::uint8_t>(0x90 + i)};
      opcodes[16u + i] = {0x0f, static_cast<std::uint8_t>(0x40 + i)};
    }
    const std::vector<std::uint8_t> others[] = {{0x10}, {0x11}, {0x13}, {0x18}, {0x19}, {0x1b},
                                                {0xd1}, {0xd0}, {0x9f}, {0xff}, {0xfe}, {0xf5}};
    std::copy(std::begin(others), std::end(others), opcodes.begin() + 32);
    return opcodes;
  }();
  return register_form(kOpcodes, mode, random);
}

}  // namespace ringside::testing

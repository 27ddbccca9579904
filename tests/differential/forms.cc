#include "differential/forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace ringside::differential {
namespace {

const ZydisDecoder& decoder(Mode mode) {
  static const auto decoders = [] {
    std::array<ZydisDecoder, 3> result;
    ZydisDecoderInit(&result[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&result[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&result[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (ZydisDecoder& each : result) {
      for (const auto extension :
           {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE}) {
        ZydisDecoderEnableMode(&each, extension, ZYAN_FALSE);
      }
    }
    return result;
  }();
  return decoders[static_cast<std::size_t>(mode)];
}

std::string form_name(const Encoding& encoding) {
  const ZydisDecodedInstruction& insn = encoding.insn;
  std::string name = fmt::format("{} {} {}:{:02x}", differential::name(encoding.mode),
                                 ZydisMnemonicGetString(insn.mnemonic),
                                 static_cast<int>(insn.opcode_map), insn.opcode);
  if ((insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) name += " lock";
  if ((insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0) name += " rep";
  if ((insn.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0) name += " repne";
  name += fmt::format(" o{}", insn.operand_width);
  name += fmt::format(" a{}", insn.address_width);
  for (unsigned i = 0; i < insn.operand_count_visible; ++i) {
    const ZydisDecodedOperand& operand = encoding.operands[i];
    switch (operand.type) {
      case ZYDIS_OPERAND_TYPE_REGISTER:
        name += fmt::format(" {}{}",
                            operand.visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT
                                ? ZydisRegisterGetString(operand.reg.value)
                                : "r",
                            operand.size);
        break;
      case ZYDIS_OPERAND_TYPE_MEMORY:
        name += fmt::format(" m{}", operand.size);
        break;
      case ZYDIS_OPERAND_TYPE_POINTER:
        name += " ptr";
        break;
      default:
        name += fmt::format(" i{}", operand.size);
        break;
    }
  }
  return name;
}

// A memory operand that no register places: its displacement must lead to kData.
void place_displacement(Encoding& encoding, Random& random) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    const bool relative =
        operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP;
    if ((operand.mem.base != ZYDIS_REGISTER_NONE && !relative) ||
        operand.mem.index != ZYDIS_REGISTER_NONE || encoding.insn.raw.disp.size == 0) {
      continue;
    }
    std::uint64_t value = kData - data_base(encoding.mode) + 64 + random() % (kDataSize - 256);
    if (random() % 2 == 0) value &= ~std::uint64_t{15};
    if (relative) value -= kCode + encoding.insn.length;
    for (unsigned i = 0; i < encoding.insn.raw.disp.size / 8u; ++i, value >>= 8) {
      encoding.bytes[encoding.insn.raw.disp.offset + i] = static_cast<std::uint8_t>(value);
    }
    decode_encoding(encoding.mode, encoding.bytes, encoding);
    return;
  }
}

bool is_prefix(Mode mode, std::uint8_t byte) {
  switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
      return true;
    default:
      return mode == Mode::Code64 && (byte & 0xf0) == 0x40;
  }
}

// Where the rm field chooses the instruction too: x87, and the groups 0F 01, 0F 1E, 0F AE.
bool rm_is_opcode(const std::vector<std::uint8_t>& map, unsigned opcode) {
  if (map.empty()) return (opcode & 0xf8) == 0xd8;
  return map.size() == 1 && (opcode == 0x01 || opcode == 0x1e || opcode == 0xae);
}

// 16-bit code runs with whatever lies above SP in RSP: only its lower half may be seen.
bool sees_rsp_above_sp(const Encoding& encoding) {
  if (encoding.is({ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_ENTER})) return true;
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) continue;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value == ZYDIS_REGISTER_ESP) {
      return true;
    }
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.base == ZYDIS_REGISTER_ESP) {
      return true;
    }
  }
  return false;
}

// With VEX (SDM 2A 2.3.5): all opcodes of its maps with each of pp, L and W, in registers and
// memory; the rest of the fields by chance. vvvv is unused as often as it is not.
std::vector<std::vector<std::uint8_t>> vex_encodings(Mode mode, Random& random) {
  constexpr unsigned kShapes = 24;
  constexpr std::uint8_t kPrefixes[] = {0x67, 0x26, 0x65, 0x3e};
  std::vector<std::vector<std::uint8_t>> all;
  for (unsigned map = 1; map <= 3; ++map) {
    for (unsigned fields = 0; fields < 16; ++fields) {
      const unsigned pp = fields & 3, l = fields >> 2 & 1, w = fields >> 3 & 1;
      for (unsigned each = 0; each < 256 * kShapes; ++each) {
        const unsigned opcode = each / kShapes, shape = each % kShapes;
        std::vector<std::uint8_t> bytes;
        if (random() % 8 == 0) bytes.push_back(kPrefixes[random() % std::size(kPrefixes)]);
        // Outside of 64-bit code the uppermost bits of R, X and vvvv are ones, or it is LES or LDS.
        const bool extends = mode == Mode::Code64;
        const unsigned rxb = extends ? random() & 7 : 7;
        unsigned vvvv = random() % 2 == 0 ? 15 : random() & 15;
        if (!extends) vvvv |= 8;
        const unsigned last = vvvv << 3 | l << 2 | pp;
        if (map == 1 && w == 0 && random() % 2 == 0) {
          bytes.insert(bytes.end(), {0xc5, static_cast<std::uint8_t>((rxb >> 2) << 7 | last)});
        } else {
          bytes.insert(bytes.end(), {0xc4, static_cast<std::uint8_t>(rxb << 5 | map),
                                     static_cast<std::uint8_t>(w << 7 | last)});
        }
        bytes.push_back(static_cast<std::uint8_t>(opcode));
        // Every value of the reg field in registers and in memory, with and without a SIB byte.
        const unsigned kind = shape >> 3;
        const unsigned mod = kind == 0 ? 3 : static_cast<unsigned>(random() % 3);
        const unsigned rm = kind == 1 ? 4 : random() & 7;
        bytes.push_back(static_cast<std::uint8_t>(mod << 6 | (shape & 7) << 3 | rm));
        all.push_back(std::move(bytes));
      }
    }
  }
  return all;
}

}  // namespace

bool Encoding::repeats() const {
  return (insn.attributes &
          (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
}

bool Encoding::branches() const {
  switch (insn.meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
      return true;
    default:
      return false;
  }
}

bool Encoding::is(std::initializer_list<ZydisMnemonic> mnemonics) const {
  return std::find(mnemonics.begin(), mnemonics.end(), insn.mnemonic) != mnemonics.end();
}

bool decode_encoding(Mode mode, std::vector<std::uint8_t> bytes, Encoding& encoding) {
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder(mode), bytes.data(), bytes.size(),
                                           &encoding.insn, operands))) {
    return false;
  }
  encoding.mode = mode;
  bytes.resize(encoding.insn.length);
  encoding.bytes = std::move(bytes);
  encoding.operands.assign(operands, operands + encoding.insn.operand_count);
  const auto& raw = encoding.insn.raw;
  if (raw.sib.offset != 0 && raw.modrm.mod == 0 && raw.sib.base == 5) {
    for (ZydisDecodedOperand& operand : encoding.operands) {
      // Zydis 4.0 gives R13D with REX.B and a 32-bit address.
      if (operand.encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
        operand.mem.base = ZYDIS_REGISTER_NONE;
        operand.mem.disp.value = raw.disp.value;
      }
    }
  }
  return true;
}

std::map<std::string, Form> enumerate_forms(Mode mode, const Claim& claim,
                                            std::size_t encodings_per_form, Random& random) {
  constexpr std::uint8_t kSegments[] = {0x26, 0x2e, 0x36, 0x3e, 0x65};
  const std::vector<std::vector<std::uint8_t>> maps = {{}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
  const std::vector<std::vector<std::uint8_t>> repeats = {{}, {0xf2}, {0xf3}};
  std::map<std::string, Form> forms;
  const auto attempt = [&](std::vector<std::uint8_t> bytes) {
    while (bytes.size() < 15)
      bytes.push_back(static_cast<std::uint8_t>(random()));
    Encoding encoding;
    if (!decode_encoding(mode, std::move(bytes), encoding) || !claim(encoding)) return;
    if (mode == Mode::Code16 && sees_rsp_above_sp(encoding)) return;
    const std::string name = form_name(encoding);
    Form& form = forms[name];
    form.name = name;
    place_displacement(encoding, random);
    // Every encoding found has the same chance to be kept.
    ++form.found;
    if (form.encodings.size() < encodings_per_form) {
      form.encodings.push_back(std::move(encoding));
    } else if (const std::size_t at = random() % form.found; at < encodings_per_form) {
      form.encodings[at] = std::move(encoding);
    }
  };
  for (const auto& map : maps) {
    for (unsigned choice = 0; choice < 8; ++choice) {
      for (const auto& repeat : repeats) {
        for (unsigned rex = 0; rex < (mode == Mode::Code64 ? 3u : 1u); ++rex) {
          for (unsigned opcode = 0; opcode < 256; ++opcode) {
            if (map.empty() && is_prefix(mode, static_cast<std::uint8_t>(opcode))) continue;
            const unsigned shapes = rm_is_opcode(map, opcode) ? 72 : 32;
            for (unsigned shape = 0; shape < shapes; ++shape) {
              std::vector<std::uint8_t> bytes;
              if ((choice & 1) != 0) bytes.push_back(0x66);
              if ((choice & 2) != 0) bytes.push_back(0x67);
              if ((choice & 4) != 0) bytes.push_back(0xf0);
              if (random() % 8 == 0) bytes.push_back(kSegments[random() % std::size(kSegments)]);
              bytes.insert(bytes.end(), repeat.begin(), repeat.end());
              if (rex != 0) {
                bytes.push_back(
                    static_cast<std::uint8_t>(0x40 | (random() & 7) | (rex == 2 ? 8 : 0)));
              }
              bytes.insert(bytes.end(), map.begin(), map.end());
              bytes.push_back(static_cast<std::uint8_t>(opcode));
              // Every value of the reg field; registers and memory in turn. Or memory, and then
              // every pair of the reg and the rm field.
              unsigned mod = static_cast<unsigned>(random() % 3), rm = random() & 7;
              if (shapes == 32 ? (shape & 8) != 0 : shape >= 8) mod = 3;
              if (shapes != 32 && shape >= 8) rm = (shape - 8) >> 3;
              bytes.push_back(static_cast<std::uint8_t>(mod << 6 | (shape & 7) << 3 | rm));
              attempt(std::move(bytes));
            }
          }
        }
      }
    }
  }
  for (std::vector<std::uint8_t>& bytes : vex_encodings(mode, random))
    attempt(std::move(bytes));
  return forms;
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes)
    text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace ringside::differential

#include "engine/soft/decode/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "base/log.h"
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/state/fault.h"
#include "ringside/x86/segment.h"

namespace ringside::soft {
namespace {

constexpr std::size_t kMaxLength = 15;  // SDM 2A 2.3.11
using Bytes = std::array<std::uint8_t, kMaxLength>;

// What CPUID does not announce must decode as on a CPU without it (SDM 2A: F3 0F BC is BSF without
// BMI1, the control-flow and bounds extensions are NOPs…).
class Decoders {
 public:
  explicit Decoders(Processor processor) : processor_(processor) {
    init(Width::Bits16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    init(Width::Bits32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    init(Width::Bits64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  }
  const ZydisDecoder& operator[](Width width) const {
    return decoders_[static_cast<std::size_t>(width) - 1];
  }

 private:
  void init(Width width, ZydisMachineMode mode, ZydisStackWidth stack) {
    ZydisDecoder& decoder = decoders_[static_cast<std::size_t>(width) - 1];
    ZydisDecoderInit(&decoder, mode, stack);
    for (const ZydisDecoderMode extension :
         {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE}) {
      ZydisDecoderEnableMode(&decoder, extension, ZYAN_FALSE);
    }
    if (processor_ != Processor::V2) return;
    for (const ZydisDecoderMode extension : {ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT})
      ZydisDecoderEnableMode(&decoder, extension, ZYAN_FALSE);
  }
  Processor processor_;
  std::array<ZydisDecoder, 3> decoders_;
};

const Decoders& decoders(Processor processor) {
  static const Decoders kV2(Processor::V2), kV3(Processor::V3);
  return processor == Processor::V2 ? kV2 : kV3;
}

// Whether CPUID announces it, as far as the families cannot tell: Zydis knows VEX encodings of
// other makers and of processors that never were, under mnemonics that there are.
bool is_announced(const ZydisDecodedInstruction& insn, Processor processor) {
  switch (insn.meta.isa_set) {
    case ZYDIS_ISA_SET_ADOX_ADCX:
    case ZYDIS_ISA_SET_AVX:
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVX2GATHER:
    case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_BMI1:
    case ZYDIS_ISA_SET_BMI2:
    case ZYDIS_ISA_SET_F16C:
    case ZYDIS_ISA_SET_FMA:
    case ZYDIS_ISA_SET_PKU:
    case ZYDIS_ISA_SET_XSAVE:
    case ZYDIS_ISA_SET_XSAVEC:
    case ZYDIS_ISA_SET_XSAVEOPT:
      return processor == Processor::V3;
    default:
      return insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX;
  }
}

// An instruction that only raises #UD carries its own bytes, so that the log line can show them
// with the RIP that is known at execution: 8 in immediate, 4 in displacement, 3 in the operand
// fields.
void keep_bytes(Insn& insn, const Bytes& bytes) {
  std::memcpy(&insn.immediate, bytes.data(), 8);
  std::memcpy(&insn.displacement, bytes.data() + 8, 4);
  insn.reg = bytes[12];
  insn.rm = bytes[13];
  insn.base = bytes[14];
}
Bytes kept_bytes(const Insn& insn) {
  Bytes bytes;
  std::memcpy(bytes.data(), &insn.immediate, 8);
  std::memcpy(bytes.data() + 8, &insn.displacement, 4);
  bytes[12] = insn.reg;
  bytes[13] = insn.rm;
  bytes[14] = insn.base;
  return bytes;
}

// Once per byte sequence, and not without end: a guest can make up as many as it likes.
bool first_time(const Bytes& bytes) {
  constexpr std::size_t kMaxLogged = 200;
  thread_local std::set<Bytes> logged;
  return logged.size() < kMaxLogged && logged.insert(bytes).second;
}

[[gnu::cold]] void log_undefined(const Cpu& cpu, const Insn& insn) {
  const Bytes bytes = kept_bytes(insn);
  if (!log::enabled(log::Level::Warning) || !first_time(bytes)) return;
  ZydisDecodedInstruction decoded;
  const char* name = nullptr;
  std::size_t length = insn.length;
  if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
          &decoders(cpu.board().processor)[static_cast<Width>(insn.code_width)], nullptr,
          bytes.data(), length, &decoded))) {
    name = ZydisMnemonicGetString(decoded.mnemonic);
    length = decoded.length;
  }
  std::string text;
  for (std::size_t i = 0; i < length; ++i)
    text += fmt::format(" {:02x}", bytes[i]);
  log::warning("vcpu {}: #UD at {:#x}: {}:{}", cpu.id().value, cpu.insn_rip,
               name == nullptr ? "not an instruction" : name, text);
}

void undefined(Cpu& cpu, const Insn& insn) {
  log_undefined(cpu, insn);
  raise(x86::Vector::InvalidOpcode);
}

void too_long(Cpu&, const Insn&) { raise(x86::Vector::GeneralProtection, 0); }

Insn faulting(Handler handler, std::span<const std::uint8_t> bytes, std::size_t length,
              Width code_width) {
  Bytes kept{};
  length = std::min(length, kMaxLength);
  std::copy_n(bytes.begin(), length, kept.begin());
  Insn insn;
  insn.execute = handler;
  insn.length = static_cast<std::uint8_t>(length);
  insn.code_width = static_cast<std::uint8_t>(code_width);
  keep_bytes(insn, kept);
  return insn;
}

Width width_of(unsigned bits) {
  switch (bits) {
    case 8:
      return Width::Bits8;
    case 16:
      return Width::Bits16;
    case 32:
      return Width::Bits32;
    default:
      return Width::Bits64;
  }
}

std::uint8_t address_register(ZydisRegister reg) {
  switch (reg) {
    case ZYDIS_REGISTER_NONE:
      return Cpu::kNoRegister;
    case ZYDIS_REGISTER_RIP:
    case ZYDIS_REGISTER_EIP:
      return Cpu::kRip;
    default:
      return static_cast<std::uint8_t>(ZydisRegisterGetId(reg));
  }
}

// In 64-bit mode only FS and GS overrides count (SDM 1 3.3.4); the default of a stack register
// still decides between #SS and #GP.
std::uint8_t segment_use_of(const ZydisDecodedOperandMem& memory, bool code64) {
  if (!code64) return static_cast<std::uint8_t>(ZydisRegisterGetId(memory.segment));
  if (memory.segment == ZYDIS_REGISTER_FS) return segment_use::kFs64;
  if (memory.segment == ZYDIS_REGISTER_GS) return segment_use::kGs64;
  switch (memory.base) {
    case ZYDIS_REGISTER_RSP:
    case ZYDIS_REGISTER_RBP:
    case ZYDIS_REGISTER_ESP:
    case ZYDIS_REGISTER_EBP:
      return segment_use::kFlatStack;
    default:
      return segment_use::kFlat;
  }
}

}  // namespace

bool is_general(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
      return true;
    default:
      return false;
  }
}

std::uint8_t Decoded::reg(unsigned i) const {
  const ZydisRegister reg = operands[i].reg.value;
  const auto number = static_cast<unsigned>(ZydisRegisterGetId(reg));
  if (ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_GPR8) return static_cast<std::uint8_t>(number);
  // Zydis numbers AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B and so on.
  if (number < 4) return static_cast<std::uint8_t>(number * 8);
  if (number < 8) return static_cast<std::uint8_t>((number - 4) * 8 + 1);
  return static_cast<std::uint8_t>((number - 4) * 8);
}

Width Decoded::width(unsigned i) const { return width_of(operands[i].size); }

void lower_memory(const Decoded& decoded, unsigned i, Insn& insn) {
  const ZydisDecodedOperandMem& memory = decoded.op(i).mem;
  // Without mod bits a SIB base of 5 is a displacement and no register, whatever REX.B says (SDM 2A
  // table 2-3). Zydis 4.0 takes it for R13 where addresses have 32 bits.
  const auto& raw = decoded.insn.raw;
  const bool no_base = raw.sib.offset != 0 && raw.modrm.mod == 0 && raw.sib.base == 5;
  insn.base = no_base ? Cpu::kNoRegister : address_register(memory.base);
  insn.index = address_register(memory.index);
  insn.scale = memory.scale == 8 ? 3 : memory.scale == 4 ? 2 : memory.scale == 2 ? 1 : 0;
  // A 64-bit displacement exists only in MOV with an absolute address, whose handlers use
  // `immediate`.
  insn.displacement = static_cast<std::int32_t>(no_base ? raw.disp.value : memory.disp.value);
  if (decoded.insn.raw.disp.size == 64) {
    insn.immediate = static_cast<std::uint64_t>(memory.disp.value);
  }
  insn.segment = segment_use_of(memory, decoded.code64());
  insn.address_width = width_of(decoded.insn.address_width);
}

void lower_vex_operands(const Decoded& decoded, Insn& insn) {
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i) {
    if (decoded.is_memory(i)) {
      lower_memory(decoded, i, insn);
      continue;
    }
    if (!decoded.is_register(i)) continue;
    switch (decoded.op(i).encoding) {
      case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        insn.reg = decoded.reg(i);
        break;
      case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        insn.rm = decoded.reg(i);
        break;
      case ZYDIS_OPERAND_ENCODING_NDSNDD:
        insn.extra = decoded.reg(i);
        break;
      case ZYDIS_OPERAND_ENCODING_IS4:
        insn.immediate = decoded.reg(i);
        break;
      default:  // a register that the instruction implies
        break;
    }
  }
}

namespace {

// Whether what follows in memory may not be what runs next, or may run in another mode or mapping.
bool may_change_flow(const Decoded& decoded) {
  switch (decoded.insn.meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_SYSTEM:
      return true;
    case ZYDIS_CATEGORY_STRINGOP:
    case ZYDIS_CATEGORY_IOSTRINGOP:
      return (decoded.insn.attributes &
              (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
    default:
      break;
  }
  for (unsigned i = 0; i < 2 && i < decoded.insn.operand_count; ++i) {
    if (decoded.is_register(i) &&
        ZydisRegisterGetClass(decoded.op(i).reg.value) == ZYDIS_REGCLASS_CONTROL) {
      return true;
    }
  }
  return false;
}

std::uint8_t flow_of(const Decoded& decoded) {
  switch (decoded.insn.meta.category) {
    case ZYDIS_CATEGORY_CALL:
      return prefix::kCall;
    case ZYDIS_CATEGORY_RET:
      break;
    default:
      return 0;
  }
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
      return prefix::kResume;
    default:
      return prefix::kReturn;
  }
}

}  // namespace

void lower_common(const Decoded& decoded, Insn& insn) {
  insn.length = decoded.insn.length;
  insn.operand_width = width_of(decoded.insn.operand_width);
  insn.address_width = width_of(decoded.insn.address_width);
  insn.code_width = static_cast<std::uint8_t>(decoded.code_width);
  insn.base = insn.index = Cpu::kNoRegister;
  if ((decoded.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) insn.prefixes |= prefix::kLock;
  if (may_change_flow(decoded)) insn.prefixes |= prefix::kEndsBlock;
  insn.prefixes |= flow_of(decoded);
  // The last of F2 and F3 wins, whether Zydis sees a use for it or not.
  for (unsigned i = 0; i < decoded.insn.raw.prefix_count; ++i) {
    const std::uint8_t value = decoded.insn.raw.prefixes[i].value;
    if (value != 0xf2 && value != 0xf3) continue;
    insn.prefixes &= static_cast<std::uint8_t>(~(prefix::kRep | prefix::kRepne));
    insn.prefixes |= value == 0xf3 ? prefix::kRep : prefix::kRepne;
  }
  for (unsigned i = 0; i < decoded.insn.operand_count; ++i) {
    if (!decoded.is_immediate(i)) continue;
    insn.immediate = decoded.op(i).imm.value.u;
    break;
  }
}

void LowerTable::add(ZydisMnemonic mnemonic, Lower lower) {
  Lower* slot = table_[mnemonic];
  while (*slot != nullptr)
    ++slot;
  *slot = lower;
}

bool LowerTable::fill(const Decoded& decoded, Insn& insn) const {
  for (const Lower family : table_[decoded.insn.mnemonic]) {
    if (family == nullptr) return false;
    insn = Insn{};
    lower_common(decoded, insn);
    if (family(decoded, insn)) return true;
  }
  return false;
}

std::optional<Decoded> decode_form(std::span<const std::uint8_t> bytes, Width code_width,
                                   Processor processor) {
  Decoded decoded;
  decoded.code_width = code_width;
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders(processor)[code_width], bytes.data(),
                                           std::min(bytes.size(), kMaxLength), &decoded.insn,
                                           decoded.operands))) {
    return std::nullopt;
  }
  return decoded;
}

bool is_refused(const Insn& insn) { return insn.execute == undefined || insn.execute == too_long; }

Insn decode(std::span<const std::uint8_t> bytes, Width code_width, const LowerTable& table,
            Processor processor) {
  const std::size_t size = std::min(bytes.size(), kMaxLength);
  Decoded decoded;
  decoded.code_width = code_width;
  const ZyanStatus status = ZydisDecoderDecodeFull(&decoders(processor)[code_width], bytes.data(),
                                                   size, &decoded.insn, decoded.operands);
  if (status == ZYDIS_STATUS_NO_MORE_DATA && size < kMaxLength) return Insn{};
  if (status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
    return faulting(too_long, bytes, size, code_width);
  }
  if (!ZYAN_SUCCESS(status)) return faulting(undefined, bytes, size, code_width);
  Insn insn;
  if (is_announced(decoded.insn, processor) && table.fill(decoded, insn)) return insn;
  return faulting(undefined, bytes, decoded.insn.length, code_width);
}

}  // namespace ringside::soft

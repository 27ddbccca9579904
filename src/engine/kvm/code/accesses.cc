#include "engine/kvm/code/accesses.h"

#include <optional>

#include "engine/kvm/code/disassembly.h"

namespace ringside::kvm {
namespace {

class AddressReader {
 public:
  AddressReader(const Disassembly& decoded, CodeSize size, const kvm_regs& general,
                const kvm_sregs& system)
      : insn_(decoded.insn),
        operands_(decoded.operands),
        flat_(size == CodeSize::Bits64),
        general_(general),
        system_(system) {}

  // The linear address; nothing where it depends on more than general registers.
  std::optional<Gva> address(const ZydisDecodedOperand& operand, std::uint64_t bytes) const {
    const auto& memory = operand.mem;
    std::uint64_t offset = static_cast<std::uint64_t>(memory.disp.value);
    if (memory.base != ZYDIS_REGISTER_NONE) {
      const auto base = value(memory.base);
      if (!base) return std::nullopt;
      offset += *base;
    }
    if (memory.index != ZYDIS_REGISTER_NONE) {
      const auto index = value(memory.index);
      if (!index) return std::nullopt;
      offset += *index * std::max<std::uint64_t>(memory.scale, 1);
    }
    unsigned width = insn_.address_width;
    if (pushes(operand)) {
      offset -= bytes;
      width = stack_width();
    } else if (is_on_stack(operand)) {
      width = stack_width();
    }
    offset += bit_offset(operand);
    if (insn_.mnemonic == ZYDIS_MNEMONIC_XLAT) offset += general_.rax & 0xff;
    if (width < 64) offset &= (std::uint64_t{1} << width) - 1;
    const std::uint64_t linear = offset + base_of(memory.segment);
    return Gva{flat_ ? linear : linear & 0xffffffff};
  }

  // A repeated instruction whose count is used up does nothing.
  bool does_nothing() const {
    constexpr ZydisInstructionAttributes kRepeated =
        ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
    if ((insn_.attributes & kRepeated) == 0) return false;
    const unsigned width = insn_.address_width;
    return (width == 64 ? general_.rcx : general_.rcx & ((std::uint64_t{1} << width) - 1)) == 0;
  }

 private:
  std::optional<std::uint64_t> value(ZydisRegister r) const {
    if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP) return general_.rip + insn_.length;
    const ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
    if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15) return std::nullopt;
    const auto& g = general_;
    // In the order of their numbers.
    const std::uint64_t values[] = {g.rax, g.rcx, g.rdx, g.rbx, g.rsp, g.rbp, g.rsi, g.rdi,
                                    g.r8,  g.r9,  g.r10, g.r11, g.r12, g.r13, g.r14, g.r15};
    const std::uint64_t all = values[whole - ZYDIS_REGISTER_RAX];
    switch (ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, r)) {
      case 8:
        return all & 0xff;
      case 16:
        return all & 0xffff;
      case 32:
        return all & 0xffffffff;
      default:
        return all;
    }
  }

  std::uint64_t base_of(ZydisRegister segment) const {
    switch (segment) {
      case ZYDIS_REGISTER_FS:
        return system_.fs.base;
      case ZYDIS_REGISTER_GS:
        return system_.gs.base;
      case ZYDIS_REGISTER_ES:
        return flat_ ? 0 : system_.es.base;
      case ZYDIS_REGISTER_CS:
        return flat_ ? 0 : system_.cs.base;
      case ZYDIS_REGISTER_SS:
        return flat_ ? 0 : system_.ss.base;
      default:
        return flat_ ? 0 : system_.ds.base;
    }
  }

  static bool is_on_stack(const ZydisDecodedOperand& operand) {
    const bool pointer = operand.mem.base == ZYDIS_REGISTER_RSP ||
                         operand.mem.base == ZYDIS_REGISTER_ESP ||
                         operand.mem.base == ZYDIS_REGISTER_SP;
    return pointer && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
  }
  static bool pushes(const ZydisDecodedOperand& operand) {
    return is_on_stack(operand) && operand.mem.disp.value == 0 &&
           (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  }
  unsigned stack_width() const {
    if (flat_) return 64;
    return system_.ss.db != 0 ? 32 : 16;
  }

  // A bit number in a register reaches beyond the operand (SDM 2A 3.1.1.9).
  std::uint64_t bit_offset(const ZydisDecodedOperand& operand) const {
    const bool bits = insn_.mnemonic == ZYDIS_MNEMONIC_BT || insn_.mnemonic == ZYDIS_MNEMONIC_BTS ||
                      insn_.mnemonic == ZYDIS_MNEMONIC_BTR || insn_.mnemonic == ZYDIS_MNEMONIC_BTC;
    if (!bits || &operand != &operands_[0] || operands_[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
      return 0;
    const auto number = value(operands_[1].reg.value);
    if (!number) return 0;
    const unsigned width = operand.size;
    std::int64_t bit = static_cast<std::int64_t>(*number);
    if (width == 16) bit = static_cast<std::int16_t>(*number);
    if (width == 32) bit = static_cast<std::int32_t>(*number);
    // Rounded down, also of the smallest number, which has no opposite.
    const auto bits_of_unit = static_cast<std::int64_t>(width);
    const std::int64_t unit = bit / bits_of_unit - (bit % bits_of_unit < 0 ? 1 : 0);
    return static_cast<std::uint64_t>(unit * (bits_of_unit / 8));
  }

  const ZydisDecodedInstruction& insn_;
  const ZydisDecodedOperand* operands_;
  bool flat_;
  const kvm_regs& general_;
  const kvm_sregs& system_;
};

}  // namespace

std::vector<MemoryAccess> accesses(std::span<const std::uint8_t> code, CodeSize size,
                                   const kvm_regs& general, const kvm_sregs& system) {
  std::vector<MemoryAccess> result;
  Disassembly decoded;
  if (!decode(code, size, decoded)) return result;
  const AddressReader reader(decoded, size, general, system);
  const bool is_hint = decoded.insn.meta.category == ZYDIS_CATEGORY_PREFETCH ||
                       decoded.insn.meta.category == ZYDIS_CATEGORY_WIDENOP;
  if (is_hint || reader.does_nothing()) return result;
  for (const ZydisDecodedOperand& operand : decoded.all()) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type != ZYDIS_MEMOP_TYPE_MEM)
      continue;
    const std::uint64_t bytes = operand.size / 8;
    const auto address = reader.address(operand, bytes);
    if (bytes == 0 || !address) continue;
    result.push_back({*address, bytes, (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0,
                      (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0});
  }
  return result;
}

}  // namespace ringside::kvm

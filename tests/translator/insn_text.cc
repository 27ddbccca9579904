#include "translator/insn_text.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <array>

#include "hypervisor/guest_memory.h"
#include "lockstep/fields.h"
#include "x86/linear_address.h"

namespace ringside::testing {
namespace {

ZydisDecoder decoder_for(const x86::CpuState& state) {
  ZydisDecoder decoder;
  if (x86::in_64_bit_mode(state)) {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  } else if (state.seg(x86::SegmentName::Cs).big()) {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
  } else {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
  }
  return decoder;
}

}  // namespace

InsnText next_insn(hypervisor::Vm& vm, VcpuId vcpu, const x86::CpuState& state) {
  InsnText result;
  const Gva pc = x86::linear_pc(state);
  result.linear = pc.value;
  if (const auto physical = hypervisor::translate(vm, vcpu, pc)) result.physical = *physical;
  Result<std::vector<std::byte>> bytes = fail(ErrorCode::BadAddress, "");
  for (std::size_t length = 15; length > 0 && !bytes; --length)
    bytes = hypervisor::read_virtual(vm, vcpu, pc, length);
  if (!bytes) {
    // The processor may know a translation that the tables in memory no longer have.
    result.text = "(not in the tables; what lies at the same physical address:) ";
    result.physical = Gpa{pc.value};
    bytes = std::vector<std::byte>(15);
    if (!vm.memory().read_ram(*result.physical, *bytes)) return result;
  }
  const ZydisDecoder decoder = decoder_for(state);
  ZydisDecodedInstruction insn;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
  const bool known = ZYAN_SUCCESS(
      ZydisDecoderDecodeFull(&decoder, bytes->data(), bytes->size(), &insn, operands.data()));
  const std::size_t shown = known ? insn.length : bytes->size();
  for (std::size_t i = 0; i < shown; ++i)
    result.text += fmt::format("{:02x}", std::to_integer<unsigned>((*bytes)[i]));
  if (!known) {
    result.text += "  (no instruction)";
    return result;
  }
  result.length = insn.length;
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  std::array<char, 256> text{};
  ZydisFormatterFormatInstruction(&formatter, &insn, operands.data(), insn.operand_count_visible,
                                  text.data(), text.size(), pc.value, nullptr);
  result.text += fmt::format("  {}", text.data());
  return result;
}

std::string registers_text(const x86::CpuState& state) {
  constexpr std::size_t kInLine = 4;
  const Fields fields = fields_of(state);
  std::string text;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < fields.rows.size(); ++i) {
    const auto& row = fields.rows[i];
    const bool several = row[1] != 0 || row[2] != 0 || row[3] != 0;
    // Registers beyond the first ones only where they say something.
    if (i >= row::kLdt && row[0] == 0 && !several) continue;
    text += shown++ % kInLine == 0 ? "\n   " : "";
    text += fmt::format(" {}={:x}", name_of(i), row[0]);
    if (several) text += fmt::format(":{:x}:{:x}:{:x}", row[1], row[2], row[3]);
  }
  return text + "\n";
}

}  // namespace ringside::testing

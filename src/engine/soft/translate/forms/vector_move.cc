// Moves between vector registers, general registers and memory (SSE to SSE4.1, AVX).
#include "engine/soft/translate/emitter/host_features.h"
#include "engine/soft/translate/forms/vector.h"

namespace ringside::soft {
namespace {

using Xbyak::util::xword, Xbyak::util::yword;

// Past the caches only in the guest's eyes: what the host would write there comes back slowly.
void streaming_store(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const int from = decoded.reg(1);
  const Extent extent = extent_of(decoded, 1);
  reach_vector(emitter, decoded.op(0).size / 8, AccessKind::Write, Alignment::Required);
  emitter.vectors().read(decoded.reg(1), extent);
  if (!has_vex(decoded)) {
    code.movaps(xword[emitter.kAddress], Xbyak::Xmm(from));
  } else if (extent == Extent::Low) {
    code.vmovaps(xword[emitter.kAddress], Xbyak::Xmm(from));
  } else {
    code.vmovaps(yword[emitter.kAddress], Xbyak::Ymm(from));
  }
}
Emit plan_streaming_store(const Decoded& decoded, const Insn& insn) {
  if (has_vex(decoded) && !host_has(ZYDIS_ISA_SET_AVX)) return nullptr;
  return is_reachable(decoded, 0, insn) ? streaming_store : nullptr;
}

Emit plan(const Decoded& decoded, const Insn& insn) {
  switch (legacy_mnemonic(decoded)) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_MOVNTDQA:
    case ZYDIS_MNEMONIC_MOVD:
    case ZYDIS_MNEMONIC_MOVQ:
    case ZYDIS_MNEMONIC_MOVMSKPS:
    case ZYDIS_MNEMONIC_MOVMSKPD:
    case ZYDIS_MNEMONIC_PMOVMSKB:
      return plan_again(decoded, insn, Destination::Whole);
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVSD:
      return plan_again(decoded, insn,
                        decoded.is_memory(1) ? Destination::Whole : Destination::Part);
    case ZYDIS_MNEMONIC_MOVLPS:
    case ZYDIS_MNEMONIC_MOVLPD:
    case ZYDIS_MNEMONIC_MOVHPS:
    case ZYDIS_MNEMONIC_MOVHPD:
    case ZYDIS_MNEMONIC_MOVHLPS:
    case ZYDIS_MNEMONIC_MOVLHPS:
      return plan_again(decoded, insn, Destination::Part);
    case ZYDIS_MNEMONIC_MOVNTPS:
    case ZYDIS_MNEMONIC_MOVNTPD:
    case ZYDIS_MNEMONIC_MOVNTDQ:
      return plan_streaming_store(decoded, insn);
    default:
      return nullptr;
  }
}

}  // namespace

VectorPlan plan_vector_move(const Decoded& decoded, const Insn& insn) {
  return {plan(decoded, insn), vector_use::kSse};
}

}  // namespace ringside::soft

// Vector instructions that only AVX, AVX2 and FMA have. The others are those of the other families,
// which write them with VEX where the guest has it. Left to their handlers are gathers and masked
// moves, whose elements may fault one by one, F16C, and VZEROALL.
#include "engine/soft/translate/emitter/host_features.h"
#include "engine/soft/translate/forms/vector.h"

namespace ringside::soft {
namespace {

void vzeroupper(Emitter& emitter) { emitter.vectors().clear_upper_halves(); }

Emit plan_registers(const Decoded& decoded, const Insn& insn) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_VBROADCASTSS:
    case ZYDIS_MNEMONIC_VBROADCASTSD:
    case ZYDIS_MNEMONIC_VBROADCASTF128:
    case ZYDIS_MNEMONIC_VBROADCASTI128:
    case ZYDIS_MNEMONIC_VPBROADCASTB:
    case ZYDIS_MNEMONIC_VPBROADCASTW:
    case ZYDIS_MNEMONIC_VPBROADCASTD:
    case ZYDIS_MNEMONIC_VPBROADCASTQ:
    case ZYDIS_MNEMONIC_VINSERTF128:
    case ZYDIS_MNEMONIC_VINSERTI128:
    case ZYDIS_MNEMONIC_VEXTRACTF128:
    case ZYDIS_MNEMONIC_VEXTRACTI128:
    case ZYDIS_MNEMONIC_VPERMILPS:
    case ZYDIS_MNEMONIC_VPERMILPD:
    case ZYDIS_MNEMONIC_VPERM2F128:
    case ZYDIS_MNEMONIC_VPERM2I128:
    case ZYDIS_MNEMONIC_VPERMD:
    case ZYDIS_MNEMONIC_VPERMPS:
    case ZYDIS_MNEMONIC_VPERMQ:
    case ZYDIS_MNEMONIC_VPERMPD:
    case ZYDIS_MNEMONIC_VPBLENDD:
    case ZYDIS_MNEMONIC_VPSLLVD:
    case ZYDIS_MNEMONIC_VPSLLVQ:
    case ZYDIS_MNEMONIC_VPSRLVD:
    case ZYDIS_MNEMONIC_VPSRLVQ:
    case ZYDIS_MNEMONIC_VPSRAVD:
    case ZYDIS_MNEMONIC_VTESTPS:
    case ZYDIS_MNEMONIC_VTESTPD:
      return plan_again(decoded, insn, Destination::Whole);
    case ZYDIS_MNEMONIC_VZEROUPPER:
      return host_has(ZYDIS_ISA_SET_AVX) ? vzeroupper : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

VectorPlan plan_vex(const Decoded& decoded, const Insn& insn) {
  if (decoded.insn.meta.isa_set == ZYDIS_ISA_SET_FMA)
    return {plan_again(decoded, insn, Destination::Part), vector_use::kAvx | vector_use::kControl};
  return {plan_registers(decoded, insn), vector_use::kAvx};
}

}  // namespace ringside::soft

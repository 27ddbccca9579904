// Floating-point arithmetic, compares and conversions (SSE to SSE4.1, AVX), and the register that
// controls them. They run under the guest's MXCSR, which collects their flags as the guest's would.
// RCP, RSQRT and DP are left to their handlers, whose results do not depend on the host.
#include "engine/soft/translate/forms/vector.h"

namespace ringside::soft {
namespace {

using Xbyak::util::dword, Xbyak::util::rbp;

void stmxcsr(Emitter& emitter) {
  reach_vector(emitter, 4, AccessKind::Write, Alignment::None);
  emitter.code().stmxcsr(dword[emitter.kAddress]);
}
// The handler does it if the new value has a reserved bit or unmasks an exception.
void ldmxcsr(Emitter& emitter) {
  Assembler& code = emitter.code();
  const Xbyak::Reg32 value = emitter.kThird.cvt32(), part = emitter.kSecond.cvt32();
  reach_vector(emitter, 4, AccessKind::Read, Alignment::None);
  code.mov(value, dword[emitter.kAddress]);
  code.mov(part, value);
  code.and_(part, kMxcsrReserved | kMxcsrMasks);
  code.cmp(part, kMxcsrMasks);
  emitter.handler_if(condition::kNotEqual);
  // What has been looked at, whatever is in memory by now.
  const Xbyak::Address guest = dword[rbp + emitter.offsets().mxcsr];
  code.mov(guest, value);
  code.ldmxcsr(guest);
}

Emit plan(const Decoded& decoded, const Insn& insn) {
  switch (legacy_mnemonic(decoded)) {
    case ZYDIS_MNEMONIC_ADDPS:
    case ZYDIS_MNEMONIC_ADDPD:
    case ZYDIS_MNEMONIC_ADDSS:
    case ZYDIS_MNEMONIC_ADDSD:
    case ZYDIS_MNEMONIC_SUBPS:
    case ZYDIS_MNEMONIC_SUBPD:
    case ZYDIS_MNEMONIC_SUBSS:
    case ZYDIS_MNEMONIC_SUBSD:
    case ZYDIS_MNEMONIC_MULPS:
    case ZYDIS_MNEMONIC_MULPD:
    case ZYDIS_MNEMONIC_MULSS:
    case ZYDIS_MNEMONIC_MULSD:
    case ZYDIS_MNEMONIC_DIVPS:
    case ZYDIS_MNEMONIC_DIVPD:
    case ZYDIS_MNEMONIC_DIVSS:
    case ZYDIS_MNEMONIC_DIVSD:
    case ZYDIS_MNEMONIC_SQRTSS:
    case ZYDIS_MNEMONIC_SQRTSD:
    case ZYDIS_MNEMONIC_MINPS:
    case ZYDIS_MNEMONIC_MINPD:
    case ZYDIS_MNEMONIC_MINSS:
    case ZYDIS_MNEMONIC_MINSD:
    case ZYDIS_MNEMONIC_MAXPS:
    case ZYDIS_MNEMONIC_MAXPD:
    case ZYDIS_MNEMONIC_MAXSS:
    case ZYDIS_MNEMONIC_MAXSD:
    case ZYDIS_MNEMONIC_ADDSUBPS:
    case ZYDIS_MNEMONIC_ADDSUBPD:
    case ZYDIS_MNEMONIC_HADDPS:
    case ZYDIS_MNEMONIC_HADDPD:
    case ZYDIS_MNEMONIC_HSUBPS:
    case ZYDIS_MNEMONIC_HSUBPD:
    case ZYDIS_MNEMONIC_CMPPS:
    case ZYDIS_MNEMONIC_CMPPD:
    case ZYDIS_MNEMONIC_CMPSS:
    case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_COMISS:
    case ZYDIS_MNEMONIC_COMISD:
    case ZYDIS_MNEMONIC_UCOMISS:
    case ZYDIS_MNEMONIC_UCOMISD:
    case ZYDIS_MNEMONIC_CVTSS2SD:
    case ZYDIS_MNEMONIC_CVTSD2SS:
    case ZYDIS_MNEMONIC_CVTSI2SS:
    case ZYDIS_MNEMONIC_CVTSI2SD:
    case ZYDIS_MNEMONIC_ROUNDSS:
    case ZYDIS_MNEMONIC_ROUNDSD:
      return plan_again(decoded, insn, Destination::Part);
    case ZYDIS_MNEMONIC_SQRTPS:
    case ZYDIS_MNEMONIC_SQRTPD:
    case ZYDIS_MNEMONIC_CVTPS2PD:
    case ZYDIS_MNEMONIC_CVTPD2PS:
    case ZYDIS_MNEMONIC_CVTDQ2PS:
    case ZYDIS_MNEMONIC_CVTDQ2PD:
    case ZYDIS_MNEMONIC_CVTPS2DQ:
    case ZYDIS_MNEMONIC_CVTTPS2DQ:
    case ZYDIS_MNEMONIC_CVTPD2DQ:
    case ZYDIS_MNEMONIC_CVTTPD2DQ:
    case ZYDIS_MNEMONIC_CVTSS2SI:
    case ZYDIS_MNEMONIC_CVTTSS2SI:
    case ZYDIS_MNEMONIC_CVTSD2SI:
    case ZYDIS_MNEMONIC_CVTTSD2SI:
    case ZYDIS_MNEMONIC_ROUNDPS:
    case ZYDIS_MNEMONIC_ROUNDPD:
      return plan_again(decoded, insn, Destination::Whole);
    case ZYDIS_MNEMONIC_STMXCSR:
      return is_reachable(decoded, 0, insn) && !has_vex(decoded) ? stmxcsr : nullptr;
    case ZYDIS_MNEMONIC_LDMXCSR:
      return is_reachable(decoded, 0, insn) && !has_vex(decoded) ? ldmxcsr : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

VectorPlan plan_vector_float(const Decoded& decoded, const Insn& insn) {
  return {plan(decoded, insn), vector_use::kControl};
}

}  // namespace ringside::soft

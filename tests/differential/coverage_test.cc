// The families' tests together cover what user mode can execute: every form in the opcode maps is
// compared with the host, or named here with the reason, or not announced by CPUID and not there.
// What none of the three holds fails, and so does an exception that excepts nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "differential/matches_the_host.h"
#include "differential/scopes.h"
#include "differential/soft_cpu.h"

namespace ringside::differential {
namespace {

bool is_claimed(const Encoding& encoding) {
  return claimed_as_integer(encoding) || claimed_as_system(encoding) ||
         claimed_as_vector(encoding) || claimed_as_x87(encoding) || claimed_as_avx(encoding) ||
         claimed_as_bit_fields(encoding);
}

bool has_segment_register(const Encoding& encoding) {
  for (const ZydisDecodedOperand& operand : encoding.operands) {
    if (operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
        operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT) {
      return true;
    }
  }
  return false;
}

// Executed by the software CPU, but not compared.
struct Omission {
  const char* reason;
  bool (*holds)(const Encoding&);
};
const Omission kOmissions[] = {
    {"enters the host's kernel (transfers_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_INT, ZYDIS_MNEMONIC_INT1, ZYDIS_MNEMONIC_INT3,
                    ZYDIS_MNEMONIC_INTO, ZYDIS_MNEMONIC_SYSCALL, ZYDIS_MNEMONIC_SYSENTER});
     }},
    {"depends on descriptors, which are the host's (transfers_test.cc, segments in system_test.cc)",
     [](const Encoding& e) {
       return e.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
              e.is({ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ,
                    ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS,
                    ZYDIS_MNEMONIC_LSS, ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL, ZYDIS_MNEMONIC_VERR,
                    ZYDIS_MNEMONIC_VERW}) ||
              (e.is({ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_POP}) && has_segment_register(e));
     }},
    {"is emulated or forbidden by the host's kernel (system_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_SGDT, ZYDIS_MNEMONIC_SIDT, ZYDIS_MNEMONIC_SLDT,
                    ZYDIS_MNEMONIC_STR, ZYDIS_MNEMONIC_SMSW, ZYDIS_MNEMONIC_RDPMC});
     }},
    {"time, identity or chance (system_test.cc, cpuid_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_RDTSCP, ZYDIS_MNEMONIC_RDPID,
                    ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_RDRAND});
     }},
    {"would take the test's own thread pointer (system_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_RDFSBASE, ZYDIS_MNEMONIC_RDGSBASE, ZYDIS_MNEMONIC_WRFSBASE,
                    ZYDIS_MNEMONIC_WRGSBASE});
     }},
    {"stores pointers that processors report differently (fxsave_test.cc, x87_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXSAVE64, ZYDIS_MNEMONIC_FXRSTOR,
                    ZYDIS_MNEMONIC_FXRSTOR64, ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE});
     }},
    {"gives an approximation, each maker's own (sse_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_RCPPS, ZYDIS_MNEMONIC_RCPSS, ZYDIS_MNEMONIC_RSQRTPS,
                    ZYDIS_MNEMONIC_RSQRTSS, ZYDIS_MNEMONIC_VRCPPS, ZYDIS_MNEMONIC_VRCPSS,
                    ZYDIS_MNEMONIC_VRSQRTPS, ZYDIS_MNEMONIC_VRSQRTSS});
     }},
    {"may fault on bytes that the mask leaves out (sse_test.cc)",
     [](const Encoding& e) {
       return e.is(
           {ZYDIS_MNEMONIC_MASKMOVQ, ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_VMASKMOVDQU});
     }},
    {"depends on XCR0, which is the host's, and on what processors keep track of (xsave_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_XGETBV, ZYDIS_MNEMONIC_XSETBV, ZYDIS_MNEMONIC_XSAVE,
                    ZYDIS_MNEMONIC_XSAVE64, ZYDIS_MNEMONIC_XSAVEC, ZYDIS_MNEMONIC_XSAVEC64,
                    ZYDIS_MNEMONIC_XSAVEOPT, ZYDIS_MNEMONIC_XSAVEOPT64, ZYDIS_MNEMONIC_XRSTOR,
                    ZYDIS_MNEMONIC_XRSTOR64});
     }},
    {"not every host has them (protection_keys_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_RDPKRU, ZYDIS_MNEMONIC_WRPKRU});
     }},
    {"makers differ: operand size of near branches in 64-bit code",
     [](const Encoding& e) {
       return e.mode == Mode::Code64 && e.branches() &&
              e.insn.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR &&
              (e.insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
     }},
    {"makers differ: REP before LOOPE",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE}) && e.insn.raw.prefix_count != 0;
     }},
    {"makers differ: PAUSE or XCHG R8 with REX.B",
     [](const Encoding& e) { return e.is({ZYDIS_MNEMONIC_PAUSE}) && e.insn.raw.rex.B != 0; }},
    {"makers differ: PREFETCHW of a register",
     [](const Encoding& e) {
       return e.insn.opcode_map == ZYDIS_OPCODE_MAP_0F && e.insn.opcode == 0x0d &&
              e.insn.raw.modrm.mod == 3;
     }},
    {"makers differ: MOVSXD to 16 bits reads two bytes of memory or four (lower_test.cc)",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_MOVSXD}) && e.operands[0].size == 16 &&
              e.operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
     }},
    {"makers differ: SYSEXIT at privilege 3, and SYSRET outside 64-bit code",
     [](const Encoding& e) {
       return e.is({ZYDIS_MNEMONIC_SYSEXIT, ZYDIS_MNEMONIC_SYSRET});
     }},
    {"makers differ: whether ARPL needs write access for what stays the same",
     [](const Encoding& e) { return e.is({ZYDIS_MNEMONIC_ARPL}); }},
    {"makers differ: PUSH of a segment register writes two bytes or four",
     [](const Encoding& e) { return e.is({ZYDIS_MNEMONIC_PUSH}) && has_segment_register(e); }},
    {"undocumented: FSTPNCE", [](const Encoding& e) { return e.is({ZYDIS_MNEMONIC_FSTPNCE}); }},
};

// What CPUID does not announce (cpuid_test.cc) must be #UD; RSM is, outside system management.
bool is_not_announced(const Encoding& encoding) {
  if (encoding.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
    return !claimed_as_avx(encoding) && !claimed_as_bit_fields(encoding);
  if (encoding.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return true;  // XOP, EVEX
  static const std::set<ZydisISASet> kSets = {ZYDIS_ISA_SET_AMD3DNOW,
                                              ZYDIS_ISA_SET_AMD_INVLPGB,
                                              ZYDIS_ISA_SET_CET,
                                              ZYDIS_ISA_SET_CLFLUSHOPT,
                                              ZYDIS_ISA_SET_CLWB,
                                              ZYDIS_ISA_SET_CLZERO,
                                              ZYDIS_ISA_SET_ENQCMD,
                                              ZYDIS_ISA_SET_GFNI,
                                              ZYDIS_ISA_SET_HRESET,
                                              ZYDIS_ISA_SET_KEYLOCKER,
                                              ZYDIS_ISA_SET_KEYLOCKER_WIDE,
                                              ZYDIS_ISA_SET_MCOMMIT,
                                              ZYDIS_ISA_SET_MONITOR,
                                              ZYDIS_ISA_SET_MONITORX,
                                              ZYDIS_ISA_SET_MOVDIR,
                                              ZYDIS_ISA_SET_PADLOCK_ACE,
                                              ZYDIS_ISA_SET_PADLOCK_PHE,
                                              ZYDIS_ISA_SET_PADLOCK_PMM,
                                              ZYDIS_ISA_SET_PADLOCK_RNG,
                                              ZYDIS_ISA_SET_PCONFIG,
                                              ZYDIS_ISA_SET_PT,
                                              ZYDIS_ISA_SET_RDPRU,
                                              ZYDIS_ISA_SET_RDSEED,
                                              ZYDIS_ISA_SET_RTM,
                                              ZYDIS_ISA_SET_SERIALIZE,
                                              ZYDIS_ISA_SET_SGX,
                                              ZYDIS_ISA_SET_SGX_ENCLV,
                                              ZYDIS_ISA_SET_SMX,
                                              ZYDIS_ISA_SET_SNP,
                                              ZYDIS_ISA_SET_SSE4A,
                                              ZYDIS_ISA_SET_SVM,
                                              ZYDIS_ISA_SET_TDX,
                                              ZYDIS_ISA_SET_TSX_LDTRK,
                                              ZYDIS_ISA_SET_UINTR,
                                              ZYDIS_ISA_SET_VMFUNC,
                                              ZYDIS_ISA_SET_VTX,
                                              ZYDIS_ISA_SET_WAITPKG,
                                              ZYDIS_ISA_SET_XSAVES};
  return kSets.count(encoding.insn.meta.isa_set) != 0 || encoding.is({ZYDIS_MNEMONIC_RSM});
}

bool is_executed(const SoftCpu& soft, const Encoding& encoding) {
  Case test;
  test.mode = encoding.mode;
  test.bytes = encoding.bytes;
  return soft.implemented(test);
}

TEST(Coverage, EachFormOfUserModeIsComparedOrNamed) {
  const SoftCpu soft;
  std::set<const Omission*> used;
  for (const Mode mode : {Mode::Code64, Mode::Code32, Mode::Code16}) {
    std::set<std::string> unknown;
    std::size_t compared = 0, omitted = 0, absent = 0;
    // Each encoding is judged, not only those that a form keeps.
    const Claim judge = [&](const Encoding& encoding) {
      if (is_claimed(encoding)) return true;
      if (!is_executed(soft, encoding)) {
        ++absent;
        if (!is_not_announced(encoding)) unknown.insert("not executed: " + hex(encoding.bytes));
        return false;
      }
      ++omitted;
      for (const Omission& omission : kOmissions) {
        if (!omission.holds(encoding)) continue;
        used.insert(&omission);
        return false;
      }
      unknown.insert(fmt::format("not compared: {} {}",
                                 ZydisMnemonicGetString(encoding.insn.mnemonic),
                                 hex(encoding.bytes)));
      return false;
    };
    Random random(1);
    for (const auto& [name, form] : enumerate_forms(mode, judge, 1, random))
      compared += form.found;
    fmt::print("{}: {} encodings compared, {} omitted by name, {} not announced\n", name(mode),
               compared, omitted, absent);
    for (const std::string& encoding : unknown)
      ADD_FAILURE() << name(mode) << " " << encoding;
  }
  for (const Omission& omission : kOmissions)
    EXPECT_EQ(used.count(&omission), 1u) << "excepts nothing: " << omission.reason;
}

}  // namespace
}  // namespace ringside::differential

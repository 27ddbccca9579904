// EMMS. The other MMX instructions are the MMX forms of the sse_*.cc families.
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

void emms(Cpu& cpu, const Insn&) {
  check_mmx(cpu);
  cpu.fpu.set_top(0);  // as every MMX instruction (SDM 3A table 12-1)
  cpu.fpu.empty = 0xff;
}
bool lower_emms(const Decoded&, Insn& insn) {
  insn.execute = emms;
  return true;
}

}  // namespace

void register_mmx(LowerTable& table) { table.add(ZYDIS_MNEMONIC_EMMS, lower_emms); }

}  // namespace ringside::soft

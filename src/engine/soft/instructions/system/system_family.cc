#include "engine/soft/instructions/system/system_family.h"

namespace ringside::soft {

// Not here, and so #UD, because CPUID announces none of them: MONITOR and MWAIT, RDSEED (randomness
// may only come from the journal), RSM and the instructions of virtual-machine extensions.
void register_system(LowerTable& table) {
  register_control(table);
  register_tables(table);
  register_flags(table);
  register_misc_system(table);
}

}  // namespace ringside::soft

#include "engine/soft/instructions/instructions.h"

#include <memory>

#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/system_family.h"
#include "engine/soft/instructions/system/transfers.h"
#include "engine/soft/instructions/vector/vector.h"
#include "engine/soft/instructions/x87/x87.h"

namespace ringside::soft {
namespace {

std::unique_ptr<const LowerTable> all_families() {
  auto table = std::make_unique<LowerTable>();
  register_integer(*table);
  register_branches(*table);
  register_strings(*table);
  register_sse(*table);
  register_x87(*table);
  register_transfers(*table);
  register_system(*table);
  return table;
}

}  // namespace

Insn decode(std::span<const std::uint8_t> bytes, Width code_width, Processor processor) {
  static const std::unique_ptr<const LowerTable> table = all_families();
  return decode(bytes, code_width, *table, processor);
}

}  // namespace ringside::soft

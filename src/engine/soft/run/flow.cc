#include "engine/soft/run/flow.h"

#include "engine/soft/cpu/board.h"

namespace ringside::soft {

void tell_flow(Cpu& cpu, const Insn& insn, std::uint64_t from, const FlowBefore& before) {
  using Kind = hypervisor::FlowEvent::Kind;
  hypervisor::FlowEvent event;
  const unsigned flow = insn.prefixes & prefix::kFlow;
  event.kind = flow == prefix::kCall     ? Kind::Call
               : flow == prefix::kReturn ? Kind::Return
                                         : Kind::Resume;
  event.cpl = static_cast<std::uint8_t>(before.cpl);
  event.from = {from};
  event.next = {from + insn.length};
  event.stack = before.stack;
  tell_flow(cpu, event);
}

}  // namespace ringside::soft

// QEMU's packets that clients and scripts use: physical memory mode, and what a step leaves out.
#include <fmt/core.h>

#include "debug/packets/debugger.h"

namespace ringside::debug {

Debugger::Answer Debugger::serve(const rsp::QueryPhysicalMode&) {
  return session_.addresses.kind == AddressKind::Physical ? "1" : "0";
}

Debugger::Answer Debugger::serve(const rsp::SetPhysicalMode& request) {
  session_.addresses.kind = request.physical ? AddressKind::Physical : AddressKind::Linear;
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::QueryStepBits&) {
  return fmt::format("ENABLE={:x},NOIRQ={:x},NOTIMER={:x}", step_mask::kEnable,
                     step_mask::kNoInterrupts, step_mask::kNoTimers);
}

Debugger::Answer Debugger::serve(const rsp::QueryStepMask&) {
  return fmt::format("0x{:x}", session_.steps);
}

Debugger::Answer Debugger::serve(const rsp::SetStepMask& request) {
  // A step that does not stop would be a continue in disguise.
  if ((request.mask & ~step_mask::kAll) != 0 || (request.mask & step_mask::kEnable) == 0)
    return refuse(ErrorCode::BadRequest, "the mask is ENABLE with NOIRQ and NOTIMER or without");
  session_.steps = request.mask;
  // A timer shows itself to a guest that is being stepped by its interrupt alone.
  target_.mask_interrupts_in_steps((request.mask & step_mask::kNoInterrupts) != 0);
  return rsp::reply::ok();
}

}  // namespace ringside::debug

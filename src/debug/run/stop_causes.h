// Kinds of stops. Pure.
#pragma once

#include "debug/run/run_control.h"

namespace ringside::debug {

// A hit of one that is executed; a step over it is what comes next.
inline bool is_breakpoint(StopCause cause) {
  return cause == StopCause::Breakpoint || cause == StopCause::LinearBreakpoint ||
         cause == StopCause::HardwareBreakpoint;
}

}  // namespace ringside::debug

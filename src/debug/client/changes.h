// Whether a client may change the guest now: in its past it is as it was.
#pragma once

#include "base/result.h"
#include "ringside/options.h"
#include "ringside/time_travel.h"

namespace ringside::debug {

// Asked before registers, memory or devices are changed, while every vCPU is out of the guest.
inline Result<void> may_change(const ServerOptions& options) {
  if (options.time_travel == nullptr) return {};
  if (const auto why = options.time_travel->why_fixed()) return fail(ErrorCode::NotSupported, *why);
  return {};
}

}  // namespace ringside::debug

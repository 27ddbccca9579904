// Whether a client may change the guest now: in its past it is as it was, and while its owner makes
// a file of it, it stays as it is.
#pragma once

#include "base/result.h"
#include "ringside/options.h"
#include "ringside/time_travel.h"

namespace ringside::debug {

// Asked before the guest is led to another moment, while every vCPU is out of it.
inline Result<void> may_move(const ServerOptions& options) {
  if (!options.why_still) return {};
  if (const auto why = options.why_still()) return fail(ErrorCode::Busy, *why);
  return {};
}

// Asked before registers, memory or devices are changed, while every vCPU is out of the guest.
inline Result<void> may_change(const ServerOptions& options) {
  if (Result<void> may = may_move(options); !may) return may;
  if (options.time_travel == nullptr) return {};
  if (const auto why = options.time_travel->why_fixed()) return fail(ErrorCode::NotSupported, *why);
  return {};
}

}  // namespace ringside::debug

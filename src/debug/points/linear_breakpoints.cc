#include "debug/points/linear_breakpoints.h"

namespace ringside::debug {

Result<void> LinearBreakpoints::add(Gva address) {
  if (!supported()) return fail(ErrorCode::NotSupported, "this engine has no hardware breakpoints");
  if (!users_.contains(address)) TRY(vm_.stoppoints()->insert_breakpoint(address));
  ++users_[address];
  return {};
}

Result<void> LinearBreakpoints::add_spare(Gva address) {
  if (!supported()) return fail(ErrorCode::NotSupported, "this engine has no hardware breakpoints");
  if (!users_.contains(address)) TRY(vm_.stoppoints()->insert_spare_breakpoint(address));
  ++users_[address];
  return {};
}

Result<void> LinearBreakpoints::drop(Gva address) {
  const auto found = users_.find(address);
  if (found == users_.end()) return {};
  if (found->second == 1) TRY(vm_.stoppoints()->remove_breakpoint(address));
  if (--found->second == 0) users_.erase(found);
  return {};
}

}  // namespace ringside::debug

#include "debug/points/linear_breakpoints.h"

namespace ringside::debug {

Result<void> LinearBreakpoints::add(Gva address) {
  if (vm_.breakpoints() == nullptr)
    return fail(ErrorCode::NotSupported, "this engine has no hardware breakpoints");
  if (!users_.contains(address)) TRY(vm_.breakpoints()->insert_breakpoint(address));
  ++users_[address];
  return {};
}

Result<void> LinearBreakpoints::add_spare(Gva address) {
  if (vm_.spare_breakpoints() == nullptr)
    return fail(ErrorCode::NotSupported, "this engine has no breakpoints to lend");
  if (!users_.contains(address)) TRY(vm_.spare_breakpoints()->insert_spare_breakpoint(address));
  ++users_[address];
  return {};
}

Result<void> LinearBreakpoints::drop(Gva address) {
  const auto found = users_.find(address);
  if (found == users_.end()) return {};
  if (found->second == 1) TRY(vm_.breakpoints()->remove_breakpoint(address));
  if (--found->second == 0) users_.erase(found);
  return {};
}

}  // namespace ringside::debug

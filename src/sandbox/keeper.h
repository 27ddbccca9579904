// The keeper: a second process, made before anything of a guest is read, that keeps the rights
// which the first one gives up. It opens what was named at the start and nothing else, whatever it
// is asked for, and ends when the first one does. docs/decisions/0051 has the reasons.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "sandbox/outside.h"

namespace ringside::sandbox {

// Where there are no threads yet.
Result<std::unique_ptr<Outside>> start_keeper(const Names& names);

// What the keeper does: answers requests until the other side is gone. `outside` is its own;
// `guest_begins` is called before it answers that the guest may; why it failed is said there.
void keep(int socket, Outside& outside, const std::string& user,
          const std::function<Result<void>()>& guest_begins);

}  // namespace ringside::sandbox

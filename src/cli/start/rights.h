// What rights the process has, and when it gives them up (docs/decisions/0051).
#pragma once

#include <memory>

#include "base/result.h"
#include "cli/options/options.h"
#include "companions/start.h"
#include "sandbox/outside.h"
#include "sandbox/rights.h"
#include "sandbox/system_calls.h"

namespace ringside::cli {

// What is left to the processes beside this one.
sandbox::Rights rights_of(const Options& options);

// Before anything of a guest is read and before there is a thread: the way to what is wanted later
// by name. Where there can be no sandbox, it says so and takes it out of the options, or fails
// where one was asked for.
Result<std::unique_ptr<sandbox::Outside>> reach_outside(Options& options);

// The processes at the other ends of the guest's network and shared folders. None for a replay,
// whose journal has what they said. As reach_outside(): before there is a thread.
Result<companions::Sockets> start_companions(const Options& options);

// When everything is open, before the first byte of a client that comes through a socket is read
// and before the guest's first instruction.
Result<void> give_up_rights(const Options& options, sandbox::Outside& outside,
                            sandbox::Engine engine);

}  // namespace ringside::cli

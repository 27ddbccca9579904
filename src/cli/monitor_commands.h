// Monitor commands that need the machine or the program: interrupt controllers, memory map, ports,
// engine, reset, buttons.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "machine/machine.h"
#include "ringside/options.h"

namespace ringside::cli {

// What the commands reach. All of it outlives the debug server.
struct MonitorSubjects {
  machine::Machine& machine;
  unsigned vcpus = 1;
  std::function<std::string()> engine;         // which one runs the guest
  std::function<Result<std::string>()> reset;  // of the machine; what to say
  // What comes from outside would have to be written into it.
  std::function<bool()> has_journal = [] { return false; };
};

void add_machine_commands(debug::ServerOptions& server, const MonitorSubjects& subjects);

}  // namespace ringside::cli

// Monitor commands that need the machine or the program: interrupt controllers, engine, reset.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "debug/options.h"
#include "machine/machine.h"

namespace ringside::cli {

// What the commands reach. All of it outlives the debug server.
struct MonitorSubjects {
  machine::Machine& machine;
  unsigned vcpus = 1;
  std::function<std::string()> engine;         // which one runs the guest
  std::function<Result<std::string>()> reset;  // of the machine; what to say
};

void add_machine_commands(debug::ServerOptions& server, const MonitorSubjects& subjects);

}  // namespace ringside::cli

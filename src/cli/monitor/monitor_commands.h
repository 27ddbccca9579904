// Monitor commands that need the machine or the program: interrupt controllers, memory map, ports,
// engine, reset, buttons, waking.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "machine/machine.h"
#include "ringside/options.h"
#include "time/record/inputs.h"

namespace ringside::cli {

// What the commands reach. All of it outlives the debug server.
struct MonitorSubjects {
  machine::Machine& machine;
  const hypervisor::GuestRam& ram;
  unsigned vcpus = 1;
  std::function<std::string()> engine;         // which one runs the guest
  std::function<Result<std::string>()> reset;  // of the machine; what to say
  std::function<Result<void>()> wake_up;       // if it sleeps
  // What comes from outside, before it has its effect: for the journal. An error refuses it.
  std::function<Result<void>(const time::Input&)> note = [](const time::Input&) -> Result<void> {
    return {};
  };
};

void add_machine_commands(debug::ServerOptions& server, const MonitorSubjects& subjects);

}  // namespace ringside::cli

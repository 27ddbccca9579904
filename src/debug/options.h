// What the owner of a debug server decides. Plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ringside::debug {

enum class OnKill {
  Detach,  // a client's k leaves the guest running
  Stop,    // it ends the machine
};

// A monitor command of the owner's. It is run while every vCPU is out of the guest.
struct MonitorCommand {
  std::string name;   // one or two words
  std::string usage;  // its arguments
  std::string help;
  std::function<std::string(std::string_view arguments)> run;
};

// How software breakpoints (Z0) are realised.
enum class BreakpointMechanism {
  BestOffered,  // by the engine itself where it has breakpoints by physical address
  Int3,         // always as bytes in guest memory
};

struct ServerOptions {
  // No vCPU executes its first instruction before a client has attached and resumed it.
  bool wait = false;
  OnKill on_kill = OnKill::Detach;
  BreakpointMechanism breakpoints = BreakpointMechanism::BestOffered;
  std::vector<MonitorCommand> commands = {};
  // Takes what persistent breakpoint commands print while there is no client.
  std::function<void(std::string_view text)> console = {};
};

}  // namespace ringside::debug

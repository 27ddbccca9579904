// What the owner of a debug server decides. Plain values.
#pragma once

namespace ringside::debug {

enum class OnKill {
  Detach,  // a client's k leaves the guest running
  Stop,    // it ends the machine
};

struct ServerOptions {
  // No vCPU executes its first instruction before a client has attached and resumed it.
  bool wait = false;
  OnKill on_kill = OnKill::Detach;
};

}  // namespace ringside::debug

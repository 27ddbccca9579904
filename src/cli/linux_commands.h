// What the program tells debuggers of a Linux in the guest: monitor commands, and what the debug
// server asks for by itself.
#pragma once

#include "ringside/options.h"
#include "ringside/vm.h"

namespace ringside::cli {

// `files`: the directory of a debugger's files, open, where the modules' files may be; it and the
// machine outlive the server.
void add_linux(debug::ServerOptions& server, hypervisor::Vm& vm, int files);

}  // namespace ringside::cli

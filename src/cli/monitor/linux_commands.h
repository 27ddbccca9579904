// What the program tells debuggers of a Linux in the guest: monitor commands, and what the debug
// server asks for by itself.
#pragma once

#include "base/folder.h"
#include "ringside/options.h"
#include "ringside/vm.h"

namespace ringside::cli {

// `files`: that of a debugger's files, where the modules' files may be; it and the
// machine outlive the server.
void add_linux(debug::ServerOptions& server, hypervisor::Vm& vm, Folder& files);

}  // namespace ringside::cli

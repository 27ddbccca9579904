// Filters of system calls (seccomp(2)), of all threads and for good. Which calls are where, and
// why, is in system_calls.cc.
#pragma once

#include "base/result.h"
#include "sandbox/landlock.h"

namespace ringside::sandbox {

enum class Engine : bool { Soft, Kvm };

// Of a process that runs a guest: what is not known to be needed fails with EPERM, so that a call
// that was forgotten costs what wanted it, and not the guest. What only an intruder can want ends
// the process.
Result<void> allow_only_what_is_needed(Engine engine);

// Of the process with the guest's network, whose sockets for others' connections are there: it may
// connect, send and receive, and read files. In network_calls.cc.
Result<void> allow_only_a_network();

// Of the process that serves a folder of the host: it may open and read files, and change them
// where that is wanted. In folder_calls.cc.
Result<void> allow_only_a_folder(Below what);

// Of the process that talks with a server of disks, with which it is connected: it may send and
// receive. In client_calls.cc.
Result<void> allow_only_a_client();

// Of the process that has the other ends of the guest's sockets (vsock): it may accept connections
// where it listens, send and receive. In local_calls.cc, as the next one.
Result<void> allow_only_local_sockets();

// Of the process that connects to programs of the host for that one: it may connect Unix sockets,
// and hand them on.
Result<void> allow_only_local_calls();

// Of the keeper: everything but what only an intruder can want.
Result<void> forbid_what_nobody_needs();

}  // namespace ringside::sandbox

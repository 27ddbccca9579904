// The process of its own in which a shared folder is served (docs/decisions/0057). It reads bytes
// of a guest's, so it gives up first what serving the folder does not need.
#pragma once

#include "base/fd.h"
#include "sandbox/rights.h"
#include "share/server.h"

namespace ringside::share {

// Over a stream socket, in the messages of transport/message_stream.h. The first one says how it
// went: it is empty, or the reason why the folder cannot be served. From then on each that comes is
// a request, and its answer is sent before the next is read. Behind one of them, once, comes a
// message without bytes: the directory has been removed. Returns when the other side is gone.
//
// For the whole process and for good: it needs one without threads, which ends afterwards.
void serve(int socket, Fd directory, Access access, const sandbox::Rights& rights = {});

}  // namespace ringside::share

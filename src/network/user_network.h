// The process beside the one that runs the guest which has the guest's network: what it can reach,
// the guest can.
#pragma once

#include "network/options.h"
#include "sandbox/rights.h"

namespace ringside::network {

// `socket` is one of a pair of stream sockets, with messages (transport/message_stream.h). The
// first one is ours: empty, or the error's sentence, after which nothing comes. From then on each
// message is an Ethernet frame, in both directions. Returns when the other end has closed. It is
// for a process of its own, which keeps little of its rights.
void serve(int socket, const NetworkOptions& options, const sandbox::Rights& rights = {});

}  // namespace ringside::network

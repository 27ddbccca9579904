// The process of its own that has the other ends of the guest's sockets (docs/decisions/0068). It
// reads packets of a guest's and bytes of anybody who may connect, so it gives up first what it
// does not need.
#pragma once

#include <chrono>

#include "base/fd.h"
#include "ringside/admission.h"
#include "sandbox/rights.h"
#include "vsock/options.h"

namespace ringside::vsock {

// Over a stream socket, in the messages of transport/message_stream.h. The first one says how it
// went: it is empty, or the reason why it cannot be done. What comes then is in vsock/line.h.
// Returns when the other side is gone; where that was an end in order, when programs of the host
// have what the guest had sent, but kLastTime later at the latest.
//
// `door`: a socket of packets, by which give_listener() gives it where programs of the host
// connect. For the whole process and for good: it needs one without threads, which ends afterwards.
void serve(int socket, Fd door, const VsockOptions& options, const Admission& admission,
           const sandbox::Rights& rights = {});

// In the other process, at the other end of `door`, once. A socket's file is made when all other
// endpoints are, so that it is removed however a start ends. False: the process is gone.
bool give_listener(const Fd& door, Fd listener);

// Of programs that are slow, or do not read at all.
inline constexpr std::chrono::seconds kLastTime{10};

}  // namespace ringside::vsock

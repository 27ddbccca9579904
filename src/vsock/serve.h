// The process of its own that has the other ends of the guest's sockets (docs/decisions/0068). It
// reads packets of a guest's and bytes of anybody who may connect, so it gives up first what it
// does not need.
#pragma once

#include "base/fd.h"
#include "ringside/admission.h"
#include "sandbox/rights.h"
#include "vsock/options.h"

namespace ringside::vsock {

// Over a stream socket, in the messages of transport/message_stream.h. The first one says how it
// went: it is empty, or the reason why it cannot be done. From then on each is a packet, or nothing
// (machine/vsock/virtio_vsock.h), in both directions; and one of kRefusal bytes is the number of a
// user who may not connect, and has tried. Returns when the other side is gone.
//
// `listener`: where programs of the host connect. For the whole process and for good: it needs one
// without threads, which ends afterwards.
void serve(int socket, Fd listener, const VsockOptions& options, const Admission& admission,
           const sandbox::Rights& rights = {});

inline constexpr std::size_t kRefusal = sizeof(std::uint32_t);

}  // namespace ringside::vsock

// The processes at the other ends of the guest's network, shared folders and sockets. They are made
// before anything of a guest is read, where there are no threads yet.
#pragma once

#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "companions/shared_folder.h"
#include "network/options.h"
#include "ringside/admission.h"
#include "sandbox/rights.h"
#include "vsock/options.h"

namespace ringside::companions {

struct Wishes {
  std::optional<network::NetworkOptions> network;
  std::vector<SharedFolder> shares;
  std::optional<vsock::VsockOptions> vsock;  // with a path
  Admission admission;                       // of who connects there
  sandbox::Rights rights;                    // of each of the processes
};

// Stream sockets, with messages (transport/message_stream.h).
struct Sockets {
  Fd network;  // none: there is no network
  std::vector<Fd> shares;
  Fd vsock, vsock_door;  // of vsock::serve()
};

// An error is one sentence: a directory that is not there, a port that is taken.
Result<Sockets> start(const Wishes& wishes);

}  // namespace ringside::companions

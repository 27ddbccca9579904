// Who is at the other end of a connection, and whether that one may have it. Pure, but for
// peer_of() and this_process().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "ringside/admission.h"
#include "transport/socket_owner.h"

namespace ringside::transport {

struct Peer {
  enum class Where : std::uint8_t {
    ThisHost,
    Elsewhere,  // or nobody knows: what another host could pass itself off as is not this one
    Gone,       // the connection is over, and its addresses say nothing any more
  } where = Where::Elsewhere;
  std::optional<uid_t> user = {};
  std::string unknown = {};  // why there is no user, if not for being of another host
  std::string address = {};  // of one elsewhere
};

// `owners` may be null: nothing can be asked about TCP connections, and `why_not` says why.
Peer peer_of(int socket, SocketOwners* owners, const std::string& why_not);

// Who runs this process.
struct Self {
  uid_t user = 0;
  // As whom it sees users of other user namespaces, if there are such (user_namespaces(7)).
  std::optional<uid_t> strangers = {};
};
Self this_process();
// Of the text of /proc/self/uid_map: whether every user has a number in this namespace.
bool maps_all_users(const std::string& uid_map);

// Whether this peer may connect. The error's text is for the log.
Result<void> judge(const Peer& peer, const Admission& admission, const Self& self);

}  // namespace ringside::transport

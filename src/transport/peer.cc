#include "transport/peer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace ringside::transport {
namespace {

std::string text_of(const in6_addr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_mapped(address)) {
    ::inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &address, text, sizeof text);
  }
  return text;
}

Peer unknown(Peer::Where where, std::string why) { return {where, {}, std::move(why), {}}; }

Peer peer_of_unix(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return unknown(Peer::Where::ThisHost, std::strerror(errno));
  return {Peer::Where::ThisHost, credentials.uid, {}, {}};
}

// One that is found in this network namespace is of this host. Where nothing can be found, an
// address that only this host has says so as well.
Peer peer_of_tcp(const TcpEnds& ends, SocketOwners* owners, const std::string& why_not) {
  const bool same = std::memcmp(&ends.own, &ends.other, sizeof ends.own) == 0;
  const bool local = same || is_loopback(ends.other);
  Peer peer{Peer::Where::Elsewhere, {}, {}, text_of(ends.other)};
  std::string why = why_not;
  if (owners != nullptr) {
    const Result<std::optional<uid_t>> owner = owners->owner_of_other_end(ends);
    if (owner && *owner) return {Peer::Where::ThisHost, **owner, {}, {}};
    if (owner) {
      if (local) peer.unknown = "its end is closed already, or is in another network namespace";
      return peer;
    }
    why = owner.error().text();
  }
  if (local) return unknown(Peer::Where::ThisHost, why);
  return peer;
}

// What cannot be read is nothing; the stream's buffer itself would throw.
std::string text_of_file(const char* path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text, '\0');
  return text;
}

}  // namespace

Peer peer_of(int socket, SocketOwners* owners, const std::string& why_not) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return unknown(Peer::Where::Gone, std::strerror(errno));
  if (own.ss_family == AF_UNIX) return peer_of_unix(socket);
  if (own.ss_family != AF_INET && own.ss_family != AF_INET6)
    return {Peer::Where::Elsewhere, {}, {}, fmt::format("of address family {}", own.ss_family)};
  const std::optional<TcpEnds> ends = ends_of(socket);
  if (!ends) return unknown(Peer::Where::Gone, "it has gone already");
  return peer_of_tcp(*ends, owners, why_not);
}

bool maps_all_users(const std::string& uid_map) {
  std::istringstream lines(uid_map);
  std::uint64_t inside = 0, outside = 0, count = 0, all = 0;
  while (lines >> inside >> outside >> count)
    all += count;
  return all >= 0xffffffffu;  // the last number, (uid_t)-1, is nobody's
}

Self this_process() {
  Self self{::geteuid(), std::nullopt};
  if (maps_all_users(text_of_file("/proc/self/uid_map"))) return self;
  unsigned strangers = 65534;
  std::istringstream(text_of_file("/proc/sys/kernel/overflowuid")) >> strangers;
  self.strangers = strangers;
  return self;
}

Result<void> judge(const Peer& peer, const Admission& admission, const Self& self) {
  using Where = Peer::Where;
  if (peer.where == Where::Gone)
    return fail(ErrorCode::NotFound, "a client had gone before it could be asked who it is");
  if (admission.allow == Allow::Any) return {};
  const auto refuse = [&](const std::string& whom) {
    const std::string who = self.user == 0 ? "root" : fmt::format("user {} and root", self.user);
    return fail(ErrorCode::NotSupported, fmt::format("{} was refused: only {} of this host may "
                                                     "connect ({} admits others)",
                                                     whom, who, admission.way_out));
  };
  if (!peer.user) {
    if (peer.unknown.empty())
      return refuse(fmt::format("a client of another host, {},", peer.address));
    return refuse(fmt::format("a client whose user is not known ({})", peer.unknown));
  }
  if (peer.user == self.strangers)
    return refuse(fmt::format("a client of another user namespace (user {})", *peer.user));
  if (*peer.user != self.user && *peer.user != 0)
    return refuse(fmt::format("a client of user {}", *peer.user));
  return {};
}

}  // namespace ringside::transport

#include "transport/socket_owner.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ringside::transport {
namespace {

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 request;
};
static_assert(sizeof(Question) == 72);

bool equal(const in6_addr& a, const in6_addr& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Both are IPv4, and so is the connection, whatever families the sockets have.
bool is_v4(const TcpEnds& ends) { return is_mapped(ends.own) && is_mapped(ends.other); }

void put(__be32 (&to)[4], const in6_addr& address, bool v4) {
  if (v4) {
    std::memcpy(to, &address.s6_addr[12], sizeof(in_addr));
  } else {
    std::memcpy(to, &address, sizeof address);
  }
}

in6_addr address_in(const __be32 (&from)[4], int family) {
  if (family == AF_INET) return mapped(from);
  in6_addr address{};
  std::memcpy(&address, from, sizeof address);
  return address;
}

}  // namespace

// For the other end's socket its own address is the source.
std::array<std::byte, 72> owner_question(const TcpEnds& ends, std::uint32_t number) {
  Question question{};
  question.header = {sizeof question, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, number, 0};
  inet_diag_req_v2& request = question.request;
  const bool v4 = is_v4(ends);
  request.sdiag_family = v4 ? AF_INET : AF_INET6;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = ~0u;
  request.id.idiag_sport = htons(ends.other_port);
  request.id.idiag_dport = htons(ends.own_port);
  put(request.id.idiag_src, ends.other, v4);
  put(request.id.idiag_dst, ends.own, v4);
  request.id.idiag_if = ends.interface;
  request.id.idiag_cookie[0] = request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  std::array<std::byte, sizeof question> bytes{};
  std::memcpy(bytes.data(), &question, sizeof question);
  return bytes;
}

Result<OwnerAnswer> read_owner(std::span<const std::byte> answer, const TcpEnds& ends,
                               std::uint32_t number) {
  const auto malformed = [] {
    return fail(ErrorCode::System, "the kernel's answer about a socket's owner is not understood");
  };
  nlmsghdr header{};
  if (answer.size() < sizeof header) return malformed();
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_seq != number || header.nlmsg_len < sizeof header ||
      header.nlmsg_len > answer.size()) {
    return malformed();
  }
  const std::span<const std::byte> body =
      answer.subspan(sizeof header, header.nlmsg_len - sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) {
    nlmsgerr error{};
    if (body.size() < sizeof error) return malformed();
    std::memcpy(&error, body.data(), sizeof error);
    if (error.error == -ENOENT) return OwnerAnswer{};
    return fail(Error::from_errno("the kernel does not say whose a socket is", -error.error));
  }
  inet_diag_msg socket{};
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || body.size() < sizeof socket) return malformed();
  std::memcpy(&socket, body.data(), sizeof socket);
  const bool same = ntohs(socket.id.idiag_sport) == ends.other_port &&
                    ntohs(socket.id.idiag_dport) == ends.own_port &&
                    equal(address_in(socket.id.idiag_src, socket.idiag_family), ends.other) &&
                    equal(address_in(socket.id.idiag_dst, socket.idiag_family), ends.own);
  OwnerAnswer found{true, std::nullopt};
  if (same && has_owner(socket.idiag_state, socket.idiag_inode)) found.owner = socket.idiag_uid;
  return found;
}

Result<SocketOwners> SocketOwners::open(SocketTable table) {
  Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!netlink) return fail(Error::from_errno("the kernel does not say whose a socket is", errno));
  return SocketOwners(std::move(netlink), std::move(table));
}

Result<std::optional<uid_t>> SocketOwners::owner_of_other_end(const TcpEnds& ends) {
  const Result<OwnerAnswer> answer = ask(ends);
  if (answer && (answer->is_found || answers_about(ends))) return answer->owner;
  if (const auto listed = table_.owner_of_other_end(ends)) return listed;
  if (!answer) return fail(answer.error());
  return std::nullopt;
}

// A kernel without tcp_diag says of every connection that there is none. One that has it finds this
// end of the connection, or what listens there once the other end has had the connection ended.
bool SocketOwners::answers_about(const TcpEnds& ends) {
  const Result<OwnerAnswer> own =
      ask({ends.other, ends.own, ends.other_port, ends.own_port, ends.interface});
  return own && own->is_found;
}

// The kernel has answered when send() comes back.
Result<OwnerAnswer> SocketOwners::ask(const TcpEnds& ends) {
  const auto question = owner_question(ends, ++number_);
  sockaddr_nl kernel{};
  std::array<std::byte, 8192> answer;
  // Such a socket is the kernel's, where nobody else is named (netlink(7)).
  ssize_t size = ::send(netlink_.get(), question.data(), question.size(), 0);
  if (size >= 0) {
    socklen_t kernel_size = sizeof kernel;
    size = ::recvfrom(netlink_.get(), answer.data(), answer.size(), MSG_DONTWAIT,
                      reinterpret_cast<sockaddr*>(&kernel), &kernel_size);
  }
  if (size < 0) return fail(Error::from_errno("the kernel does not say whose a socket is", errno));
  if (kernel.nl_pid != 0)
    return fail(ErrorCode::System, "an answer about a socket's owner is not the kernel's");
  return read_owner(std::span(answer).first(static_cast<std::size_t>(size)), ends, number_);
}

}  // namespace ringside::transport
